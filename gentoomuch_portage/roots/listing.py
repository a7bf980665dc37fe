"""The roots of all profiles: which are there, and what state they are in."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage import profiles
from gentoomuch_portage.containers.standing import stands
from gentoomuch_portage.errors import GmError
from gentoomuch_portage.roots import steps
from gentoomuch_portage.settings import Settings


class Root(NamedTuple):
    """A root of a profile."""

    profile: str
    root: Path
    state: str
    """``missing``, ``unfinished``; ``stands`` where it runs emerge by itself; ``filled`` where it does not; ``closed``
    where this user cannot look."""
    packages: int
    """How many are installed in it."""
    kept: tuple[str, ...]
    """Fresh roots of the profile that have a name."""


def roots(settings: Settings, eprefix: str) -> Iterator[Root]:
    """Every profile that can be read and has a root of its own, or kept fresh roots."""
    for name in profiles.names(settings):
        try:
            root = profiles.read(settings, name).root
        except GmError:
            continue  # profile ls tells what is wrong with it
        names = kept(settings, name)
        if root != Path("/") or names:
            yield Root(name, root, *_looked_at(root, eprefix), names)


def _looked_at(root: Path, eprefix: str) -> tuple[str, int]:
    """The state of a root, and how many packages are in it."""
    vdb = Path(f"{str(root).rstrip('/')}{eprefix}") / "var/db/pkg"
    try:
        return _state(root), sum(1 for one in vdb.glob("*/*") if (one / "PF").is_file())
    except PermissionError:
        return "closed", 0


def _state(root: Path) -> str:
    if not root.is_dir():
        return "missing"
    if steps.begun(root):
        return "unfinished"
    return "stands" if stands(root) else "filled"


def kept(settings: Settings, name: str) -> tuple[str, ...]:
    """The fresh roots of a profile that were kept, by name."""
    folder = settings.state / name / "roots"
    return tuple(sorted(one.name for one in folder.iterdir() if one.is_dir())) if folder.is_dir() else ()
