"""Roots by ID: what a project needs for building is installed once, in a copy-on-write view that is named by its ID.

Such a view is used again as long as the ID is the same and what is installed below it is.
"""

import hashlib
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from gentoomuch_portage import fs
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.containers import lifecycle
from gentoomuch_portage.plan.plan import Plan, Tree

_STAMP = "below"
"""In a root by ID: what was installed below it when it was made."""


@contextmanager
def by_id(plan: Plan, settings: Settings, vdb: Path, upper: Callable[[Path], Path | None]) -> Iterator[Path | None]:
    """The root of the projects of a plan, ours alone for the length of the block.

    Args:
        vdb: what is installed below it.
        upper: where the changes to that are kept, of a root in a folder.

    None where the plan has no projects, where its root is a machine of its own, and where another run is in there:
    then a box is made anew.
    """
    ids = sorted(part.told.split()[0] for _, part in plan.parts if isinstance(part, Tree))
    if not ids or plan.root != "/":
        yield None
        return
    folder = lifecycle.keep(settings, plan.profile, f"id-{_name(ids)}")
    with fs.owned(folder) as ours:
        if ours:
            _renew(folder, vdb, upper(folder / "upper"))
        yield folder / "upper" if ours else None


def _name(ids: list[str]) -> str:
    return ids[0][:32] if len(ids) == 1 else hashlib.sha512("\n".join(ids).encode()).hexdigest()[:32]


def installed(vdb: Path, without: Collection[str] = ()) -> str:
    """Changes with every package that is merged or unmerged.

    Args:
        without: cpvs that do not count.
    """
    found = {f"{path.parent.name}/{path.name}": path.stat().st_mtime_ns for path in vdb.glob("*/*") if path.is_dir()}
    told = (f"{cpv} {found[cpv]}\n" for cpv in sorted(found) if cpv not in without)
    return hashlib.sha256("".join(told).encode()).hexdigest()


def _renew(folder: Path, vdb: Path, own: Path | None) -> None:
    """Empty a root that stands on what is no longer there: overlayfs promises nothing of it.

    What was built in the root and then merged below it is no such change.
    """
    stamp = folder / _STAMP
    known = stamp.read_text(encoding="utf-8") if stamp.is_file() else ""
    built = {f"{path.parent.name}/{path.name}" for path in own.glob("*/*")} if own is not None else set()
    below = installed(vdb, built)
    if known != below:
        below = installed(vdb)
        lifecycle.clear(folder)
        shutil.rmtree(folder / "upper", ignore_errors=True)
        fs.write(stamp, below)
    fs.ensure(folder / "upper")
