"""What a CPU has, as the real compiler says."""

import platform
from pathlib import Path

import pytest

from gentoomuch_portage.builtin_plugins import cpu as builtin_plugins_cpu
from gentoomuch_portage.config.profile import Profile
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import MissingProgram, UnknownCpu
from gentoomuch_portage.isa import cpu as isa_cpu
from gentoomuch_portage.isa.languages import rustflags
from gentoomuch_portage.plan.plan import Line
from gentoomuch_portage.process import where

pytestmark = [
    pytest.mark.skipif(platform.machine() != "x86_64", reason="these names are of x86-64"),
    pytest.mark.skipif(where("gcc") is None, reason="there is no gcc"),
]


def flags(cpu: str, cache: Path) -> set[str]:
    name, value = isa_cpu.cpu_flags(isa_cpu.macros(cpu, cache, asked_at="a.toml:1"))
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
def test_a_cpu_has_what_its_makers_say(tmp_path: Path, cpu: str, has: set[str], lacks: set[str]):
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
def test_go_is_told_the_highest_level_that_a_cpu_reaches(tmp_path: Path, cpu: str, level: str):
    assert isa_cpu.goamd64(isa_cpu.macros(cpu, tmp_path, asked_at="")) == level


def test_elsewhere_go_and_cpu_flags_are_told_nothing():
    assert isa_cpu.goamd64(frozenset({"riscv"})) == ""
    assert isa_cpu.cpu_flags(frozenset({"riscv"})) == ("", "")
    assert isa_cpu.cpu_flags(frozenset({"aarch64", "ARM_NEON"})) == ("CPU_FLAGS_ARM", "neon")
    assert isa_cpu.flag_name(frozenset({"powerpc"})) == "-mcpu"


def test_an_unknown_name_is_told_with_its_place_and_the_nearest(tmp_path: Path):
    with pytest.raises(UnknownCpu, match=r"a\.toml:7: the compiler knows no cpu 'znver33'") as caught:
        isa_cpu.macros("znver33", tmp_path, asked_at="a.toml:7")

    assert caught.value.status == 78
    assert caught.value.remedy == 'cpu = "znver3" ?'


def test_features_may_stand_behind_a_cpu(tmp_path: Path):
    options, found = isa_cpu.chosen("x86-64-v2 aes pclmul sse4_2", tmp_path, asked_at="")

    assert options == ("-march=x86-64-v2", "-maes", "-mpclmul", "-msse4.2")
    assert {"AES", "PCLMUL"} <= found
    assert rustflags("x86-64-v2 aes pclmul", options) == (
        "-C target-cpu=x86-64-v2 -C target-feature=+aes,+pclmulqdq,+sse4.2"
    )


def test_a_feature_that_nobody_knows_is_an_unknown_cpu(tmp_path: Path):
    with pytest.raises(UnknownCpu, match="x86-64-v2 nobodys"):
        isa_cpu.chosen("x86-64-v2 nobodys", tmp_path, asked_at="a.toml:7")


def test_a_name_far_from_all_lists_them(tmp_path: Path):
    with pytest.raises(UnknownCpu) as caught:
        isa_cpu.macros("@@@@", tmp_path, asked_at="")

    assert "haswell" in caught.value.remedy


@pytest.mark.parametrize("name", ["-v", "native -O3", "native\nx", "--help"])
def test_a_name_that_looks_like_an_option_is_no_option(tmp_path: Path, name: str):
    with pytest.raises(UnknownCpu):
        isa_cpu.macros(name, tmp_path, asked_at="")


def test_an_answer_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    first = isa_cpu.macros("haswell", tmp_path, asked_at="")
    monkeypatch.setattr("gentoomuch_portage.isa.compiler.run", lambda *_, **__: pytest.fail("it was asked again"))

    assert isa_cpu.macros("haswell", tmp_path, asked_at="") == first


@pytest.mark.parametrize("text", ["", "{"])
def test_a_kept_answer_that_was_cut_short_is_asked_again(tmp_path: Path, text: str):
    first = isa_cpu.macros("haswell", tmp_path, asked_at="")
    for kept in (tmp_path / "isa").iterdir():
        kept.write_text(text)

    assert isa_cpu.macros("haswell", tmp_path, asked_at="") == first


def test_another_compiler_is_asked_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "bin").mkdir()
    fake = tmp_path / "bin/gcc"
    fake.write_text('#!/bin/sh\necho "#define __x86_64__ 1"\necho "#define __AVX2__ 1"\n')
    fake.chmod(0o755)
    isa_cpu.macros("haswell", tmp_path, asked_at="")

    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")

    assert isa_cpu.macros("haswell", tmp_path, asked_at="") == {"x86_64", "AVX2"}


def test_a_machine_without_a_compiler_says_which_package_has_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(MissingProgram, match="gcc is not on PATH"):
        isa_cpu.macros("haswell", tmp_path, asked_at="")


def test_a_profiles_cpu_reaches_every_language(tmp_path: Path):
    (tmp_path / "profiles").mkdir()
    file = tmp_path / "profiles/a.toml"
    file.write_text('cpu = "haswell"\n')
    profile = Profile(name="a", file=file, cpu="haswell", unmask={}, binpkg={})
    settings = Settings.of({"GM_CONFIG": str(tmp_path), "GM_CACHE": str(tmp_path / "cache")})

    said = {
        part.text.partition("=")[0]: part
        for part in builtin_plugins_cpu.gm_parts(request=None, settings=settings, profile=profile)
    }

    assert said["CFLAGS"] == Line("make.conf", 'CFLAGS="${CFLAGS} -march=haswell"')
    assert said["RUSTFLAGS"].text == 'RUSTFLAGS="${RUSTFLAGS} -C target-cpu=haswell"'
    assert said["GOAMD64"].text == 'GOAMD64="v3"'
    assert "avx2" in said["CPU_FLAGS_X86"].text
    assert {"CFLAGS", "CXXFLAGS", "FCFLAGS", "FFLAGS"} <= said.keys()
