"""Requests part a command line; plans are data that survive paper."""

import json
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gentoomuch_portage.config import profile as config_profile
from gentoomuch_portage.config.profile import Profile
from gentoomuch_portage.errors import PartsConflict
from gentoomuch_portage.plan.plan import Env, File, Layer, Line, MakeProfile, Part, Plan, Show, Word, make_plan
from gentoomuch_portage.plan.request import (
    Request,
    UnknownKind,
    UnknownWord,
    UnreadablePlan,
    UnreadableWords,
    WordNeedsValue,
)


def asked(*words: str, called: str = "gm-emerge", **environ: str) -> Request:
    return Request.of(words, environ, called=called)


_THEIRS = st.text(min_size=1).filter(lambda word: not word.startswith("--gm-") and word != "--")


@given(st.lists(_THEIRS), st.lists(_THEIRS))
def test_no_word_of_emerge_is_lost_changed_or_moved(before: list[str], behind: list[str]):
    request = asked(*before, "--gm-profile=a", *behind)

    assert request.words == (*before, *behind)
    assert request.said == {"profile": "a"}


def test_what_stands_behind_two_dashes_is_emerges():
    request = asked("--gm-profile=a", "--", "--gm-profile=b", "--", "-x")

    assert request.words == ("--", "--gm-profile=b", "--", "-x")
    assert request.said == {"profile": "a"}


def test_default_words_stand_before_those_typed():
    request = asked("-p", "--gm-profile=b", GM_DEFAULT_OPTS="--quiet --gm-profile=a '--jobs 2'")

    assert request.words == ("--quiet", "--jobs 2", "-p")
    assert request.said["profile"] == "b"


@pytest.mark.parametrize(
    ("environ", "called", "words", "profile"),
    [
        ({}, "gm-emerge", (), None),
        ({}, "emerge", (), None),
        ({"GM_PROFILE": "env"}, "gm-emerge", (), "env"),
        ({"GM_PROFILE": "env"}, "router-emerge", (), "router"),
        ({}, "x86_64-pc-linux-gnu-emerge", (), "x86_64-pc-linux-gnu"),
        ({"GM_DEFAULT_OPTS": "--gm-profile=opts"}, "router-emerge", (), "opts"),
        ({"GM_DEFAULT_OPTS": "--gm-profile=opts"}, "router-emerge", ("--gm-profile=typed",), "typed"),
        ({"GM_PROFILE": ""}, "gm-emerge", (), None),
    ],
)
def test_the_nearest_word_chooses_the_profile(environ: dict[str, str], called: str, words: tuple[str, ...], profile):
    assert asked(*words, called=called, **environ).said.get("profile") == profile


def test_plugins_left_out_add_up():
    request = asked("--gm-no=a,b", "--gm-no=c", GM_DEFAULT_OPTS="--gm-no=d,")

    assert request.without == {"a", "b", "c", "d"}


def test_an_unknown_word_names_the_nearest():
    with pytest.raises(UnknownWord, match="--gm-profil=a") as caught:
        asked("--gm-profil=a")

    assert (caught.value.status, caught.value.remedy) == (64, "--gm-profile ?")


@pytest.mark.parametrize("word", ["--gm-profile", "--gm-profile=", "--gm-no", "--gm-plan="])
def test_a_word_without_the_value_that_it_needs_is_refused(word: str):
    with pytest.raises(WordNeedsValue):
        asked(word)


@pytest.mark.parametrize("word", ["--gm-help=x", "--gm-version=1", "--gm-locked=yes", "--gm-"])
def test_a_word_with_a_value_that_it_does_not_take_is_refused(word: str):
    with pytest.raises(UnknownWord):
        asked(word)


@pytest.mark.parametrize(
    ("word", "remedy", "known"),
    [
        ("--gm-isolation=bwarp", "--gm-isolation=bwrap ?", "unshare"),
        ("--gm-isolation=bwrap,vm", "--gm-isolation=bwrap ?", "unshare"),
        ("--gm-unmask=use,keyword", "--gm-unmask=keywords ?", "license"),
        ("--gm-unmask=~amd64", "gm-emerge --gm-help", "license"),
        ("--gm-explain=jsno", "--gm-explain=json ?", "text"),
    ],
)
def test_a_kind_that_there_is_not_is_told_before_anything_runs_with_those_that_there_are(word, remedy, known):
    with pytest.raises(UnknownKind, match=known) as caught:
        asked(word)

    assert (caught.value.status, caught.value.remedy) == (64, remedy)


@pytest.mark.parametrize("word", ["--gm-unmask=none", "--gm-unmask=use,", "--gm-isolation=auto"])
def test_kinds_that_there_are_are_taken(word: str):
    assert asked(word).said


def test_default_words_with_an_open_quote_are_refused():
    with pytest.raises(UnreadableWords, match="GM_DEFAULT_OPTS") as caught:
        asked(GM_DEFAULT_OPTS="--quiet 'x")

    assert caught.value.status == 64


_TEXT = st.text(st.characters(codec="utf-8"))
_PARTS = st.one_of(
    st.builds(Layer, _TEXT, st.builds(Path, _TEXT.filter(lambda text: "\0" not in text))),
    st.builds(File, _TEXT, _TEXT),
    st.builds(Line, _TEXT, _TEXT),
    st.builds(MakeProfile, _TEXT, _TEXT),
    st.builds(Word, _TEXT),
    st.builds(Env, _TEXT, _TEXT),
    st.builds(Show, _TEXT),
)
_PLANS = st.builds(
    Plan,
    words=st.lists(_TEXT).map(tuple),
    env=st.dictionaries(_TEXT, _TEXT),
    parts=st.lists(st.tuples(_TEXT, _PARTS)).map(tuple),
    **{one.name: _TEXT for one in fields(Plan) if one.type is str},
)


@given(_PLANS)
def test_a_printed_plan_read_again_is_the_same(tmp_path_factory: pytest.TempPathFactory, plan: Plan):
    file = tmp_path_factory.getbasetemp() / "plan.json"
    file.write_text(plan.to_json(), encoding="utf-8")

    assert Plan.from_json(file) == plan


@given(_PLANS)
def test_equal_plans_give_equal_text(plan: Plan):
    turned = replace(plan, env=dict(reversed(plan.env.items())))

    assert turned.to_json() == plan.to_json()


def broken(**said: object) -> str:
    plain = json.loads(Plan(profile="a", base="host", root="/").to_json())
    return json.dumps({**plain, **said})


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "3", "null", "{}", '{"parts": []}',
        broken(parts=3), broken(parts=[3]), broken(parts=[{"plugin": "a", "kind": "no", "data": {}}]),
        broken(parts=[{"plugin": "a", "kind": "word", "data": {}}]),
        broken(parts=[{"plugin": "a", "kind": "word", "data": {"text": "a", "more": "b"}}]),
        broken(words="-p foo"), broken(words=[1]), broken(env=[]), broken(env={"A": 1}), broken(profile=None),
    ],
)  # fmt: skip
def test_what_is_no_plan_is_refused_with_its_name(tmp_path: Path, text: str):
    (tmp_path / "plan.json").write_text(text)

    with pytest.raises(UnreadablePlan, match=r"plan\.json") as caught:
        Plan.from_json(tmp_path / "plan.json")

    assert caught.value.status == 64


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"words":\n\n,}', r"line 3: expecting value$"),
        ('{"parts": []}', "there is no 'words'$"),
        (broken(words=3), "3 is no list$"),
    ],
)
def test_why_a_plan_is_none_is_said_in_words_and_with_its_line(tmp_path: Path, text: str, why: str):
    (tmp_path / "plan.json").write_text(text)

    with pytest.raises(UnreadablePlan, match=rf"plan\.json holds no plan: {why}"):
        Plan.from_json(tmp_path / "plan.json")


def test_a_plan_that_is_missing_or_no_text_is_refused(tmp_path: Path):
    (tmp_path / "bytes").write_bytes(b"\xff")

    with pytest.raises(UnreadablePlan):
        Plan.from_json(tmp_path / "none")
    with pytest.raises(UnreadablePlan):
        Plan.from_json(tmp_path / "bytes")
    with pytest.raises(UnreadablePlan):
        Plan.from_json(tmp_path)


def planned(*parts: tuple[str, Part], words: tuple[str, ...] = ()) -> Plan:
    profile = Profile(name="a", file=Path("a.toml"), unmask={}, binpkg=config_profile._BINPKG)
    return make_plan(asked(*words), profile, parts)


def test_words_of_plugins_stand_before_those_of_the_user():
    plan = planned(("a", Word("-a")), ("b", Word("-b")), words=("-u", "x"))

    assert plan.words == ("-a", "-b", "-u", "x")


def test_two_plugins_that_disagree_on_a_variable_are_both_named():
    with pytest.raises(PartsConflict, match="'a' and 'b' disagree on X") as caught:
        planned(("a", Env("X", "1")), ("c", Env("Y", "1")), ("b", Env("X", "2")))

    assert caught.value.status == 70


def test_two_plugins_that_agree_on_a_variable_are_no_conflict():
    assert planned(("a", Env("X", "1")), ("b", Env("X", "1"))).env == {"X": "1"}


def test_the_line_beats_the_profile_in_the_kind_of_container():
    assert planned(words=("--gm-isolation=bwrap",)).isolation == "bwrap"
    assert planned().isolation == "none"
