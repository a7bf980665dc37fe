"""Masks that keep plain emerge from binary packages which a profile's CPU cannot run, and the files that hold them."""

import re
from collections.abc import Iterator
from pathlib import Path

from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.emerge.profile_view import looked_at
from gentoomuch_portage.reports import binpkgs

_MADE_BY = "# Made by: gentoomuch binpkg mask --profile "


def text(settings: Settings, profile: str) -> str:
    """The masks of a profile, a line each with its reason, as a file of package.mask has them."""
    with looked_at(settings, profile) as view:
        refused = binpkgs.refused(binpkgs.judged(view.plan, settings))
    masks = sorted((f"={one.offer.binpkg.name}", one.verdict.reason) for one in refused)
    return "\n\n".join([f"{_MADE_BY}{profile}", *(f"# {reason}\n{atom}" for atom, reason in masks)]) + "\n"


def count(masks: str) -> int:
    """How many masks a text has."""
    return len(re.findall(r"^=", masks, re.MULTILINE))


def written(etc: Path) -> Iterator[Path]:
    """The files of masks below an etc/portage that we once wrote."""
    for file in sorted((etc / "package.mask").rglob("*")) if (etc / "package.mask").is_dir() else ():
        if file.is_file() and profile_of(file):
            yield file


def profile_of(file: Path) -> str:
    """The profile that a file of masks was written for; empty where we did not write it."""
    head = file.read_text(encoding="utf-8", errors="replace").partition("\n")[0]
    return head.removeprefix(_MADE_BY) if head.startswith(_MADE_BY) else ""
