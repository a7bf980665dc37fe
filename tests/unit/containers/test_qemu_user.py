# SPDX-License-Identifier: GPL-2.0-or-later
"""Roots for another CPU, and what the kernel knows of them."""

import sys
from pathlib import Path

import pytest
from helpers.errors import raises

from gentoomuch_portage.containers import qemu_user

AARCH64 = b"\x7fELF\x02\x01\x01" + b"\0" * 9 + b"\x03\0\xb7\0"
RISCV64 = AARCH64[:-2] + b"\xf3\0"
S390X = b"\x7fELF\x02\x02\x01" + b"\0" * 9 + b"\0\x03\0\x16"
ENTRY = """enabled
interpreter /usr/bin/qemu-aarch64
flags: {flags}
offset 0
magic 7f454c460201010000000000000000000200b700
mask ffffffffffffff00fffffffffffffffffeffffff
"""
"""As the kernel shows what systemd-binfmt has registered."""


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What stands for /proc/sys/fs/binfmt_misc."""
    folder = tmp_path / "binfmt_misc"
    folder.mkdir()
    (folder / "status").write_text("enabled\n")
    (folder / "register").symlink_to("/proc/self/mem")  # cannot be read, as the kernel's own
    monkeypatch.setattr(qemu_user.find_flags, "__defaults__", (folder,))
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The root of a machine that this one is not; its Python is reached through a link."""
    header = AARCH64 if qemu_user.cpu_name(Path(sys.executable).read_bytes()[:20]) != "aarch64" else RISCV64
    (tmp_path / "root/usr/bin").mkdir(parents=True)
    (tmp_path / "root/usr/bin/python3.13").write_bytes(header)
    (tmp_path / "root/usr/bin/python3").symlink_to("/usr/bin/python3.13")
    return tmp_path / "root"


@pytest.mark.parametrize(
    ("header", "name"), [(AARCH64, "aarch64"), (RISCV64, "riscv64"), (S390X, "s390x"), (b"#!/bin/sh", "")]
)
def test_cpu_name_is_read_from_the_elf_header(header: bytes, name: str) -> None:
    assert qemu_user.cpu_name(header) == name


def test_a_root_for_another_cpu_is_rejected_with_a_package_as_hint(root: Path, table: Path) -> None:
    with raises("foreign-cpu") as caught:
        qemu_user.check(root, "/usr/bin/python3")
    assert "QEMU_USER_TARGETS" in caught.value.hint
    assert caught.value.status == 69


def test_an_interpreter_without_flag_f_is_rejected(root: Path, table: Path) -> None:
    (table / "qemu").write_text(ENTRY.format(flags="OC").replace("ffffff\n", "ff0000\n"))
    with raises("foreign-cpu") as caught:
        qemu_user.check(root, "/usr/bin/python3")
    assert "flag F" in caught.value.hint


def test_a_root_for_another_cpu_is_accepted_with_an_interpreter(root: Path, table: Path) -> None:
    (table / "qemu").write_text(ENTRY.format(flags="OCF").replace("ffffff\n", "ff0000\n"))
    qemu_user.check(root, "/usr/bin/python3")


def test_an_interpreter_for_another_cpu_is_ignored(table: Path) -> None:
    (table / "qemu").write_text(ENTRY.format(flags="F"))
    assert qemu_user.find_flags(AARCH64, table) == "F"
    assert qemu_user.find_flags(RISCV64, table) is None
    (table / "qemu").write_text(ENTRY.format(flags="F").replace("enabled", "disabled"))
    assert qemu_user.find_flags(AARCH64, table) is None


def test_a_root_for_this_cpu_needs_no_interpreter(tmp_path: Path, table: Path) -> None:
    (tmp_path / "python3").symlink_to(sys.executable)
    program = tmp_path / "own"
    program.write_bytes(Path(sys.executable).read_bytes()[:64])
    qemu_user.check(tmp_path, "/own")
