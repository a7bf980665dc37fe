# SPDX-License-Identifier: GPL-2.0-or-later
"""What a CPU has, as the real compiler says."""

import platform
from pathlib import Path

import pytest
from helpers.errors import raises

from gentoomuch_portage.builtin_plugins import cpu as builtin_plugins_cpu
from gentoomuch_portage.config.profile import Profile
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import MissingProgram
from gentoomuch_portage.isa import cpu as isa_cpu
from gentoomuch_portage.isa.languages import rustflags
from gentoomuch_portage.plan.plan import Line
from gentoomuch_portage.process import find_program

pytestmark = [
    pytest.mark.skipif(platform.machine() != "x86_64", reason="these names are of x86-64"),
    pytest.mark.skipif(find_program("gcc") is None, reason="there is no gcc"),
]


def flags(cpu: str, cache: Path) -> set[str]:
    name, value = isa_cpu.cpu_flags(isa_cpu.macros(cpu, cache, place="a.toml:1"))
    assert name == "CPU_FLAGS_X86"
    assert value.split() == sorted(value.split())
    return set(value.split())


V1 = {"mmx", "mmxext", "sse", "sse2"}
V2 = V1 | {"popcnt", "sse3", "sse4_1", "sse4_2", "ssse3"}
V3 = V2 | {"avx", "avx2", "bmi1", "bmi2", "f16c", "fma3"}


@pytest.mark.parametrize(
    ("cpu", "has", "lacks"),
    [
        ("x86-64", V1, {"sse3", "avx"}),
        ("x86-64-v2", V2, {"avx", "aes"}),
        ("x86-64-v3", V3, {"aes", "avx512f"}),
        ("x86-64-v4", V3 | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}, {"avx512_vnni"}),
        ("haswell", V3 | {"pclmul", "rdrand"}, {"sha", "avx512f", "sse4a"}),
        ("znver3", V3 | {"aes", "sse4a", "sha", "vpclmulqdq"}, {"avx512f", "fma4", "xop", "3dnow"}),
        ("bdver1", V2 | {"avx", "fma4", "xop", "sse4a"}, {"avx2", "fma3"}),
        ("k8", V1 | {"3dnow", "3dnowext"}, {"sse3"}),
    ],
)
def test_a_cpu_has_the_documented_features(tmp_path: Path, cpu: str, has: set[str], lacks: set[str]):
    found = flags(cpu, tmp_path)

    assert has <= found
    assert not lacks & found


@pytest.mark.parametrize(("cpu", "exactly"), [("x86-64", V1), ("x86-64-v2", V2), ("x86-64-v3", V3)])
def test_a_psabi_level_has_nothing_more(tmp_path: Path, cpu: str, exactly: set[str]):
    assert flags(cpu, tmp_path) == exactly


def test_native_is_something_that_this_machine_has(tmp_path: Path):
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    here = set(next(line for line in lines if line.startswith("flags")).split(":")[1].split())
    linux = {
        "bmi1": "bmi1",
        "fma3": "fma",
        "sse3": "pni",
        "aes": "aes",
        "avx2": "avx2",
        "sha": "sha_ni",
        "popcnt": "popcnt",
    }

    found = flags("native", tmp_path)

    assert {name for name in linux if name in found} <= {name for name, seen in linux.items() if seen in here}
    assert found >= V1


@pytest.mark.parametrize(
    ("cpu", "level"), [("x86-64", "v1"), ("nehalem", "v2"), ("haswell", "v3"), ("x86-64-v4", "v4"), ("bdver1", "v2")]
)
def test_goamd64_is_the_highest_level_of_a_cpu(tmp_path: Path, cpu: str, level: str):
    assert isa_cpu.goamd64(isa_cpu.macros(cpu, tmp_path, place="")) == level


def test_other_architectures_get_no_goamd64_and_no_cpu_flags():
    assert isa_cpu.goamd64(frozenset({"riscv"})) == ""
    assert isa_cpu.cpu_flags(frozenset({"riscv"})) == ("", "")
    assert isa_cpu.cpu_flags(frozenset({"aarch64", "ARM_NEON"})) == ("CPU_FLAGS_ARM", "neon")
    assert isa_cpu.flag_name(frozenset({"powerpc"})) == "-mcpu"


def test_an_unknown_cpu_is_reported_with_its_place_and_the_most_similar_name(tmp_path: Path):
    with raises("unknown-cpu", match=r"a\.toml:7: the compiler does not know cpu 'znver33'") as caught:
        isa_cpu.macros("znver33", tmp_path, place="a.toml:7")

    assert caught.value.status == 78
    assert caught.value.hint == 'cpu = "znver3" ?'


def test_features_can_follow_the_name_of_a_cpu(tmp_path: Path):
    options, found = isa_cpu.choose_flags("x86-64-v2 aes pclmul sse4_2", tmp_path, place="")

    assert options == ("-march=x86-64-v2", "-maes", "-mpclmul", "-msse4.2")
    assert {"AES", "PCLMUL"} <= found
    assert rustflags("x86-64-v2 aes pclmul", options) == (
        "-C target-cpu=x86-64-v2 -C target-feature=+aes,+pclmulqdq,+sse4.2"
    )


def test_an_unknown_feature_is_an_unknown_cpu(tmp_path: Path):
    with raises("unknown-cpu", match="x86-64-v2 nobodys"):
        isa_cpu.choose_flags("x86-64-v2 nobodys", tmp_path, place="a.toml:7")


def test_a_name_far_from_all_lists_them(tmp_path: Path):
    with raises("unknown-cpu") as caught:
        isa_cpu.macros("@@@@", tmp_path, place="")

    assert "haswell" in caught.value.hint


@pytest.mark.parametrize("name", ["-v", "native -O3", "native\nx", "--help"])
def test_a_cpu_name_like_an_option_is_not_passed_as_one(tmp_path: Path, name: str):
    with raises("unknown-cpu"):
        isa_cpu.macros(name, tmp_path, place="")


def test_features_of_a_cpu_are_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    first = isa_cpu.macros("haswell", tmp_path, place="")
    monkeypatch.setattr("gentoomuch_portage.isa.compiler.run", lambda *_, **__: pytest.fail("it was asked again"))

    assert isa_cpu.macros("haswell", tmp_path, place="") == first


@pytest.mark.parametrize("text", ["", "{"])
def test_a_truncated_cache_entry_is_computed_again(tmp_path: Path, text: str):
    first = isa_cpu.macros("haswell", tmp_path, place="")
    for kept in (tmp_path / "isa").iterdir():
        kept.write_text(text)

    assert isa_cpu.macros("haswell", tmp_path, place="") == first


def test_another_compiler_has_its_own_cache_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "bin").mkdir()
    fake = tmp_path / "bin/gcc"
    fake.write_text('#!/bin/sh\necho "#define __x86_64__ 1"\necho "#define __AVX2__ 1"\n')
    fake.chmod(0o755)
    isa_cpu.macros("haswell", tmp_path, place="")

    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")

    assert isa_cpu.macros("haswell", tmp_path, place="") == {"x86_64", "AVX2"}


def test_a_missing_compiler_is_reported_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(MissingProgram, match="gcc is not on PATH"):
        isa_cpu.macros("haswell", tmp_path, place="")


def test_a_profiles_cpu_reaches_every_language(tmp_path: Path):
    (tmp_path / "profiles").mkdir()
    file = tmp_path / "profiles/a.toml"
    file.write_text('cpu = "haswell"\n')
    profile = Profile.create("a", file, cpu="haswell")
    settings = Settings.load({"GM_CONFIG": str(tmp_path), "GM_CACHE": str(tmp_path / "cache")})

    said = {
        part.text.partition("=")[0]: part
        for part in builtin_plugins_cpu.gm_parts(request=None, settings=settings, profile=profile)
    }

    assert said["CFLAGS"] == Line("make.conf", 'CFLAGS="${CFLAGS} -march=haswell"')
    assert said["RUSTFLAGS"].text == 'RUSTFLAGS="${RUSTFLAGS} -C target-cpu=haswell"'
    assert said["GOAMD64"].text == 'GOAMD64="v3"'
    assert "avx2" in said["CPU_FLAGS_X86"].text
    assert {"CFLAGS", "CXXFLAGS", "FCFLAGS", "FFLAGS"} <= said.keys()
