# SPDX-License-Identifier: GPL-2.0-or-later
"""Machine code of all kinds of files, made by the compiler of this machine."""

import platform
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from gentoomuch_portage.audit.report import Report
from gentoomuch_portage.audit.scan_file import scan_bytes, scan_file

pytest.importorskip("iced_x86", reason="the extra 'audit' is not installed")
pytest.importorskip("elftools", reason="the extra 'audit' is not installed")
pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="its compiler writes no x86 code")

PLAIN = """
__attribute__((noipa)) int total(const int *values, int count)
{
	int sum = 0;
	for (int at = 0; at < count; at++)
		sum += values[at];
	return sum;
}
"""
MAIN = "int total(const int *, int); int main(int count, char **words) { return total((int *)words, count); }"
BIT = "int first(unsigned value) { return __builtin_ctz(value); }"
CRC = "int crc(int sum, int value) { return __builtin_ia32_crc32si(sum, value); }"
ASKED = """
__attribute__((target("avx2"))) static void wide(int *values) { for (int at = 0; at < 64; at++) values[at] *= 3; }
static void narrow(int *values) { for (int at = 0; at < 64; at++) values[at] *= 3; }
static void (*chosen)(int *) = narrow;
void prepare(void) { __builtin_cpu_init(); if (__builtin_cpu_supports("avx2")) chosen = wide; }
void thrice(int *values) { chosen(values); }
"""

Compile = Callable[..., Path]


@pytest.fixture
def compiled(tmp_path: Path) -> Compile:
    """Compile C: ``compiled(PLAIN, "-mavx2", "-c")`` gives the file."""

    def build(source: str, *flags: str, name: str = "made") -> Path:
        words = ["gcc", "-O3", "-march=x86-64", "-x", "c", "-", "-o", str(tmp_path / name), *flags]
        subprocess.run(words, input=source, text=True, check=True, cwd=tmp_path)
        return tmp_path / name

    return build


def seen(path: Path, name: str = "") -> Report:
    return scan_file(name or path.name, path)


def offences(report: Report) -> set[tuple[str, str]]:
    return {(one.file, one.where) for one in report.plain}


def test_an_object_file_names_its_functions(compiled):
    assert offences(seen(compiled(PLAIN, "-mavx2", "-c"))) == {("made", "total")}


def test_sections_of_their_own_for_each_function_are_all_read(compiled):
    found = seen(compiled(PLAIN + MAIN, "-mavx2", "-c", "-ffunction-sections"))

    assert ("made", "total") in offences(found)


def test_an_archive_names_its_parts(compiled, tmp_path):
    compiled(PLAIN, "-mavx2", "-c", name="a_very_long_name_for_an_object_file.o")
    compiled(MAIN, "-c", name="main.o")
    subprocess.run("ar rc libmade.a *.o", shell=True, check=True, cwd=tmp_path)

    found = seen(tmp_path / "libmade.a")

    assert offences(found) == {("libmade.a(a_very_long_name_for_an_object_file.o)", "total")}
    assert found.files == 1


def test_an_archive_of_which_a_part_asks_the_cpu_is_suspect_and_not_convicted(compiled, tmp_path):
    compiled(PLAIN, "-mavx2", "-c", name="wide.o")
    compiled('int wide(void) { return __builtin_cpu_supports("avx2"); }', "-c", name="asks.o")
    subprocess.run("ar rc libmade.a *.o", shell=True, check=True, cwd=tmp_path)

    (found,) = seen(tmp_path / "libmade.a").findings

    assert found.how == "its file queries the CPU"


def test_a_python_extension_is_read_like_any_library(compiled):
    path = compiled(PLAIN, "-mavx2", "-shared", "-fPIC", "-s", name="made.cpython-311-x86_64-linux-gnu.so")

    assert offences(seen(path)) == {(path.name, "total")}


def test_lto_objects_are_not_reported_as_clean(compiled):
    found = seen(compiled(PLAIN, "-flto", "-mavx2", "-c"))

    assert [one.why for one in found.skipped] == ["contains bytecode for link-time optimisation"]


def test_code_for_another_architecture_is_reported(compiled):
    content = bytearray(compiled(PLAIN, "-c").read_bytes())
    content[18] = 183  # aarch64. Source: <elf.h>, EM_AARCH64

    (skipped,) = scan_bytes("made", bytes(content)).skipped

    assert skipped.why == "code for aarch64; only x86 is supported"


def test_a_library_in_glibc_hwcaps_can_use_features_of_its_level(compiled):
    path = compiled(PLAIN, "-mavx2", "-shared", "-fPIC")

    assert not seen(path, "usr/lib64/glibc-hwcaps/x86-64-v3/libmade.so").plain
    assert seen(path, "usr/lib64/glibc-hwcaps/x86-64-v2/libmade.so").plain
    assert seen(path, "usr/lib64/libmade.so").plain


def test_a_bit_scan_that_decodes_as_tzcnt_means_nothing(compiled):
    assert not seen(compiled(BIT, "-c")).findings


def test_instructions_that_are_no_vectors_count_too(compiled):
    (found,) = seen(compiled(CRC, "-c", "-msse4.2")).plain

    assert (found.where, found.features) == ("crc", ("SSE4_2",))


def test_a_file_that_asks_the_cpu_is_suspect_and_not_convicted(compiled):
    found = seen(compiled(ASKED, "-shared", "-fPIC", "-s"))

    assert not found.plain
    assert {one.how for one in found.findings} <= {"queries the CPU", "its file queries the CPU"}
    assert "AVX2" in found.features


@pytest.mark.parametrize("flags", [[], ["-static"], ["-static-pie"]], ids=["dynamic", "static", "static-pie"])
@pytest.mark.parametrize("strip", [[], ["-s"]], ids=["with symbols", "stripped"])
def test_a_static_c_library_neither_causes_nor_hides_findings(compiled, flags, strip):
    clean = seen(compiled(PLAIN + MAIN, *flags, *strip))
    wide = seen(compiled(PLAIN + MAIN, "-mavx2", *flags, *strip))

    assert not clean.plain
    assert len(wide.plain) == 1


def test_a_file_without_section_headers_is_read_by_its_segments(compiled):
    content = bytearray(compiled(PLAIN + MAIN, "-mavx2").read_bytes())
    content[0x28:0x30] = bytes(8)  # where the headers begin
    content[0x3C:0x40] = bytes(4)  # how many there are, and which has their names

    assert "AVX2" in scan_bytes("made", bytes(content)).features


def test_an_empty_file_and_a_text_hold_nothing(tmp_path):
    (tmp_path / "empty").touch()

    assert seen(tmp_path / "empty") == Report()
    assert scan_bytes("text", b"#!/bin/sh\n").size == 0
