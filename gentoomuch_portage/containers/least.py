"""The least filter of system calls, written out for the kernel: what libseccomp is not here to make.

It refuses to put words into a terminal's input, by which a box could have its user's shell do something afterwards.
"""

import ctypes
import errno
import sys
from collections.abc import Iterator, Sequence

from gentoomuch_portage.containers import kernel

TIOCSTI, TIOCLINUX = 0x5412, 0x541C
"""Put words into the terminal's input, as if its user had typed them."""
_IOCTL = (
    (0xC000003E, 16), (0xC000003E, 0x40000202), (0x40000003, 54), (0xC00000B7, 29), (0x40000028, 54),
    (0xC00000F3, 29), (0x80000015, 54), (0xC0000015, 54),
)  # fmt: skip
"""AUDIT_ARCH_* and the number of ioctl there: x86_64, x32, i386, aarch64, arm, riscv64, ppc64 and ppc64le.
x32 has an ioctl of its own.
Source: linux/audit.h, asm/unistd.h, asm/unistd_x32.h."""
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
"""Source: linux/bpf_common.h, BPF_LD|BPF_W|BPF_ABS, BPF_JMP|BPF_JEQ|BPF_K, BPF_RET|BPF_K."""
_NUMBER, _ARCH = 0, 4
"""Where they stand in struct seccomp_data."""
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM


Step = tuple[int, int, int, int]
"""struct sock_filter: code, how many are left out where it is so and where not, value."""


def steps() -> tuple[Step, ...]:
    """The filter."""
    second = 24 if sys.byteorder == "little" else 28  # the low half of a call's second argument
    return (*(one for arch, ioctl in _IOCTL for one in _refusing(arch, ioctl, second)), (_RETURN, 0, 0, _ALLOW))


def _refusing(arch: int, ioctl: int, second: int) -> Iterator[Step]:
    yield (_LOAD, 0, 0, _ARCH)
    yield (_EQUAL, 0, 6, arch)
    yield (_LOAD, 0, 0, _NUMBER)
    yield (_EQUAL, 0, 4, ioctl)
    yield (_LOAD, 0, 0, second)
    yield (_EQUAL, 1, 0, TIOCSTI)
    yield (_EQUAL, 0, 1, TIOCLINUX)
    yield (_RETURN, 0, 0, _REFUSE)


class _Filter(ctypes.Structure):
    _fields_ = (("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte), ("k", ctypes.c_uint))


class _Program(ctypes.Structure):
    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.POINTER(_Filter)))


def load(found: Sequence[Step]) -> None:
    """Hand a filter to the kernel, for this process and all that it starts.

    Raises:
        OSError: it takes none.
    """
    array = (_Filter * len(found))(*(_Filter(*step) for step in found))
    kernel.filter_calls(ctypes.byref(_Program(len(found), array)))
