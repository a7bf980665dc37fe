# SPDX-License-Identifier: GPL-2.0-or-later
"""Export a root, or the runtime files of some of its packages, as one file, with a manifest and an SBOM."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from gentoomuch_portage import fs
from gentoomuch_portage.containers.mounts import resolve_within
from gentoomuch_portage.process import run
from gentoomuch_portage.roots import bootstrap, oci, pack, sbom
from gentoomuch_portage.roots.errors import bad_epoch, linked_record
from gentoomuch_portage.roots.pack import Job

if TYPE_CHECKING:
    from gentoomuch_portage.portage_adapter.config import Arrangement
    from gentoomuch_portage.portage_adapter.runtime_deps import Package

_ATOM = "sys-fs/squashfs-tools"
_YEAR_10000 = 253402300800
"""Seconds since 1970; datetime supports no later year."""
_UNOWNED = ("etc/ld.so.cache", "etc/ld.so.conf", "etc/nsswitch.conf", *dict(bootstrap.FILES))
"""Required files that belong to no package."""


class Export(NamedTuple):
    """A root to export."""

    root: Path
    top: Path
    """The root, including the prefix if there is one."""
    name: str
    """The name of an image."""
    packages: "Sequence[Package]"
    arrangement: "Arrangement"
    thin: bool
    """Export only files of the packages."""
    chost: str = ""
    """CHOST of its programs; empty: of this machine."""


def check_records(root: Path, top: Path) -> None:
    """Check that the package database of a root contains no links, which a program in the root could have created.

    Args:
        top: the root, including the prefix if there is one.

    Raises:
        RunError[linked-record]: it does.
    """
    vdb = top / "var/db/pkg"
    for place in (vdb, *vdb.parents):
        if place == root:
            break
        _check_no_link(place)
    for above, folders, names in os.walk(vdb):
        for name in (*folders, *names):
            _check_no_link(Path(above, name))


def _check_no_link(path: Path) -> None:
    if path.is_symlink():
        raise linked_record(path)


def read_epoch() -> int | None:
    """Return SOURCE_DATE_EPOCH in seconds since 1970, or None.

    Raises:
        UsageError[bad-epoch]: it is invalid; without it, equal content would not give equal files.
    """
    value = os.environ.get("SOURCE_DATE_EPOCH", "")
    if value and not (value.isascii() and value.isdigit() and len(value) < 13 and int(value) < _YEAR_10000):
        raise bad_epoch(value)
    return int(value) if value else None


def export(what: Export, form: str, out: Path) -> tuple[Path, ...]:
    """Write the file, its manifest and its SBOM, each atomically.

    Returns:
        The files.

    Raises:
        UsageError[bad-epoch]: SOURCE_DATE_EPOCH is invalid.
        OSError, ProgramFailed: the root cannot be read.
        MissingProgram: mksquashfs is not installed.
    """
    moment = read_epoch()
    template = Job(
        root=str(what.root),
        out="",
        epoch=moment,
        below=str(what.top.relative_to(what.root)),
        only=_only(what) if what.thin else None,
    )
    prefix = f".gentoomuch-{out.name}-"
    for left in [path for path in out.parent.iterdir() if path.name.startswith(prefix)]:
        fs.remove_unlocked(left)  # of a run that was killed
    with fs.fresh_folder(out.parent, prefix=prefix) as fresh:
        output, job = fresh / "made", replace(template, out=str(fresh / "tar"))
        if form == "squashfs":
            written = pack.pack(job)
            squash(Path(job.out), output, written.newest)
        elif form == "oci":
            written = pack.pack(replace(job, kind="gz"))
            machine = oci.architecture(what.chost)
            layer = oci.Layer(Path(job.out), written.digest, written.inner, written.size)
            oci.write(output, [layer], oci.default_config(what.name, machine), epoch=moment)
        else:
            written = pack.pack(replace(job, kind=pack.SUFFIXES.get(out.suffix, "")))
            Path(job.out).rename(output)
        beside = sbom.write(fresh, what.packages, name=what.name, content=written.inner, epoch=moment)
        targets = [out]
        for suffix, file in beside.items():
            targets.append(out.with_name(f"{out.name}{suffix}"))
            file.replace(targets[-1])
        output.replace(out)
    return tuple(targets)


def squash(archive: Path, out: Path, newest: int) -> None:
    """Convert a tar archive to squashfs; the time of the file system is that of the newest entry.

    Raises:
        MissingProgram: mksquashfs is not installed.
        ProgramFailed: it failed.

    Source: mksquashfs(1), "-tar", "SOURCE_DATE_EPOCH".
    """
    words = ["-tar", "-noappend", "-quiet", "-no-progress", "-comp", "zstd", "-root-mode", "0755"]
    words += ["-root-uid", "0", "-root-gid", "0"]
    env = {**os.environ, "SOURCE_DATE_EPOCH": str(newest)}
    with archive.open("rb") as content:
        run(["mksquashfs", "-", str(out), *words], env=env, given=content, keep=True, atom=_ATOM)


def _only(what: Export) -> tuple[str, ...]:
    """Return the paths of a thin root: files of the packages, targets of directory links, and the skeleton."""
    below = what.top.relative_to(what.root)
    names = {path for package in what.packages for path in package.owns}
    names |= {str(below / name) for name in (*bootstrap.skeleton_names(what.arrangement), *_UNOWNED)}
    paths = set()
    for name in names:
        path = Path(name)
        place = resolve_within(what.root, str(path.parent)) / path.name
        paths.add(str(place.relative_to(what.root)))
        paths.update(_links(what.root, path.parent))
    return tuple(sorted(paths))


def _links(root: Path, folder: Path) -> list[str]:
    """Return the links among a directory and those above it."""
    return [str(path) for path in (folder, *folder.parents) if (root / path).is_symlink()]
