# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of features agrees with real compilers, and each user of it derives from its rows."""

import platform
import re
import subprocess
from collections import Counter

import pytest

from gentoomuch_portage.isa import cpu
from gentoomuch_portage.isa.features import ARM, BASELINE, NOT_EMITTED, PPC, X86
from gentoomuch_portage.isa.flags import spell
from gentoomuch_portage.isa.languages import rustflags, translate_rust
from gentoomuch_portage.isa.machine import parse_cpuinfo
from gentoomuch_portage.isa.macros import features
from gentoomuch_portage.isa.tables import table
from gentoomuch_portage.process import find_program

WITH_OPTION = [feature for feature in X86 if feature.use or feature.decoder]


@pytest.mark.parametrize("name", ["macro", "use", "decoder", "rust"])
def test_no_two_rows_have_one_name(name: str):
    for rows in (X86, ARM, PPC):
        names = Counter(filter(None, (getattr(feature, name) for feature in rows)))
        assert [one for one, count in names.items() if count > 1] == []


@pytest.mark.skipif(platform.machine() != "x86_64", reason="these options are of x86-64")
@pytest.mark.skipif(find_program("gcc") is None, reason="there is no gcc")
def test_the_option_of_a_feature_makes_gcc_predefine_its_macro():
    argv = ["gcc", "-march=x86-64", "-dM", "-E", "-x", "c", "/dev/null"]
    seen, wrong = [], []
    for feature in WITH_OPTION:
        ran = subprocess.run([*argv, f"-m{feature.switch}"], capture_output=True, text=True, check=False)
        if ran.returncode == 0 and feature.macro != "CX16":  # it has no macro of its own
            seen.append(feature)
            wrong += [] if re.search(rf"^#define _*{feature.macro}_* ", ran.stdout, re.M) else [feature.macro]

    assert len(seen) > 50
    assert wrong == []


def test_a_recorded_compiler_knows_the_option_of_each_feature():
    recorded = table("x86_64")

    assert recorded is not None
    options = {*recorded.options}
    assert [one.macro for one in WITH_OPTION if f"-m{one.switch}" not in options and one.macro not in BASELINE] == []


@pytest.mark.parametrize("feature", [feature for feature in X86 if feature.use], ids=lambda feature: feature.macro)
def test_a_feature_can_have_its_name_in_cpu_flags(feature):
    assert spell("x86_64", "x86-64", [feature.use]) == (("-march=x86-64", f"-m{feature.switch}"),)
    assert feature.use in cpu.cpu_flags(frozenset({"x86_64", feature.macro}))[1].split()
    assert cpu.features_of_use([f"cpu_flags_x86_{feature.use}"]) == {feature.macro} - BASELINE


@pytest.mark.parametrize("feature", [feature for feature in X86 if feature.rust], ids=lambda feature: feature.macro)
def test_rustc_has_a_name_of_its_own_for_a_feature(feature):
    assert translate_rust(f"-C target-feature=+{feature.rust}", "x86_64") == (f"-m{feature.switch}",)
    assert rustflags("x86-64", (f"-m{feature.switch}",)).endswith(f"+{feature.rust}")


@pytest.mark.skipif(find_program("rustc") is None, reason="there is no rustc")
def test_rustc_knows_its_names_of_features():
    argv = ["rustc", "--print", "target-features", "--target", "x86_64-unknown-linux-gnu"]
    ran = subprocess.run(argv, capture_output=True, text=True, check=False)
    if ran.returncode:
        pytest.skip(f"rustc does not run: {ran.stderr[:80]}")
    known = set(re.findall(r"^ {4}([\w.-]+) +- ", ran.stdout, re.M))

    assert len(known) > 50
    assert [one.rust for one in X86 if one.rust and one.rust not in known] == []


@pytest.mark.parametrize("feature", [feature for feature in X86 if feature.kernel], ids=lambda feature: feature.macro)
def test_a_flag_of_the_kernel_is_a_feature(feature):
    assert feature.macro in parse_cpuinfo(f"flags\t\t: fpu {feature.kernel} lm\n")
    assert feature.macro not in parse_cpuinfo("flags\t\t: fpu lm\n")


def test_levels_are_those_of_the_psabi():
    """Source: x86-64 psABI 1.0, table 3.1; LAHF_SAHF and OSXSAVE of it are no features here."""
    v2 = {"CX16", "POPCNT", "SSE3", "SSE4_1", "SSE4_2", "SSSE3"}
    v3 = v2 | {"AVX", "AVX2", "BMI", "BMI2", "F16C", "FMA", "LZCNT", "MOVBE"}

    assert cpu.features_of_level("x86-64-v2") == v2
    assert cpu.features_of_level("x86-64-v3") == v3
    assert cpu.features_of_level("x86-64-v4") == v3 | {"AVX512F", "AVX512BW", "AVX512CD", "AVX512DQ", "AVX512VL"}
    assert cpu.features_of_level("x86-64") == cpu.features_of_level("haswell") == set()


def test_aliases_and_parts_become_one_feature():
    for feature in X86:
        for name in feature.aliases:
            assert features({name}) == {feature.macro}
        assert features({feature.macro, *feature.parts}) == features({feature.macro})


def test_features_that_are_never_emitted_are_not_audited():
    assert [one.macro for one in X86 if one.decoder and one.macro in NOT_EMITTED] == []
