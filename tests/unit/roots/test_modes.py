# SPDX-License-Identifier: GPL-2.0-or-later
"""Roots that are made by somebody whose own files are for nobody else."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.stages import FILE, packed

from gentoomuch_portage.containers import root_lock
from gentoomuch_portage.portage_adapter.config import Arrangement
from gentoomuch_portage.roots import bootstrap, install
from gentoomuch_portage.roots.unpack.stream import Packed


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    assert os.umask(before) == 0o077, "it is that of the process again"


def _shut(root: Path) -> list[str]:
    """What of a root only its owner can enter or read, but for what is meant to be so."""
    every = [root, *(path for path in root.rglob("*") if not path.is_symlink())]
    return sorted(str(path) for path in every if not path.stat().st_mode & 0o004 and path.name != "root")


def test_a_root_that_is_unpacked_is_for_its_users(tmp_path: Path) -> None:
    archive = tmp_path / "stage.tar"
    archive.write_bytes(packed([("./usr/share/a", FILE, b"x")]))

    install.install((Packed(str(archive), 0, archive.stat().st_size),), tmp_path / "made", quiet=True)

    assert _shut(tmp_path / "made") == []


def test_a_root_that_is_filled_is_for_its_users(tmp_path: Path) -> None:
    made = tmp_path / "made"
    arranged = Arrangement(merged=True, libraries=("lib", "lib64"))

    bootstrap.fill(made, made, (), lambda _words: 0, arrangement=arranged, again="", begin=print)

    assert (made / "etc/passwd").is_file()
    assert _shut(made) == []


def test_a_root_can_be_locked_before_it_exists(tmp_path: Path) -> None:
    with root_lock.shared(tmp_path / "made"):
        assert _shut(tmp_path / "made") == []
