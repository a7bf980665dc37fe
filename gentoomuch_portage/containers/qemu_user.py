"""Roots for another CPU: their programs run where the kernel knows an interpreter for them, as qemu-user.

Source: elf(5); Documentation/admin-guide/binfmt-misc.rst of the kernel.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from gentoomuch_portage.containers.mounts import within
from gentoomuch_portage.errors import ForeignCpu

BINFMT = Path("/proc/sys/fs/binfmt_misc")
_SWITCHES = frozenset({"register", "status"})
"""What is no entry; the first cannot even be read."""
_HEADER = 20
"""Bytes of an ELF header, up to the machine."""
_NAMES = {
    (3, 1): "i386", (8, 1): "mipsel", (8, 2): "mips", (20, 2): "ppc", (21, 1): "ppc64le", (21, 2): "ppc64",
    (22, 2): "s390x", (40, 1): "arm", (43, 2): "sparc64", (62, 1): "x86_64", (183, 1): "aarch64",
    (183, 2): "aarch64_be", (243, 1): "riscv64", (258, 1): "loongarch64",
}  # fmt: skip
"""e_machine and byte order -> what qemu calls it."""
_BESIDES: Mapping[str, frozenset[str]] = {"x86_64": frozenset({"i386"}), "aarch64": frozenset({"arm"})}
"""What a CPU runs besides its own."""


def check(root: Path, program: str) -> None:
    """Make sure that the programs of a root run here.

    Args:
        program: one of them, by its path in the root; a script is taken for one that runs.

    Raises:
        ForeignCpu: they do not.
    """
    header = _header(within(root, program))
    name, own = cpu(header), cpu(_header(Path(sys.executable)))
    if not name or name == own or name in _BESIDES.get(own, ()):
        return
    flags = interpreted(header)
    if flags is None:
        told = (
            f"the programs in {root} are for {name}, this machine is {own}, and no interpreter for them is registered"
        )
        remedy = f'emerge app-emulation/qemu with QEMU_USER_TARGETS="{name}" and USE=static-user, then: '
        raise ForeignCpu(told, remedy=f"{remedy}rc-service qemu-binfmt start (or systemctl restart systemd-binfmt)")
    if "F" not in flags:
        told = f"the programs in {root} are for {name}, and their interpreter cannot be found in there"
        raise ForeignCpu(told, remedy="register it with the flag F, which opens it once for all roots")


def cpu(header: bytes) -> str:
    """What a program is for, in qemu's words; empty where it is no program."""
    if len(header) < _HEADER or header[:4] != b"\x7fELF":
        return ""
    number = int.from_bytes(header[18:20], "little" if header[5] == 1 else "big")
    return _NAMES.get((number, header[5]), f"machine {number}")


def interpreted(header: bytes, table: Path = BINFMT) -> str | None:
    """The flags of the interpreter that the kernel would take for a program; None where there is none."""
    try:
        if (table / "status").read_text(encoding="utf-8").strip() != "enabled":
            return None
        named = sorted(path for path in table.iterdir() if path.name not in _SWITCHES)
        entries = [path.read_text(encoding="utf-8") for path in named]
    except OSError:
        return None  # the kernel has none of it, or it is not mounted
    return next((flags for entry in entries if (flags := _flags(entry, header)) is not None), None)


def _flags(entry: str, header: bytes) -> str | None:
    told = dict(line.partition(" ")[::2] for line in entry.splitlines())
    magic, at = bytes.fromhex(told.get("magic", "")), int(told.get("offset", "0"))
    mask = bytes.fromhex(told.get("mask", "")) or b"\xff" * len(magic)
    found = header[at : at + len(magic)]
    if "enabled" not in told or not magic or len(found) < len(magic):
        return None
    same = all(one & of == other & of for one, other, of in zip(found, magic, mask, strict=False))
    return told.get("flags:", "") if same else None


def _header(path: Path) -> bytes:
    try:
        number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return b""
    try:
        return os.read(number, _HEADER)
    finally:
        os.close(number)
