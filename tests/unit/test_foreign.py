"""Roots for another CPU, and what the kernel knows of them."""

import sys
from pathlib import Path

import pytest

from gentoomuch_portage.containers import qemu_user
from gentoomuch_portage.errors import ForeignCpu

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
    monkeypatch.setattr(qemu_user.interpreted, "__defaults__", (folder,))
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The root of a machine that this one is not; its Python is reached through a link."""
    header = AARCH64 if qemu_user.cpu(Path(sys.executable).read_bytes()[:20]) != "aarch64" else RISCV64
    (tmp_path / "root/usr/bin").mkdir(parents=True)
    (tmp_path / "root/usr/bin/python3.13").write_bytes(header)
    (tmp_path / "root/usr/bin/python3").symlink_to("/usr/bin/python3.13")
    return tmp_path / "root"


@pytest.mark.parametrize(
    ("header", "name"), [(AARCH64, "aarch64"), (RISCV64, "riscv64"), (S390X, "s390x"), (b"#!/bin/sh", "")]
)
def test_a_program_tells_what_it_is_for(header: bytes, name: str) -> None:
    assert qemu_user.cpu(header) == name


def test_a_root_for_another_cpu_is_refused_with_what_is_to_be_installed(root: Path, table: Path) -> None:
    with pytest.raises(ForeignCpu) as caught:
        qemu_user.check(root, "/usr/bin/python3")
    assert "QEMU_USER_TARGETS" in caught.value.remedy
    assert caught.value.status == 69


def test_an_interpreter_that_a_root_cannot_find_is_no_help(root: Path, table: Path) -> None:
    (table / "qemu").write_text(ENTRY.format(flags="OC").replace("ffffff\n", "ff0000\n"))
    with pytest.raises(ForeignCpu, match="cannot be found"):
        qemu_user.check(root, "/usr/bin/python3")


def test_with_an_interpreter_a_root_for_another_cpu_is_as_good_as_any(root: Path, table: Path) -> None:
    (table / "qemu").write_text(ENTRY.format(flags="OCF").replace("ffffff\n", "ff0000\n"))
    qemu_user.check(root, "/usr/bin/python3")


def test_an_interpreter_for_another_cpu_does_not_count(table: Path) -> None:
    (table / "qemu").write_text(ENTRY.format(flags="F"))
    assert qemu_user.interpreted(AARCH64, table) == "F"
    assert qemu_user.interpreted(RISCV64, table) is None
    (table / "qemu").write_text(ENTRY.format(flags="F").replace("enabled", "disabled"))
    assert qemu_user.interpreted(AARCH64, table) is None


def test_a_root_for_this_cpu_is_asked_nothing(tmp_path: Path, table: Path) -> None:
    (tmp_path / "python3").symlink_to(sys.executable)
    program = tmp_path / "own"
    program.write_bytes(Path(sys.executable).read_bytes()[:64])
    qemu_user.check(tmp_path, "/own")
