# SPDX-License-Identifier: GPL-2.0-or-later
"""What a package needs, from what it tells of how it was built."""

import platform
import shutil
from pathlib import Path

import pytest

from gentoomuch_portage.isa import requirement, resolve
from gentoomuch_portage.isa.requirement import Requirement, judge

X86 = "x86_64-pc-linux-gnu"
GO = "go-module"


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without any compiler; its cache."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def needed(cache: Path, use=(), cc="", **variables: str) -> Requirement:
    variables = {"CHOST": X86, "CFLAGS": "-O2", "INHERITED": "", **variables}
    return resolve.package_requirement(variables, use, resolve.query_all(cache, cc, variables["CHOST"]))


def runs(needs: Requirement, *flags: str, cache: Path, chost: str = X86) -> bool:
    return judge(needs, resolve.capabilities(flags, cache, chost=chost)).accept


def test_every_language_counts(alone):
    assert "AVX2" in needed(alone, CFLAGS="-march=x86-64", CXXFLAGS="-march=haswell").features
    assert "AVX2" in needed(alone, FCFLAGS="-mavx2").features
    assert "AVX" in needed(alone, FFLAGS="-march=sandybridge").features


def test_a_flag_enables_the_features_that_it_implies(alone):
    assert {"AVX2", "AVX", "SSE4_2", "POPCNT"} <= needed(alone, CFLAGS="-mavx2").features


def test_disabled_features_and_those_that_need_them_are_not_required(alone):
    found = needed(alone, CFLAGS="-mno-avx -march=haswell")

    assert not {"AVX", "AVX2", "FMA"} & found.features
    assert {"SSE4_2", "BMI2"} <= found.features


def test_features_enabled_by_later_flags_are_required(alone):
    assert "AVX2" in needed(alone, CFLAGS="-march=haswell -mno-avx2 -mavx2").features
    assert "AVX2" in needed(alone, CFLAGS="-mavx2 -mno-avx2 -mavx2").features


def test_mcpu_on_x86_is_tuning_and_does_not_replace_march(alone):
    assert "AVX2" in needed(alone, CFLAGS="-march=haswell -mcpu=k8").features


@pytest.mark.parametrize("flags", ["-march=native", "-march=nobodys", "-mnobodys", "-march=x86-64-v3 -mcpu=native"])
def test_an_unknown_flag_makes_the_requirement_unknown(alone, flags):
    assert not needed(alone, CFLAGS=flags).known


def test_options_that_choose_no_instructions_are_no_hindrance(alone):
    plain = needed(alone, CFLAGS="-march=x86-64-v2")
    found = needed(
        alone,
        CFLAGS="-march=x86-64-v2 -mtune=znver3 -mno-omit-leaf-frame-pointer -mtls-dialect=gnu2 "
        "-mprefer-vector-width=256 -mcmodel=large -mfpmath=sse -mindirect-branch=thunk -mllvm -polly",
    )

    assert found.known
    assert found.features == plain.features


def test_code_is_compared_with_the_features_that_its_compiler_reports(alone):
    rapids = needed(alone, CFLAGS="-march=sapphirerapids")

    assert runs(rapids, "-march=sapphirerapids", cache=alone)
    assert "AVX512VP2INTERSECT" in rapids.features  # gcc 11 and clang 14 believed so, wrongly
    assert not runs(needed(alone, CFLAGS="-march=tigerlake"), "-march=sapphirerapids", cache=alone)


def test_a_recorded_compiler_version_uses_only_its_table(alone):
    assert "AVX512VP2INTERSECT" in needed(alone, CFLAGS="-march=sapphirerapids", cc="gcc-11").features
    assert "AVX512VP2INTERSECT" not in needed(alone, CFLAGS="-march=sapphirerapids", cc=f"{X86}-gcc-14.2.1").features


def test_a_compiler_without_version_uses_all_tables(alone):
    assert "AVX512VP2INTERSECT" in needed(alone, CFLAGS="-march=sapphirerapids", cc="gcc").features


def test_cpu_flags_are_required_with_any_compiler_flags(alone):
    found = needed(alone, use=["cpu_flags_x86_avx2", "cpu_flags_x86_sse2"])

    assert found.features == {"AVX2"}
    assert not runs(found, "-march=x86-64-v2", cache=alone)
    assert runs(found, "-march=haswell", cache=alone)


def test_flags_of_rust_and_go_count_only_if_they_are_used(alone):
    told = {"RUSTFLAGS": "-C target-cpu=haswell", "GOAMD64": "v4"}

    assert needed(alone, **told).features == frozenset()
    assert "AVX2" in needed(alone, **told, INHERITED="cargo toolchain-funcs").features
    assert "AVX512F" in needed(alone, **told, INHERITED="go-module").features


def test_flags_of_rust_and_go_count_if_their_use_is_unknown(alone):
    variables = {"CHOST": X86, "CFLAGS": "", "RUSTFLAGS": "-Ctarget-cpu=haswell", "GOAMD64": "v4"}

    assert {"AVX2", "AVX512F"} <= resolve.package_requirement(
        variables, (), resolve.query_all(alone, chost=X86)
    ).features


@pytest.mark.parametrize(
    ("flags", "feature"),
    [
        ("-C target-feature=+avx2,-bmi2", "AVX2"),
        ("-Ctarget-feature=+sse4.2,+bmi1", "BMI"),
        ("--codegen target-feature=+cmpxchg16b", "CX16"),
        ("-C opt-level=3 -C target-cpu=x86-64-v3 -C target-feature=-crt-static", "FMA"),
    ],
)
def test_features_of_rust_have_rustcs_names(alone, flags, feature):
    assert feature in needed(alone, INHERITED="cargo", RUSTFLAGS=flags).features


@pytest.mark.parametrize("chost", [X86, "riscv64-unknown-linux-musl", "powerpc64le-unknown-linux-musl"])
def test_crt_static_of_rust_is_not_a_cpu_feature(alone, chost):
    assert needed(alone, CHOST=chost, INHERITED="cargo", RUSTFLAGS="-C target-feature=+crt-static").known


def test_an_unknown_feature_of_rust_makes_the_requirement_unknown(alone):
    assert not needed(alone, INHERITED="cargo", RUSTFLAGS="-C target-feature=+nobodys").known


@pytest.mark.parametrize(
    ("chost", "told", "feature"),
    [
        ("aarch64-unknown-linux-gnu", {"GOARM64": "v8.1,crypto"}, "ARM_FEATURE_ATOMICS"),
        ("armv6j-unknown-linux-gnueabihf", {"GOARM": "7"}, "ARMv7"),
        ("powerpc64le-unknown-linux-gnu", {"GOPPC64": "power9"}, "ARCH_PWR9"),
        ("riscv64-unknown-linux-gnu", {"GORISCV64": "rva22u64"}, "riscv_zba"),
        ("i686-pc-linux-gnu", {"GO386": "sse2"}, "SSE2"),
    ],
)
def test_gos_levels_of_other_machines_count(alone, chost, told, feature):
    assert feature in needed(alone, INHERITED=GO, CHOST=chost, **told).features
    assert feature not in needed(alone, INHERITED=GO, CHOST=chost).features


def test_another_libc_is_another_abi(alone):
    gnu, musl = needed(alone), needed(alone, CHOST="x86_64-gentoo-linux-musl")

    assert judge(gnu, musl).code == "abi"
    assert judge(gnu, gnu).accept
    assert judge(needed(alone, use=["elibc_musl"]), gnu).code == "abi"


def test_an_unrecorded_libc_is_accepted(alone):
    assert runs(needed(alone), "-march=x86-64", cache=alone)


@pytest.mark.parametrize("width", ["-m32", "-mx32"])
def test_another_width_is_another_abi(alone, width):
    assert judge(needed(alone, CFLAGS=width), resolve.capabilities((), alone, chost=X86)).code == "abi"


def test_32_bit_code_requires_the_cpu_of_chost(alone):
    found = needed(alone, CHOST="i686-pc-linux-gnu")

    assert "CMOV" in found.features
    assert not runs(found, "-march=i586", cache=alone, chost="i586-pc-linux-gnu")


def test_a_megabyte_of_flags_is_unknown(alone):
    assert not needed(alone, CFLAGS="-mavx2 " + " ".join(f"-mx{n}" for n in range(100_000))).known


def test_a_recorded_requirement_covers_only_its_own_compiler(alone):
    read = requirement.parse_requirement(needed(alone, CFLAGS="-march=haswell").to_json())

    assert read.by == {}
    assert runs(read, "-march=haswell", cache=alone)


@pytest.mark.skipif(not shutil.which("gcc"), reason="there is no gcc here")
@pytest.mark.parametrize("cpu", ["native", "znver3", "x86-64-v3"])
def test_a_package_of_rust_that_was_built_for_a_cpu_runs_on_it(tmp_path, cpu):
    flags = {"CC": "gcc", "CFLAGS": f"-march={cpu}", "RUSTFLAGS": f"-C target-cpu={cpu}", "INHERITED": "cargo"}

    read = requirement.parse_requirement(resolve.recorder(tmp_path)({**flags, "CHOST": X86}, frozenset()))

    assert read.known
    assert judge(read, resolve.capabilities((f"-march={cpu}",), tmp_path)).accept


@pytest.mark.skipif(not shutil.which("gcc"), reason="there is no gcc here")
@pytest.mark.skipif(platform.machine() != "x86_64", reason="the kernel names features of x86 only")
def test_a_feature_disabled_after_native_is_not_read_from_the_kernel(tmp_path):
    """The kernel names SSE3 ``pni``; every x86-64 since 2005 has it."""
    flags = ("-march=native", "-mno-sse3")

    assert "SSE3" in resolve.capabilities(flags[:1], tmp_path).features
    assert "SSE3" not in resolve.capabilities(flags, tmp_path).features
