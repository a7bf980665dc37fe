# SPDX-License-Identifier: GPL-2.0-or-later
"""Build roots keyed by .gentoo ID: the dependencies of a project are installed once, in a copy-on-write view.

A view is used again while its ID and the packages installed below it stay the same.
"""

import hashlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from gentoomuch_portage import fs, stored
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.containers import lifecycle
from gentoomuch_portage.plan.plan import Plan, WorkTree

_LAYOUT = "directories of EPREFIX apart\n"
"""Changes with the division of a container into upper layers: older ones are created anew."""
_STAMP = "below"
"""In a project root: the packages that were installed below it when it was created."""


@contextmanager
def project_root(
    plan: Plan, settings: Settings, vdb: Path, upper_vdb: Callable[[Path], Path | None]
) -> Iterator[Path | None]:
    """Own the root of a plan's projects while the block runs.

    Args:
        vdb: the database of the packages that are installed below it.
        upper_vdb: returns the directory of its changes to that database, for the uppers of a root.

    Yields:
        The directory of its upper layers. None if the plan has no projects, if its root has its own Portage, or if
        another run uses it: then a new container is created.
    """
    ids = sorted(part.description.split()[0] for _, part in plan.parts if isinstance(part, WorkTree))
    if not ids or plan.root != "/":
        yield None
        return
    folder = lifecycle.make_kept_root(settings, plan.profile, f"id-{_name(ids)}")
    with fs.try_lock(folder) as is_owner:
        if is_owner:
            _renew(folder, vdb, upper_vdb(folder / "upper"))
        yield folder / "upper" if is_owner else None


def _name(ids: list[str]) -> str:
    return ids[0][:32] if len(ids) == 1 else hashlib.sha512("\n".join(ids).encode()).hexdigest()[:32]


def installed_stamp(vdb: Path, without: Collection[str] = ()) -> str:
    """Return a digest that changes with every package that is merged or unmerged.

    Args:
        without: cpvs that do not count.
    """
    times = {f"{path.parent.name}/{path.name}": path.stat().st_mtime_ns for path in vdb.glob("*/*") if path.is_dir()}
    lines = (f"{cpv} {times[cpv]}\n" for cpv in sorted(times) if cpv not in without)
    return hashlib.sha256("".join((_LAYOUT, *lines)).encode()).hexdigest()


def _renew(folder: Path, vdb: Path, own_vdb: Path | None) -> None:
    """Empty a root if what is below it has changed: overlayfs does not support that.

    Packages that were built in the root and then merged below it do not count as a change.
    """
    file = folder / _STAMP
    known = stored.recall(file, str) or ""
    built = {f"{path.parent.name}/{path.name}" for path in own_vdb.glob("*/*")} if own_vdb is not None else set()
    if known != installed_stamp(vdb, built):
        stamp = installed_stamp(vdb)
        lifecycle.clear(folder)
        fs.write_cache(file, stamp)
    fs.ensure(folder / "upper")
