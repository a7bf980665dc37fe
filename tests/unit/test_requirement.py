"""What code needs, what a CPU has, and the verdict."""

from hypothesis import given
from hypothesis import strategies as st

from gentoomuch_portage.isa import requirement
from gentoomuch_portage.isa.requirement import SILENT, Requirement, judge, machine_flags, of_macros, of_text

names = st.frozensets(st.sampled_from(["SSE3", "AVX", "AVX2", "BMI", "AVX512F", "SGX", "PKU"]))


def needing(*features: str, **more) -> Requirement:
    return Requirement(features=frozenset(features), abi=more.pop("abi", frozenset({"LP64"})), told="-march=x", **more)


@given(names, names, st.booleans())
def test_a_recorded_requirement_is_read_as_it_was_written(features, abi, known):
    written = Requirement(features=features, abi=abi, told="-march=haswell", known=known)

    assert of_text(written.to_json()) == written


@given(names, names)
def test_code_runs_exactly_where_no_emitted_feature_is_missing(needs, has):
    verdict = judge(needing(*needs), needing(*has))

    assert verdict.accept == (needs - has <= set(SILENT))
    assert set(verdict.missing) == {name.lower() for name in needs - has if name not in SILENT}


def test_what_is_not_known_follows_the_profile():
    unknown = needing(known=False)

    assert not judge(unknown, needing()).accept
    assert judge(unknown, needing(), unknown="accept").accept
    assert judge(unknown, needing()).code == "unknown"


def test_what_is_accepted_has_no_reason_against_it():
    assert judge(needing(known=False), needing(), unknown="accept").reason == ""


def test_code_of_another_abi_is_refused_whatever_the_cpu_has():
    assert judge(needing(abi=frozenset({"i386"})), needing("AVX2")).code == "abi"


def test_a_requirement_with_hostile_words_is_unknown():
    for text in (
        "",
        "[]",
        '{"v": 2}',
        '{"v": 1, "features": ["A\\u0000"], "abi": [], "told": "", "known": true}',
        '{"v": 1, "features": [], "abi": [], "told": "\\u001b[2J", "known": true}',
        "{" * 10000,
    ):
        assert not of_text(text).known


def test_the_last_march_wins_and_mtune_says_nothing():
    assert machine_flags("-O2 -march=haswell -mtune=native -mno-avx2 -march=x86-64 -g") == (
        "-march=x86-64",
        "-mno-avx2",
    )


def test_lower_case_macros_are_names_and_not_features():
    found = of_macros({"AVX2", "znver3", "tune_znver3", "SSE2_MATH", "x86_64", "LP64"}, {"x86_64"}, "-march=znver3")

    assert found.features == {"AVX2"}
    assert found.abi == {"x86_64", "LP64"}


def test_every_silent_feature_gives_its_reason():
    assert all(reason.strip() for reason in requirement.SILENT.values())
