# SPDX-License-Identifier: GPL-2.0-or-later
"""Machine flags cut into the words of the tables."""

import pytest

from gentoomuch_portage.isa.flags import abi, arch_of, normalise


@pytest.mark.parametrize(
    ("arch", "flags", "expected"),
    [
        ("x86_64", ["-mavx2", "-march=haswell", "-mcpu=k8"], ("-march=haswell", "-mavx2")),
        ("x86_64", ["-mcmodel=large", "-m64"], ("-mcmodel=",)),
        ("arm64", ["-mcpu=cortex-a72+crypto+nofp"], ("-mcpu=cortex-a72", "+crypto", "+nofp")),
        ("arm", ["-mfpu=neon", "-march=armv7-a"], ("-march=armv7-a", "-mfpu=*", "-mfpu=neon")),
        ("arm", ["-mcpu=cortex-a9", "-mfpu=auto", "-mfloat-abi=hard"], ("-mcpu=cortex-a9",)),
        ("riscv64", ["-march=rv64imac"], ("_m", "_a", "_c")),
        ("riscv64", ["-march=rv64gcv_zba"], ("_m", "_a", "_f", "_d", "_c", "_v", "_zicsr", "_zifencei", "_zba")),
        ("riscv64", ["-march=rv64i2p1_m2p0_zba1p0"], ("_m", "_zba")),
        ("riscv64", ["-march=rva22u64_v"], ("-march=rva22u64", "_v")),
        ("ppc64le", ["-mcpu=power9", "-mno-htm"], ("-mcpu=power9", "-mno-htm")),
    ],
)
def test_flags_are_split_with_the_cpu_first(arch, flags, expected):
    assert normalise(arch, flags) == expected


def test_march_names_the_features_of_a_cpu_and_march_or_mcpu_those_of_code():
    flags = ("-march=armv8-a", "-mcpu=cortex-a72")

    assert normalise("arm64", flags) == flags
    assert normalise("arm64", flags, least=True) == ("-march=armv8-a",)


@pytest.mark.parametrize(
    ("chost", "flags", "arch"),
    [
        ("x86_64-pc-linux-gnu", (), "x86_64"),
        ("x86_64-pc-linux-gnu", ("-m32",), "i386"),
        ("x86_64-pc-linux-gnux32", ("-mx32",), "x86_64"),
        ("i486-pc-linux-gnu", (), "i386"),
        ("armv7a-unknown-linux-gnueabihf", (), "arm"),
        ("aarch64-unknown-linux-musl", (), "arm64"),
        ("s390x-ibm-linux-gnu", (), ""),
    ],
)
def test_chost_names_the_architecture(chost, flags, arch):
    assert arch_of(chost, flags) == arch


def test_the_float_abi_is_that_of_chost_without_a_flag():
    hard = abi("arm", (), "armv7a-unknown-linux-gnueabihf")

    assert "ARM_PCS_VFP" in hard
    assert abi("arm", (), "armv7a-unknown-linux-gnueabi") != hard
    assert abi("arm", ("-mfloat-abi=softfp",), "armv7a-unknown-linux-gnueabihf") != hard
    assert abi("riscv64", ("-mabi=lp64",)) != abi("riscv64", ())
