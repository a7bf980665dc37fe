# SPDX-License-Identifier: GPL-2.0-or-later
"""Trees of files as data, for tests that edit them and look what became of them."""

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

File = tuple[bytes, bool]
"""What it holds, and whether it may be run."""


def write(folder: Path, files: Mapping[str, File]) -> None:
    """Make a folder hold these files, and nothing else but its .git."""
    folder.mkdir(exist_ok=True)
    for one in folder.iterdir():
        if one.name != ".git":
            shutil.rmtree(one) if one.is_dir() else one.unlink()
    for name, (content, run) in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o755 if run else 0o644)


def read(folder: Path) -> dict[str, File]:
    """Return the files of a folder, without those of git."""
    return {
        str(one.relative_to(folder)): (one.read_bytes(), bool(one.stat().st_mode & 0o100))
        for one in folder.rglob("*")
        if one.is_file() and ".git" not in one.relative_to(folder).parts[:1]
    }


def inodes(folder: Path) -> dict[str, int]:
    """Return the path and the inode of all that is below a folder, while others may remove some of it."""
    found = {}
    for above, folders, files in os.walk(folder):  # a folder that has gone is passed over
        for name in (*folders, *files):
            with suppress(FileNotFoundError):
                found[f"{above}/{name}"] = os.lstat(f"{above}/{name}").st_ino
    return found
