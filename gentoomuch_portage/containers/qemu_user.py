# SPDX-License-Identifier: GPL-2.0-or-later
"""Check that the programs of a root for another CPU run here, through an interpreter such as qemu-user.

Source: elf(5); Documentation/admin-guide/binfmt-misc.rst of the kernel.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from gentoomuch_portage.containers.mounts import resolve_within
from gentoomuch_portage.errors import MachineError

BINFMT = Path("/proc/sys/fs/binfmt_misc")
_SWITCHES = frozenset({"register", "status"})
"""Files that are not entries; the first cannot be read."""
_HEADER = 20
"""Bytes of an ELF header, up to the machine field."""
_NAMES = {
    (3, 1): "i386", (8, 1): "mipsel", (8, 2): "mips", (20, 2): "ppc", (21, 1): "ppc64le", (21, 2): "ppc64",
    (22, 2): "s390x", (40, 1): "arm", (43, 2): "sparc64", (62, 1): "x86_64", (183, 1): "aarch64",
    (183, 2): "aarch64_be", (243, 1): "riscv64", (258, 1): "loongarch64",
}  # fmt: skip
"""e_machine and byte order -> name in qemu."""
_COMPATIBLE: Mapping[str, frozenset[str]] = {"x86_64": frozenset({"i386"}), "aarch64": frozenset({"arm"})}
"""CPU -> others whose programs it runs as well."""


def check(root: Path, program: str) -> None:
    """Check that the programs of a root run here.

    Args:
        program: path of one of them in the root; a script is accepted.

    Raises:
        MachineError[foreign-cpu]: they do not run.
    """
    header = _header(resolve_within(root, program))
    name, own = cpu_name(header), cpu_name(_header(Path(sys.executable)))
    if not name or name == own or name in _COMPATIBLE.get(own, ()):
        return
    flags = find_flags(header)
    if flags is None:
        raise MachineError(
            f"cannot run programs for {name} of {root} on {own}: no interpreter is registered",
            code="foreign-cpu",
            hint=f'emerge app-emulation/qemu with QEMU_USER_TARGETS="{name}" and USE=static-user, then: '
            "rc-service qemu-binfmt start (or systemctl restart systemd-binfmt)",
        )
    if "F" not in flags:
        raise MachineError(
            f"cannot run programs for {name} of {root}: their interpreter is not in the root",
            code="foreign-cpu",
            hint="register the interpreter in binfmt_misc with the flag F, so that it works in all roots",
        )


def cpu_name(header: bytes) -> str:
    """Return the CPU of a program as qemu names it; empty if it is not a program."""
    if len(header) < _HEADER or header[:4] != b"\x7fELF":
        return ""
    number = int.from_bytes(header[18:20], "little" if header[5] == 1 else "big")
    return _NAMES.get((number, header[5]), f"machine {number}")


def find_flags(header: bytes, table: Path = BINFMT) -> str | None:
    """Return the flags of the interpreter that the kernel uses for a program; None if there is none."""
    try:
        if (table / "status").read_text(encoding="utf-8").strip() != "enabled":
            return None
        paths = sorted(path for path in table.iterdir() if path.name not in _SWITCHES)
        entries = [path.read_text(encoding="utf-8") for path in paths]
    except OSError:
        return None  # binfmt_misc is missing, or not mounted
    return next((flags for entry in entries if (flags := _flags(entry, header)) is not None), None)


def _flags(entry: str, header: bytes) -> str | None:
    fields = dict(line.partition(" ")[::2] for line in entry.splitlines())
    magic, offset = bytes.fromhex(fields.get("magic", "")), int(fields.get("offset", "0"))
    mask = bytes.fromhex(fields.get("mask", "")) or b"\xff" * len(magic)
    content = header[offset : offset + len(magic)]
    if "enabled" not in fields or not magic or len(content) < len(magic):
        return None
    same = all(byte & bits == wanted & bits for byte, wanted, bits in zip(content, magic, mask, strict=False))
    return fields.get("flags:", "") if same else None


def _header(path: Path) -> bytes:
    try:
        number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return b""
    try:
        return os.read(number, _HEADER)
    finally:
        os.close(number)
