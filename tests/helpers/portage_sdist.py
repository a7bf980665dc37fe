# SPDX-License-Identifier: GPL-2.0-or-later
"""Portage's sdist: the same version as the Portage that is installed, with its tests and its bin/."""

import shutil
import subprocess
import sys
import tarfile
import tempfile
from importlib.metadata import version
from pathlib import Path

from helpers.waiting import HANG


class Unobtainable(Exception):
    """No package index gave the sdist."""


def portage_sdist(kept: Path, into: Path) -> Path:
    """Unpack the sdist of the Portage that is installed.

    Args:
        kept: where the archive stays for the next time.

    Returns:
        The unpacked tree, below ``into``.

    Raises:
        Unobtainable: pip did not get it.
    """
    name = f"portage-{version('portage')}"
    archive = kept / f"{name}.tar.gz"
    if not archive.is_file():
        _fetch(name, archive)
    with tarfile.open(archive) as packed:
        packed.extractall(into, filter="data")
    return into / name


def _fetch(name: str, archive: Path) -> None:
    with tempfile.TemporaryDirectory(dir=archive.parent) as folder:
        words = [
            "download",
            "--quiet",
            "--no-deps",
            "--no-binary",
            "portage",
            "--dest",
            folder,
            name.replace("-", "=="),
        ]
        ended = subprocess.run(
            [sys.executable, "-m", "pip", *words], capture_output=True, text=True, check=False, timeout=HANG
        )
        if ended.returncode:
            raise Unobtainable(f"pip download {name.replace('-', '==')} failed: {_reason(ended.stderr)}")
        (found,) = Path(folder).glob("portage-*.tar.gz")
        shutil.move(found, archive)


def _reason(said: str) -> str:
    """The line of pip, or of what builds Portage's metadata, that names the error; the last line if none does."""
    lines = [line.strip() for line in said.splitlines() if line.strip()] or ["pip printed nothing"]
    return next((line for line in lines if "ERROR: " in line), lines[-1])[:300]
