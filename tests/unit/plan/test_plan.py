# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests part a command line; plans are data that survive paper."""

import json
from dataclasses import fields, replace
from pathlib import Path

import pytest
from helpers.errors import raises
from hypothesis import given
from hypothesis import strategies as st

from gentoomuch_portage.config.profile import Profile
from gentoomuch_portage.plan.plan import (
    EmergeOption,
    Env,
    File,
    Layer,
    Line,
    MakeProfile,
    Note,
    Part,
    Plan,
    Replacement,
    WorkTree,
    make_plan,
)
from gentoomuch_portage.plan.request import (
    Request,
)


def asked(*words: str, called: str = "gm-emerge", **environ: str) -> Request:
    return Request.parse(words, environ, called=called)


_THEIRS = st.text(min_size=1).filter(lambda word: not word.startswith("--gm-") and word != "--")


@given(st.lists(_THEIRS), st.lists(_THEIRS))
def test_arguments_of_emerge_are_passed_unchanged_and_in_order(before: list[str], behind: list[str]):
    request = asked(*before, "--gm-profile=a", *behind)

    assert request.arguments == (*before, *behind)
    assert request.options == {"profile": "a"}


def test_arguments_after_two_dashes_belong_to_emerge():
    request = asked("--gm-profile=a", "--", "--gm-profile=b", "--", "-x")

    assert request.arguments == ("--", "--gm-profile=b", "--", "-x")
    assert request.options == {"profile": "a"}


def test_default_options_precede_the_command_line():
    request = asked("-p", "--gm-profile=b", GM_DEFAULT_OPTS="--quiet --gm-profile=a '--jobs 2'")

    assert request.arguments == ("--quiet", "--jobs 2", "-p")
    assert request.options["profile"] == "b"


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
def test_the_command_line_overrides_the_environment_in_choosing_the_profile(
    environ: dict[str, str], called: str, words: tuple[str, ...], profile
):
    assert asked(*words, called=called, **environ).options.get("profile") == profile


def test_plugins_left_out_add_up():
    request = asked("--gm-no=a,b", "--gm-no=c", GM_DEFAULT_OPTS="--gm-no=d,")

    assert request.without == {"a", "b", "c", "d"}


def test_a_plan_of_version_01_is_read_by_its_old_names(tmp_path: Path):
    plan = json.loads(Plan(profile="a", base="host", root="/").to_json())
    del plan["arguments"]
    plan["words"] = ["-p", "foo"]
    plan["parts"] = [
        {"plugin": "a", "kind": "word", "text": "", "data": {"text": "--usepkg"}},
        {"plugin": "a", "kind": "show", "text": "", "data": {"text": "a note"}},
        {"plugin": "a", "kind": "instead", "text": "", "data": {"word": ".", "text": "=a/b-1"}},
        {"plugin": "a", "kind": "tree", "text": "", "data": {"cpv": "a/b-1", "folder": "/x", "told": "ID 1"}},
    ]
    (tmp_path / "plan").write_text(json.dumps(plan))

    read = Plan.from_json(tmp_path / "plan")

    assert read.arguments == ("-p", "foo")
    assert [part for _, part in read.parts] == [
        EmergeOption("--usepkg"), Note("a note"), Replacement(".", "=a/b-1"), WorkTree("a/b-1", Path("/x"), "ID 1"),
    ]  # fmt: skip


def test_an_unknown_option_that_resembles_none_gets_no_guess():
    """``--gm-foo`` was answered by ``--gm-no ?``: all options begin alike."""
    with raises("unknown-option") as caught:
        Request.parse(["--gm-foo"], {})

    assert caught.value.hint == "gm-emerge --gm-help"


def test_an_unknown_option_names_the_nearest():
    with raises("unknown-option", match="--gm-profil=a") as caught:
        asked("--gm-profil=a")

    assert (caught.value.status, caught.value.hint) == (64, "gm-emerge --gm-help")
    assert caught.value.correction == ("--gm-profil=a", ("--gm-profile=a",), 1)


@pytest.mark.parametrize("word", ["--gm-profile", "--gm-profile=", "--gm-no", "--gm-plan="])
def test_an_option_without_its_required_value_is_rejected(word: str):
    with raises("option-needs-value"):
        asked(word)


@pytest.mark.parametrize(
    ("line", "options", "words"),
    [
        ("--gm-profile router -p x", {"profile": "router"}, ("-p", "x")),
        ("-p --gm-plan - x", {"plan": "-"}, ("-p", "x")),
        ("--gm-no a --gm-no=b x", {"no": "a,b"}, ("x",)),
        ("--gm-explain json x", {"explain": ""}, ("json", "x")),
        ("--gm-locked x", {"locked": ""}, ("x",)),
        ("-- --gm-profile router", {}, ("--", "--gm-profile", "router")),
    ],
)
def test_the_value_of_an_own_option_may_be_the_next_argument(
    line: str, options: dict[str, str], words: tuple[str, ...]
):
    """``--gm-profile router`` was an error, although emerge takes both forms of its own options."""
    assert Request.parse(line.split(), {}) == Request(arguments=words, options=options)


@pytest.mark.parametrize("line", ["--gm-profile --pretend x", "--gm-profile -- x", "--gm-profile"])
def test_another_option_is_not_the_value_of_an_own_option(line: str):
    with raises("option-needs-value"):
        Request.parse(line.split(), {})


@pytest.mark.parametrize("word", ["--gm-help=x", "--gm-version=1", "--gm-locked=yes", "--gm-"])
def test_an_option_with_a_value_that_it_does_not_accept_is_rejected(word: str):
    with raises("unknown-option"):
        asked(word)


@pytest.mark.parametrize(
    ("word", "meant", "known"),
    [
        ("--gm-isolation=bwarp", "bwrap", "unshare"),
        ("--gm-isolation=bwrap,vm", "bwrap", "unshare"),
        ("--gm-unmask=use,keyword", "keywords", "license"),
        ("--gm-unmask=~amd64", "", "license"),
        ("--gm-explain=jsno", "json", "text"),
    ],
)
def test_an_invalid_choice_is_rejected_with_the_valid_ones(word, meant, known):
    with raises("invalid-value", match=known) as caught:
        asked(word)

    assert caught.value.status == 64
    assert (caught.value.correction.meant if caught.value.correction else ("",)) == (meant,)


@pytest.mark.parametrize("word", ["--gm-unmask=none", "--gm-unmask=use,", "--gm-isolation=auto"])
def test_valid_choices_are_accepted(word: str):
    assert asked(word).options


def test_default_options_with_an_open_quote_are_rejected():
    with raises("unparsable-variable", match="GM_DEFAULT_OPTS") as caught:
        asked(GM_DEFAULT_OPTS="--quiet 'x")

    assert caught.value.status == 64


_TEXT = st.text(st.characters(codec="utf-8"))
_PARTS = st.one_of(
    st.builds(Layer, _TEXT, st.builds(Path, _TEXT.filter(lambda text: "\0" not in text))),
    st.builds(File, _TEXT, _TEXT),
    st.builds(Line, _TEXT, _TEXT),
    st.builds(MakeProfile, _TEXT, _TEXT),
    st.builds(EmergeOption, _TEXT),
    st.builds(Env, _TEXT, _TEXT),
    st.builds(Note, _TEXT),
)
_PLANS = st.builds(
    Plan,
    arguments=st.lists(_TEXT).map(tuple),
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
        broken(parts=[{"plugin": "a", "kind": "emerge_option", "data": {}}]),
        broken(parts=[{"plugin": "a", "kind": "emerge_option", "data": {"text": "a", "more": "b"}}]),
        broken(arguments="-p foo"), broken(arguments=[1]), broken(env=[]), broken(env={"A": 1}), broken(profile=None),
    ],
)  # fmt: skip
def test_a_file_that_is_not_a_plan_is_rejected_with_its_name(tmp_path: Path, text: str):
    (tmp_path / "plan.json").write_text(text)

    with raises("unreadable-plan", match=r"plan\.json") as caught:
        Plan.from_json(tmp_path / "plan.json")

    assert caught.value.status == 64


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"arguments":\n\n,}', r"line 3: expecting value$"),
        ('{"parts": []}', "'arguments' is missing$"),
        (broken(arguments=3), "3 is not a list$"),
    ],
)
def test_an_invalid_plan_is_rejected_with_the_line_and_reason(tmp_path: Path, text: str, why: str):
    (tmp_path / "plan.json").write_text(text)

    with raises("unreadable-plan", match=rf"plan\.json: {why}"):
        Plan.from_json(tmp_path / "plan.json")


def test_a_missing_or_binary_plan_is_rejected(tmp_path: Path):
    (tmp_path / "bytes").write_bytes(b"\xff")

    with raises("unreadable-plan"):
        Plan.from_json(tmp_path / "none")
    with raises("unreadable-plan"):
        Plan.from_json(tmp_path / "bytes")
    with raises("unreadable-plan"):
        Plan.from_json(tmp_path)


def planned(*parts: tuple[str, Part], arguments: tuple[str, ...] = ()) -> Plan:
    profile = Profile.create("a", Path("a.toml"))
    return make_plan(asked(*arguments), profile, parts)


def test_options_of_plugins_precede_those_of_the_user():
    plan = planned(("a", EmergeOption("-a")), ("b", EmergeOption("-b")), arguments=("-u", "x"))

    assert plan.arguments == ("-a", "-b", "-u", "x")


def test_two_plugins_that_disagree_on_a_variable_are_both_named():
    with raises("parts-conflict", match="'a' and 'b' set X") as caught:
        planned(("a", Env("X", "1")), ("c", Env("Y", "1")), ("b", Env("X", "2")))

    assert caught.value.status == 70


def test_two_plugins_that_agree_on_a_variable_are_no_conflict():
    assert planned(("a", Env("X", "1")), ("b", Env("X", "1"))).env == {"X": "1"}


def test_the_line_beats_the_profile_in_the_kind_of_container():
    assert planned(arguments=("--gm-isolation=bwrap",)).isolation == "bwrap"
    assert planned().isolation == "none"
