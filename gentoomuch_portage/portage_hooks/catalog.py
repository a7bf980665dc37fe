# SPDX-License-Identifier: GPL-2.0-or-later
"""The list of hooks, with their files."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_FILES = Path(__file__).parent / "files"


@dataclass(frozen=True, slots=True)
class Places:
    """Directories of this host that Portage reads."""

    etc: Path
    """etc/portage."""
    eprefix: Path
    emaint: Path
    """The directory of emaint's modules, in Portage itself."""


@dataclass(frozen=True, slots=True)
class Hook:
    """One integration for plain emerge."""

    name: str
    help: str
    files: tuple[tuple[str, Callable[[Places], Path], bool], ...]
    """Name of the template, path of the file, and whether it is a program."""

    def where(self, places: Places) -> tuple[Path, ...]:
        """Return the paths of its files."""
        return tuple(place(places) for _, place, _ in self.files)


def template(name: str) -> str:
    """Return the text of a template, with placeholders between ``@``."""
    return (_FILES / name).read_text(encoding="utf-8")


ALL = (
    Hook(
        "filter",
        "reject binary packages that this CPU cannot run, and record requirements in built packages",
        (("filter.conf", lambda places: places.etc / "sets.conf/gentoomuch.conf", False),),
    ),
    Hook(
        "unmask",
        "keep installed packages unmasked that a profile has unmasked; set @gm-unmasked",
        (("unmask.conf", lambda places: places.etc / "sets.conf/gentoomuch-unmask.conf", False),),
    ),
    Hook(
        "record",
        "record requirements, profile and patches in packages that emerge and ebuild build, without a change of emerge",
        (("record.bash", lambda places: places.eprefix / "usr/local/lib/install-qa-check.d/90gentoomuch", False),),
    ),
    Hook(
        "bashrc",
        "like record, for builders that copy etc/portage but not /usr",
        (("bashrc.bash", lambda places: places.etc / "bashrc", False),),
    ),
    Hook(
        "refresh",
        "after a sync, update masks of binary packages and prune the ledger",
        (("refresh.sh", lambda places: places.etc / "postsync.d/gentoomuch", True),),
    ),
    Hook(
        "snapshot",
        "after the sync of a repository, create a snapshot of it for containers",
        (("snapshot.sh", lambda places: places.etc / "repo.postsync.d/gentoomuch", True),),
    ),
    Hook(
        "emaint",
        "emaint --check gentoomuch and emaint --fix gentoomuch: hooks, masks and ledger",
        (
            ("emaint.spec", lambda places: places.emaint / "gentoomuch/__init__.py", False),
            ("emaint.module", lambda places: places.emaint / "gentoomuch/hooks.py", False),
        ),
    ),
)
"""In the order of ``hooks ls``."""
