# SPDX-License-Identifier: GPL-2.0-or-later
"""F2, FC06 and FC07: the files of another machine, taken along as they mean it there and never filled up from here.

Seen failing on dfeccc0, some of them for a missing option or key alone:
``-march=native`` meant the CPU of the builder, a file that make.conf sources was left
behind, and one that it sources by its full path was this host's.
"""

import json
import os
import shutil
from pathlib import Path

import pytest
from helpers import cpus

from gentoomuch_portage.demo_host import Host
from gentoomuch_portage.demo_host.host import write

NATIVE = {
    "CFLAGS": {"make.conf": 'CFLAGS="-O2 -march=native -pipe"\n'},
    "another option": {"make.conf": 'CFLAGS="-O2 -mcpu=native"\n'},
    "a folder": {"make.conf/10-flags": 'CFLAGS="-O2 -march=native"\n'},
    "Rust": {"make.conf": 'CFLAGS="-O2"\nRUSTFLAGS="-C target-cpu=native"\n'},
    "an env file": {"make.conf": 'CFLAGS="-O2"\n', "env/fast": 'CFLAGS="-march=native"\n', "package.env": "*/* fast\n"},
    "a bashrc": {"make.conf": 'CFLAGS="-O2"\n', "bashrc": 'export CFLAGS="${CFLAGS} -march=native"\n'},
    "a sourced file": {"make.conf": "source make.conf.fast\n", "make.conf.fast": 'CFLAGS="-march=native"\n'},
}
"""Where a machine says native -> files of its /etc/portage."""


@pytest.fixture
def other(host: Host, tmp_path: Path) -> Path:
    """The /etc/portage of another machine, without a make.conf."""
    etc = tmp_path / "other/etc/portage"
    shutil.copytree(host.etc / "repos.conf", etc / "repos.conf")
    (etc / "make.profile").symlink_to(host.repository / "profiles/machine")
    return etc


def fill(etc: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        write(etc / name, text)


def places(host: Host) -> str:
    """The make.conf of the host, which says where the sources are and where packages are built."""
    return (host.etc / "make.conf").read_text()


def unusable(ended, code: str) -> None:
    assert ended.status == 78, ended.out + ended.err
    assert f"[{code}]" in ended.err
    assert ">>> Emerging" not in ended.out


@pytest.mark.parametrize("where", NATIVE)
def test_an_adopted_machine_with_native_is_not_built_before_its_cpu_is_set(host: Host, on, other, tmp_path, where: str):
    fill(other, NATIVE[where])
    root = tmp_path / "root"

    adopted = on("gentoomuch", "profile", "adopt", other, "box", "--root", root, "--json")
    lint = on("gentoomuch", "profile", "lint", "box", "--json")
    built = on("gm-emerge", "--gm-profile=box", "--usepkg=n", "-1q", "libgreet")

    assert adopted.status == 0, adopted.err
    assert json.loads(adopted.out)["native"]
    assert [one["kind"] for one in json.loads(lint.out)] == ["cpu-unnamed"]
    unusable(built, "cpu-unnamed")
    assert not (host.eroot(root) / "var/db/pkg").exists()


def test_a_machine_whose_cpu_is_named_can_be_built(host: Host, on, other: Path, tmp_path: Path):
    fill(other, {"make.conf": places(host) + NATIVE["CFLAGS"]["make.conf"]})
    cpu = "x86-64" if not cpus.NOT_X86 else "native"

    on("gentoomuch", "profile", "adopt", other, "box", "--root", tmp_path / "root", "--cpu", cpu)
    ended = on("gm-emerge", "--gm-profile=box", "--usepkg=n", "-1q", "libgreet")

    assert ended.status == 0, ended.out + ended.err


def test_a_layer_with_native_of_another_machine_is_not_built(host: Host, on, other: Path, tmp_path: Path):
    root = f'root = "{tmp_path / "root"}"\nbase = "none"\nmake_profile = "machine"\nlayers = ["box"]\n'
    shutil.copytree(other, host.config / "layers/box", symlinks=True)
    write(host.config / "layers/box/make.conf", places(host) + 'CFLAGS="-O2 -march=native"\n')
    host.profile("box", root)

    unusable(on("gm-emerge", "--gm-profile=box", "--usepkg=n", "-1q", "libgreet"), "cpu-unnamed")
    assert on("gentoomuch", "profile", "lint", "box").status == 1
    host.profile("box", f'cpu = "native"\n{root}')
    ended = on("gm-emerge", "--gm-profile=box", "--usepkg=n", "-1q", "libgreet")
    assert ended.status == 0, ended.out + ended.err


NEHALEM = (
    "processor\t: 0\nmodel name\t: old\nflags\t\t: fpu lm cmov cx8 mmx fxsr sse sse2 pni cx16 ssse3 sse4_1 sse4_2 "
    "popcnt lahf_lm syscall nx\n"
)


@pytest.mark.skipif(cpus.NOT_X86 or os.geteuid() != 0, reason="a /proc/cpuinfo of x86 is mounted, which takes root")
@pytest.mark.parametrize(("compiler", "cpu"), [("nehalem", "nehalem"), ("haswell", "x86-64-v2"), ("", "x86-64-v2")])
def test_ssh_queries_the_cpu_of_a_machine_with_native(host: Host, on, other, tmp_path, compiler: str, cpu: str):
    fill(other, NATIVE["CFLAGS"])
    there = tmp_path / "there"
    write(there / "cpuinfo", NEHALEM)
    gcc = shutil.which("gcc") or ""
    asks = f'for flag; do shift; set -- "$@" "${{flag%native}}"; done; exec {gcc} "-march={compiler}" "$2" "$3"'
    write(there / "bin/gcc", f"#!/bin/sh\n{asks if compiler else 'exit 127'}\n").chmod(0o755)
    remote = f'mount --bind {there}/cpuinfo /proc/cpuinfo; PATH={there}/bin:$PATH; exec sh -c "$0"'
    script = f'[ "$1" = -- ] && [ "$2" = root@box ] && exec unshare --mount sh -c \'{remote}\' "$3"'
    write(host.bin / "ssh", f"#!/bin/sh\n{script}\n").chmod(0o755)

    ended = on("gentoomuch", "profile", "adopt", f"root@box:{other}", "box", "--root", tmp_path / "root", "--json")

    assert ended.status == 0, ended.err
    assert json.loads(ended.out)["cpu"] == cpu
    assert on("gentoomuch", "profile", "run", "box", "--", "true").status == 0


def test_sourced_files_are_adopted(host: Host, on, other: Path, tmp_path: Path):
    sources = 'source make.conf.lto\nsource "/etc/portage/more/flags"\nCFLAGS="-O2 ${LTO} ${MORE}"\n'
    loop = 'for one in /etc/portage/bashrc.d/*.sh; do\n\t. "${one}"\ndone\n'
    files = {
        "make.conf": places(host) + sources,
        "make.conf.lto": 'source deeper.conf\nLTO="-flto ${DEEPER}"\n',
        "deeper.conf": 'DEEPER="-g"\n',
        "more/flags": 'MORE="-pipe"\n',
        "bashrc": f"{loop}source ${{PORTAGE_CONFIGROOT}}/etc/portage/x.sh\n",
        "bashrc.d/10.sh": "einfo mine\n",
        "x.sh": "einfo x\n",
        "notes.txt": "nobody reads this\n",
    }
    fill(other, files)

    ended = on("gentoomuch", "profile", "adopt", other, "box", "--root", tmp_path / "root", "--json")
    shown = on("gentoomuch", "profile", "run", "box", "--", "portageq", "envvar", "CFLAGS")
    built = on("gm-emerge", "--gm-profile=box", "--usepkg=n", "-1", "libgreet")

    assert [line.partition(":")[0] for line in json.loads(ended.out)["skipped"]] == ["notes.txt"]
    assert shown.out == "-O2 -flto -g -pipe\n", shown.err
    assert built.status == 0, built.out + built.err
    assert {"mine", "x"} <= {line.rpartition(" ")[2] for line in built.out.splitlines()}


OUTSIDE = {
    "make.conf": ("make.conf", 'A=""\nsource {}\n', 2),
    "make.conf, quoted": ("make.conf", 'source "{}"\n', 1),
    "make.conf, by a variable": ("make.conf", 'D="{}"\nsource ${{D}}\n', 2),
    "make.conf, behind another statement": ("make.conf", 'A="1"; source {}\n', 1),
    "an env file": ("env/fast", "source {}\n", 1),
    "a bashrc": ("bashrc", "\n[[ -f {0} ]] && source {0}\n", 2),
    "a bashrc, by a dot": ("bashrc", 'if true; then . "{}"; fi\n', 1),
    "a script of a package": ("env/dev-demo/libgreet", "source {}\n", 1),
    "a profile's bashrc": ("profile/profile.bashrc", "source {}\n", 1),
}
"""Where a file is sourced by its full path -> the file, its text, and the line."""


@pytest.mark.parametrize("where", OUTSIDE)
def test_a_file_of_this_host_is_never_read_for_another_machine(host: Host, on, other: Path, tmp_path: Path, where: str):
    name, text, line = OUTSIDE[where]
    ours = write(
        tmp_path / "abs/flags", 'CFLAGS="-DTHIS_HOST"\ntouch "/tmp/this-host" 2>/dev/null\n'.partition("touch")[0]
    )
    fill(other, {"make.conf": 'CFLAGS="-O2"\n', name: text.format(ours)})

    adopted = on("gentoomuch", "profile", "adopt", other, "box", "--root", tmp_path / "root")
    lint = on("gentoomuch", "profile", "lint", "box", "--json")
    built = on("gm-emerge", "--gm-profile=box", "--usepkg=n", "-1q", "libgreet")

    assert adopted.status == 1, adopted.err
    assert [one["kind"] for one in json.loads(lint.out)] == ["sourced-outside"]
    unusable(built, "sourced-outside")
    assert f"{host.config}/layers/box/{name}:{line}: " in built.err
    assert "THIS_HOST" not in built.out


def test_files_of_usr_can_be_sourced(host: Host, on, other: Path, tmp_path: Path):
    script = (
        "# source /etc/portage/old\n[[ -f /usr/lib/none ]] && source /usr/lib/none\necho 'see . /etc/x' >/dev/null\n"
    )
    fill(other, {"make.conf": 'CFLAGS="-O2"\n', "bashrc": script})

    on("gentoomuch", "profile", "adopt", other, "box", "--root", tmp_path / "root")

    assert on("gentoomuch", "profile", "run", "box", "--", "true").status == 0


def test_a_machine_with_our_own_hooks_can_be_adopted(host: Host, on, tmp_path: Path):
    """FC07: our bashrc names files of its own configuration behind a quoted variable, which is no full path."""
    assert on("gentoomuch", "hooks", "enable", "bashrc", "record").status == 0
    assert (
        on("gentoomuch", "profile", "adopt", host.etc, "twin", "--cpu=x86-64", "--root", tmp_path / "root").status == 0
    )

    ended = on("gm-emerge", "--gm-profile=twin", "-p", "gm-hello")

    assert "sourced-outside" not in ended.err
    assert ended.status == 0, ended.err
