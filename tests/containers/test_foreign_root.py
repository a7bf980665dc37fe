# SPDX-License-Identifier: GPL-2.0-or-later
"""A root whose programs are for another CPU: they run by qemu-user where the kernel knows it.

The kernel is told so in a user namespace that ends with the test; the machine's own table stays as it is.
"""

import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import BIN, Ended, Run
from helpers.containers import need
from helpers.waiting import HANG

from gentoomuch_portage.containers import qemu_user
from gentoomuch_portage.demo_host import Host

_HELLO = r"""#include <stdio.h>
#include <sys/utsname.h>
int main(void) { struct utsname told; uname(&told); return printf("hello from %s\n", told.machine) < 0; }
"""
_MAGIC = r"\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
_MASK = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
"""Source: scripts/qemu-binfmt-conf.sh of qemu."""


@pytest.fixture
def root(host: Host) -> Path:
    """The root of the profile ``arm``: all of its programs are one, for aarch64."""
    root = host.folder / "roots/arm"
    (root / "usr/bin").mkdir(parents=True)
    (root / "tmp").mkdir()
    hello = root / "usr/bin/hello"
    argv = ["aarch64-linux-gnu-gcc", "-static", "-x", "c", "-", "-o", str(hello)]
    if not shutil.which(argv[0]) or subprocess.run(argv, input=_HELLO, text=True, capture_output=True).returncode:
        pytest.skip("no static program for arm64 can be compiled here (gcc-aarch64-linux-gnu, libc6-dev-arm64-cross)")
    if qemu_user.cpu_name(hello.read_bytes()[:20]) == qemu_user.cpu_name(Path(sys.executable).read_bytes()[:20]):
        pytest.skip("this machine is an arm64 itself")
    for name in ("python3", "emerge"):
        shutil.copy(hello, root / "usr/bin" / name)
    host.profile("arm", f'root = "{root}"\n')
    return root


@pytest.fixture
def registered(host: Host) -> Callable[..., Ended]:
    """Runs a program where the kernel knows an interpreter for aarch64."""
    qemu = shutil.which("qemu-aarch64-static")
    if not qemu:
        pytest.skip("qemu-aarch64-static is not here (qemu-user-static)")
    if [int(word) for word in platform.release().split("-")[0].split(".")[:2]] < [6, 7]:
        pytest.skip("this kernel has one table of interpreters for the whole machine (before Linux 6.7)")
    line = f":qemu-aarch64:M::{_MAGIC}:{_MASK}:{qemu}:F"
    there = "mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc"
    register = f"printf %s {shlex.quote(line)} > /proc/sys/fs/binfmt_misc/register"
    as_root = [sys.executable, "-m", "gentoomuch_portage.containers.root_helper", "unshare", "--mount", "sh", "-c"]

    def run(program: str, *words: str) -> Ended:
        script = f"{there} && {register} || exit 66; exec {shlex.join([str(BIN / program), *words])}"
        ended = subprocess.run([*as_root, script], env=host.env(), capture_output=True, text=True, timeout=HANG)
        if ended.returncode == 66:
            pytest.skip(f"binfmt_misc cannot be had: {ended.stderr}")
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    return run


@pytest.mark.parametrize("isolation", ["unshare", "bwrap"])
def test_programs_of_a_root_for_another_cpu_run(root: Path, registered: Callable[..., Ended], isolation: str) -> None:
    need(isolation)

    ended = registered("gentoomuch", "-q", "freshroot", "arm", "--isolation", isolation, "--", "/usr/bin/hello")

    assert (ended.status, ended.out) == (0, "hello from aarch64\n"), ended.err


def test_a_missing_interpreter_is_reported_with_its_package(root: Path, on: Run) -> None:
    if qemu_user.find_flags((root / "usr/bin/hello").read_bytes()[:20]) is not None:
        pytest.skip("this machine has one")

    ended = on("gentoomuch", "-q", "freshroot", "arm", "--", "/usr/bin/hello")

    assert ended.status == 69
    assert "[foreign-cpu]" in ended.err
    assert 'QEMU_USER_TARGETS="aarch64"' in ended.err
