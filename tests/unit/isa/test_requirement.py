# SPDX-License-Identifier: GPL-2.0-or-later
"""What code needs, what a CPU has, and the verdict."""

from hypothesis import given
from hypothesis import strategies as st

from gentoomuch_portage.isa.features import NOT_EMITTED
from gentoomuch_portage.isa.macros import to_requirement
from gentoomuch_portage.isa.requirement import Requirement, judge, machine_flags, parse_requirement

names = st.frozensets(st.sampled_from(["SSE3", "AVX", "AVX2", "BMI", "AVX512F", "SGX", "PKU"]))


def needing(*features: str, **more) -> Requirement:
    return Requirement(
        features=frozenset(features), abi=more.pop("abi", frozenset({"LP64"})), description="-march=x", **more
    )


@given(names, names, st.booleans())
def test_a_recorded_requirement_is_read_as_it_was_written(features, abi, known):
    written = Requirement(features=features, abi=abi, description="-march=haswell", known=known)

    assert parse_requirement(written.to_json()) == written


def test_a_requirement_of_version_1_is_read():
    recorded = '{"abi": ["LP64"], "features": ["AVX2"], "known": true, "told": "-march=haswell", "v": 1}'

    parsed = parse_requirement(recorded)

    assert parsed == Requirement(
        features=frozenset({"AVX2"}), abi=frozenset({"LP64"}), description="-march=haswell", known=True
    )
    assert parse_requirement(parsed.to_json()) == parsed


@given(names, names)
def test_code_is_accepted_only_if_no_emitted_feature_is_missing(needs, has):
    verdict = judge(needing(*needs), needing(*has))

    assert verdict.accept == (needs - has <= set(NOT_EMITTED))
    assert set(verdict.missing) == {name.lower() for name in needs - has if name not in NOT_EMITTED}


def test_unknown_packages_follow_the_policy_of_the_profile():
    unknown = needing(known=False)

    assert not judge(unknown, needing()).accept
    assert judge(unknown, needing(), unknown="accept").accept
    assert judge(unknown, needing()).code == "unknown"


def test_accepted_packages_have_no_reject_reason():
    assert judge(needing(known=False), needing(), unknown="accept").reason == ""


def test_code_of_another_abi_is_rejected_on_any_cpu():
    assert judge(needing(abi=frozenset({"i386"})), needing("AVX2")).code == "abi"


def test_a_requirement_with_hostile_text_is_unknown():
    for text in (
        "",
        "[]",
        '{"v": 2}',
        '{"v": 3, "features": [], "abi": [], "description": "", "known": true}',
        '{"v": 2, "features": ["A\\u0000"], "abi": [], "description": "", "known": true}',
        '{"v": 2, "features": [], "abi": [], "description": "\\u001b[2J", "known": true}',
        '{"v": 1, "features": [], "abi": [], "told": "\\u001b[2J", "known": true}',
        "{" * 10000,
    ):
        assert not parse_requirement(text).known


def test_the_last_march_wins_and_mtune_is_ignored():
    assert machine_flags("-O2 -march=haswell -mtune=native -mno-avx2 -march=x86-64 -g") == (
        "-march=x86-64",
        "-mno-avx2",
    )


def test_lower_case_macros_are_names_and_not_features():
    macros = {"AVX2", "znver3", "tune_znver3", "SSE2_MATH", "x86_64", "LP64"}
    found = to_requirement(macros, {"x86_64"}, "-march=znver3")

    assert found.features == {"AVX2"}
    assert found.abi == {"x86_64", "LP64"}


def test_every_silent_feature_gives_its_reason():
    assert all(reason.strip() for reason in NOT_EMITTED.values())
