# SPDX-License-Identifier: GPL-2.0-or-later
"""Which predefined macros tell a feature, and which an ABI."""

import pytest

from gentoomuch_portage.isa.macros import abi, features, parse_macros

I386 = {"i386", "SIZEOF_LONG_DOUBLE=12"}


def test_macros_are_read_without_their_outer_underlines():
    found = parse_macros(
        "#define __AVX2__ 1\n#define _ARCH_PWR9 1\n#define __INT8_C(c) c\n#define __ARM_ARCH 8\n#define __x86_64 1\n"
    )

    assert found == {"AVX2", "ARCH_PWR9", "INT8_C", "ARM_ARCH=8", "x86_64"}


def test_the_extensions_of_risc_v_are_features_though_their_names_are_in_lower_case():
    assert features({"riscv_zba", "riscv_cmodel_medlow", "riscv_v_min_vlen=128", "znver3"}) == {
        "riscv_zba",
        "riscv_v_min_vlen_32",
        "riscv_v_min_vlen_64",
        "riscv_v_min_vlen_128",
    }


@pytest.mark.parametrize(
    ("macros", "has"),
    [
        ({"i486", "tune_i486"}, False),
        ({"i586", "pentium", "tune_i586"}, False),
        ({"k6", "k6_2", "tune_k6_2"}, False),
        ({"i686", "pentiumpro"}, True),
        ({"athlon", "tune_athlon"}, True),
        ({"SSE", "SSE2"}, True),
    ],
)
def test_cmov_is_derived_from_the_name_of_the_cpu(macros, has):
    assert ("CMOV" in features(I386 | macros)) == has


def test_an_older_arm_is_below_a_newer_one():
    assert features({"ARM_ARCH=6"}) < features({"ARM_ARCH=7"}) < features({"ARM_ARCH=9"})


def test_the_precisions_of_a_floating_point_unit_are_features():
    assert features({"ARM_FP=12"}) == {"FP_SINGLE", "FP_DOUBLE"}
    assert features({"ARM_FP=0xE"}) == {"FP_HALF", "FP_SINGLE", "FP_DOUBLE"}


def test_a_psabi_level_has_to_be_a_number():
    assert features({"ARM_ARCH=-1", "ARM_FP=9999999x", "riscv_v_elen="}) == frozenset()


def test_gcc_and_clang_report_the_same_abi():
    gcc = {"x86_64", "LP64", "SIZEOF_LONG_DOUBLE=16", "BYTE_ORDER=__ORDER_LITTLE_ENDIAN__"}

    assert abi(gcc) == abi(gcc | {"LITTLE_ENDIAN"}) == {"x86_64", "LP64", "SIZEOF_LONG_DOUBLE_16"}
    assert abi(I386) == abi(I386 | {"ILP32"})


def test_the_other_byte_order_is_another_abi():
    assert "BIG_ENDIAN" in abi({"aarch64", "BYTE_ORDER=__ORDER_BIG_ENDIAN__"})


def test_apx_is_one_feature_for_all_names_of_its_parts():
    assert features({"APX_F", "EGPR", "NDD", "CCMP"}) == features({"APX_F"}) == {"APX_F"}


def test_names_that_differ_between_compilers_are_one():
    assert features({"USERMSR"}) == features({"USER_MSR"})
    assert features({"AVX10_1_512"}) == features({"AVX10_1"})
