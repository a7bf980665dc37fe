# SPDX-License-Identifier: GPL-2.0-or-later
"""The filter of system calls: what it refuses, and what it lets through."""

import ctypes
import errno
import fcntl
import mmap
import os
import pty
from collections.abc import Callable

import pytest

from gentoomuch_portage.containers import linux, seccomp

_GETPID = b"\xb8\x14\x00\x00\x00\xcd\x80\xc3"
"""mov eax, 20; int 0x80; ret: as a program for i386 asks for its number."""
_X32_IOCTL = 0x40000000 + 514
"""Source: asm/unistd_x32.h. Where the kernel runs no such programs it would be told that there is no such call."""


def _inside(work: Callable[[], int], load: Callable[[], object] | None = None) -> int:
    """What something returns in a process that the filter holds in; 128 + N where signal N ended it."""
    number = os.fork()
    if not number:
        try:
            linux.no_new_privileges()
            (load or seccomp.prepare_filter())()
            os._exit(work())
        finally:
            os._exit(99)
    status = os.waitpid(number, 0)[1]
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


@pytest.fixture(params=["libseccomp", "least"])
def load(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[], object]:
    """Each filter that can be had here."""
    if request.param == "least":
        monkeypatch.setattr(seccomp, "_LIBRARY", "no-such-library.so")
    elif seccomp.find_library() is None:
        pytest.skip("libseccomp is not here")
    return seccomp.prepare_filter()


@pytest.fixture
def library() -> None:
    """Skip where there is none."""
    if seccomp.find_library() is None:
        pytest.skip("libseccomp is not here")


def _call(name: str) -> int:
    """The error that a system call ends with, if it may be made at all."""
    libc = ctypes.CDLL(None, use_errno=True)
    number = ctypes.CDLL("libseccomp.so.2").seccomp_syscall_resolve_name(name.encode())
    libc.syscall(number, -1, 0, 0, 0, 0)
    return ctypes.get_errno()


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("name", ["keyctl", "add_key", "bpf", "io_uring_setup", "open_by_handle_at", "reboot"])
def test_calls_that_reach_beyond_a_container_are_rejected(name: str) -> None:
    assert _inside(lambda: _call(name)) == errno.EPERM


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("name", ["getpid", "unshare", "mount"])
def test_calls_that_portage_needs_are_allowed(name: str) -> None:
    assert _call(name) == _inside(lambda: _call(name))


@pytest.mark.parametrize("request_", [seccomp.TIOCSTI, seccomp.TIOCLINUX, seccomp.TIOCSTI | 1 << 32])
def test_terminal_input_cannot_be_injected(request_: int, load: Callable[[], object]) -> None:
    def work() -> int:
        _, terminal = pty.openpty()
        libc = ctypes.CDLL(None, use_errno=True)
        libc.ioctl(terminal, ctypes.c_ulong(request_), b"x")
        return ctypes.get_errno()

    assert _inside(work, load) == errno.EPERM


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="x32 runs on x86_64 alone")
def test_terminal_input_cannot_be_injected_by_x32_programs(load: Callable[[], object]) -> None:
    def work() -> int:
        _, terminal = pty.openpty()
        libc = ctypes.CDLL(None, use_errno=True)
        libc.syscall(_X32_IOCTL, terminal, seccomp.TIOCSTI, b"x")
        return ctypes.get_errno()

    assert _inside(work, load) == errno.EPERM


def test_other_ioctls_of_a_terminal_work(load: Callable[[], object]) -> None:
    def work() -> int:
        _, terminal = pty.openpty()
        fcntl.ioctl(terminal, 0x5413, b"\0" * 8)
        return 0

    assert _inside(work, load) == 0


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="i386 runs on x86_64 alone")
def test_programs_for_i386_are_not_killed(load: Callable[[], object]) -> None:
    def work() -> int:
        with mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC) as code:
            code.write(_GETPID)
            at = ctypes.addressof(ctypes.c_char.from_buffer(code))
            found = ctypes.CFUNCTYPE(ctypes.c_int)(at)()
            os._exit(0 if found == os.getpid() else 1)

    assert _inside(work, load) == 0
