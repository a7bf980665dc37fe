# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs that nobody here wrote, from upstream's unchanged tarballs, compiled, packaged, merged and run."""

import re
import subprocess
import tarfile
from pathlib import Path

import pytest

PROGRAMS = {"bc": "CFLAGS", "hello": "CFLAGS", "lz4": "CFLAGS", "ninja": "CXXFLAGS", "sed": "CFLAGS"}
"""Each with the variable of its language; the ebuild of ninja, as ::gentoo's, unsets the other one."""
AVX = re.compile(r"\tv[a-z0-9]+ .*%[xyz]mm")
"""An instruction with a VEX or EVEX prefix, as objdump writes it."""

NINJA = """
rule copy
  command = cp $in $out
build second: copy first
build third: copy second
"""

every_program = pytest.mark.parametrize("program", PROGRAMS)


def switches(program: Path) -> list[str]:
    """The command line of each compilation that went into a program."""
    told = subprocess.check_output(["readelf", "--string-dump=.GCC.command.line", program], encoding="utf-8")
    return re.findall(r"^ +\[ *[0-9a-f]+\]  (GNU .*)$", told, re.M)


def instructions(program: Path) -> str:
    return subprocess.check_output(["objdump", "--disassemble", "--no-show-raw-insn", program], encoding="utf-8")


def told_by(package: Path, key: str, scratch: Path) -> str:
    """What a binary package says of its building. Source: GLEP 78."""
    with tarfile.open(package) as parts:
        metadata = next(part for part in parts.getmembers() if "/metadata.tar" in part.name)
        (scratch / "metadata").write_bytes(parts.extractfile(metadata).read())
    # GNU tar knows a compression by its first bytes.
    argv = ["tar", "--extract", "--to-stdout", f"--file={scratch / 'metadata'}", f"metadata/{key}"]
    return subprocess.check_output(argv, encoding="utf-8").strip()


def test_hello_greets(machine):
    assert machine.run("hello") == "Hello, world!\n"


def test_bc_computes_a_hundred_digits_of_pi(machine):
    digits = machine.run("bc", "--mathlib", "--quiet", text="scale=100\n4*a(1)\n").replace("\\\n", "")

    assert digits.startswith("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899")


def test_sed_edits_a_stream(machine):
    edited = machine.run("sed", "-E", "-e", r"s/(\w+) (\w+)/\2 \1/", "-e", "2d", text="one two\nthree\nfour five\n")

    assert edited == "two one\nfive four\n"


def test_lz4_decompresses_its_own_output(machine, tmp_path):
    plain, packed, again = tmp_path / "plain", tmp_path / "packed", tmp_path / "again"
    plain.write_text("".join(f"line {number}\n" for number in range(100_000)))

    machine.run("lz4", "-9", "--quiet", plain, packed)
    machine.run("lz4", "-d", "--quiet", packed, again)

    assert packed.stat().st_size < plain.stat().st_size / 2
    assert again.read_bytes() == plain.read_bytes()


def test_ninja_builds_only_outdated_targets(machine, tmp_path):
    (tmp_path / "build.ninja").write_text(NINJA)
    (tmp_path / "first").write_text("from the first\n")

    once = machine.run("ninja", cwd=tmp_path)
    twice = machine.run("ninja", cwd=tmp_path)

    assert (tmp_path / "third").read_text() == "from the first\n"
    assert "[2/2]" in once
    assert "no work to do" in twice


@every_program
def test_the_binary_package_records_the_flags_of_its_profile(machine, program, tmp_path):
    told = told_by(machine.package(program), PROGRAMS[program], tmp_path)

    assert told == machine.flags


@every_program
def test_every_compilation_was_given_the_flags_of_the_profile(machine, program):
    compilations = switches(machine.program(program))

    assert compilations
    strange = [line for line in compilations if f"-march={machine.cpu}" not in line.split()]
    assert not strange
    optimised = [line for line in compilations if re.findall(r" (-O\w)", line)[-1] == machine.flags.split()[0]]
    assert optimised == compilations


@every_program
def test_no_program_of_the_router_needs_avx(machines, program):
    code = instructions(machines["router"].program(program))

    assert "%rsp" in code
    assert not AVX.findall(code)


def test_the_laptop_program_uses_avx(machines):
    if machines["laptop"].cpu != "x86-64-v3":
        pytest.skip("this CPU has no AVX2, and so neither has the laptop")

    assert AVX.findall(instructions(machines["laptop"].program("lz4")))


@every_program
def test_the_packages_of_both_machines_lie_side_by_side(machines, program):
    packages = {machine.package(program) for machine in machines.values()}

    assert len(packages) == 2
    assert all(package.is_file() for package in packages)


def test_a_second_router_is_made_of_the_first_ones_packages(machines, host):
    router = machines["router"]
    spare = host.folder / "spare"
    text = (host.config / "profiles/router.toml").read_text()
    host.profile("spare", text.replace(str(host.folder / "router"), str(spare)))

    # The newest packages are the router's; the laptop's are on offer, too.
    type(router)("spare", router.cpu, host, router.sources).emerge(
        "--usepkgonly", *(f"={version}" for version in router.sources.programs.values())
    )

    installed = host.eroot(spare) / "var/db/pkg"
    told = {
        name: (installed / version / PROGRAMS[name]).read_text().strip()
        for name, version in router.sources.programs.items()
    }
    assert told == dict.fromkeys(router.sources.programs, router.flags)
