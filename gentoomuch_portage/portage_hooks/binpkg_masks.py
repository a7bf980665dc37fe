# SPDX-License-Identifier: GPL-2.0-or-later
"""Masks of binary packages that a profile's CPU cannot run, for plain emerge."""

import re
from collections.abc import Iterator
from pathlib import Path

from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.emerge.profile_view import load_view
from gentoomuch_portage.reports import binpkgs

_MADE_BY = "# Made by: gentoomuch binpkg mask --profile "


def text(settings: Settings, profile: str) -> str:
    """Return the masks of a profile as a file of package.mask, each with its reason."""
    with load_view(settings, profile) as view:
        rejected = binpkgs.find_rejected(binpkgs.judge_binpkgs(view, settings))
    masks = sorted((f"={judged.offer.binpkg.name}", judged.verdict.reason) for judged in rejected)
    return "\n\n".join([f"{_MADE_BY}{profile}", *(f"# {reason}\n{atom}" for atom, reason in masks)]) + "\n"


def count(masks: str) -> int:
    """Count the masks in a text."""
    return len(re.findall(r"^=", masks, re.MULTILINE))


def find_written(etc: Path) -> Iterator[Path]:
    """Find the files of masks below an etc/portage that gentoomuch has written."""
    for file in sorted((etc / "package.mask").rglob("*")) if (etc / "package.mask").is_dir() else ():
        if file.is_file() and profile_of(file):
            yield file


def profile_of(file: Path) -> str:
    """Return the profile of a file of masks; empty if gentoomuch has not written it."""
    head = file.read_text(encoding="utf-8", errors="replace").partition("\n")[0]
    return head.removeprefix(_MADE_BY) if head.startswith(_MADE_BY) else ""
