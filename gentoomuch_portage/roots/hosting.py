"""Fill an empty root by emerge: bootstrap from the host, step by step, each of which is done once."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage import files
from gentoomuch_portage.containers import tenants
from gentoomuch_portage.portage_adapter.arrangement import Arrangement
from gentoomuch_portage.roots import layout, steps
from gentoomuch_portage.roots.errors import BootstrapFailed, RootTaken

Emerge = Callable[[Sequence[str]], int]
"""Runs emerge for the profile, and returns its exit status."""
_FIRST = "sys-apps/baselayout"
_QUIETLY = ("--noreplace", "--ask=n")


class Step(NamedTuple):
    """One run of emerge."""

    name: str
    words: tuple[str, ...]


def refuse(root: Path) -> None:
    """Refuse to fill what is no root of Portage's.

    Raises:
        RootTaken: it holds something else, or is no folder.
    """
    if root.exists() and not root.is_dir():
        raise RootTaken(root, "is no folder", remedy=f"look at it, then remove it: ls -ld {root}")
    if not root.is_dir() or steps.is_root(root):
        return
    if any(one.name != "lost+found" for one in root.iterdir()):
        raise RootTaken(root, "holds something that is no root of Portage's", remedy="name another root")


def planned(asked: Sequence[str], repositories: Iterable[Path]) -> tuple[Step, ...]:
    """The runs of emerge that fill a root.

    Args:
        asked: sets and atoms.
        repositories: of the profile; where one has baselayout, that comes first and alone, for all else presumes it.
    """
    found = []
    if any((folder / _FIRST).is_dir() for folder in repositories):
        found.append(Step(_FIRST, ("--oneshot", "--nodeps", *_QUIETLY, _FIRST)))
    found.append(Step(" ".join(asked), (*_QUIETLY, *asked)))
    return tuple(found)


def fill(
    root: Path,
    top: Path,
    plan: Sequence[Step],
    emerge: Emerge,
    *,
    arrangement: Arrangement,
    again: str,
    begin: Callable[[str], object],
) -> None:
    """Do what is not done yet.

    Args:
        top: the root, with the prefix where there is one.
        again: the command that goes on after a failure.
        begin: hears of each step that begins.

    Raises:
        BootstrapFailed: emerge failed; what it merged stays.
        Busy: somebody else works in the root.
        NoPrivilege: it cannot be made or entered.
    """
    files.ensure(root)
    with tenants.first(root):
        _fill(root, top, plan, emerge, arrangement, again, begin)


def _fill(
    root: Path,
    top: Path,
    plan: Sequence[Step],
    emerge: Emerge,
    arrangement: Arrangement,
    again: str,
    begin: Callable[[str], object],
) -> None:
    so_far = steps.done(root)
    steps.note(root, so_far)
    layout.lay(top, arrangement)
    for step in plan:
        if step.name in so_far:
            continue
        begin(step.name)
        if status := emerge(step.words):
            raise BootstrapFailed(f"emerge {step.name}", status, again)
        so_far = (*so_far, step.name)
        steps.note(root, so_far)
    steps.finish(root)
