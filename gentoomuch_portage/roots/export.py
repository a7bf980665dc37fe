"""A root, or what some packages of it need to run, as one file; beside it what is in it."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage import fs
from gentoomuch_portage.containers.mounts import within
from gentoomuch_portage.portage_adapter.config import Arrangement
from gentoomuch_portage.portage_adapter.runtime_deps import Package
from gentoomuch_portage.process import run
from gentoomuch_portage.roots import bootstrap, oci, pack, sbom
from gentoomuch_portage.roots.errors import BadEpoch, LinkedRecord
from gentoomuch_portage.roots.pack import Job

FORMATS = ("tar", "oci", "squashfs")
_ATOM = "sys-fs/squashfs-tools"
_YEAR_10000 = 253402300800
"""No calendar of ours goes on from there."""
_OF_ALL = ("etc/ld.so.cache", "etc/ld.so.conf", "etc/nsswitch.conf", *dict(bootstrap.FILES))
"""What belongs to no package and is needed all the same."""


class Export(NamedTuple):
    """What is exported."""

    root: Path
    top: Path
    """The root, with the prefix where there is one."""
    name: str
    """Of the image, where it becomes one."""
    packages: Sequence[Package]
    arrangement: Arrangement
    thin: bool
    """Only what belongs to the packages."""
    chost: str = ""
    """Of the machine that it is for; this one where empty."""


def recorded(root: Path, top: Path) -> None:
    """Make sure that what a root says of its packages is its own: what runs in it may have laid links there.

    Args:
        top: the root, with the prefix where there is one.

    Raises:
        LinkedRecord: something of it is a link.
    """
    vdb = top / "var/db/pkg"
    for place in (vdb, *vdb.parents):
        if place == root:
            break
        _no_link(place)
    for above, folders, names in os.walk(vdb):
        for name in (*folders, *names):
            _no_link(Path(above, name))


def _no_link(path: Path) -> None:
    if path.is_symlink():
        raise LinkedRecord(path)


def epoch() -> int | None:
    """SOURCE_DATE_EPOCH, in seconds since 1970, or None.

    Raises:
        BadEpoch: it is something else; what was left out then would not be equal for equal content.
    """
    told = os.environ.get("SOURCE_DATE_EPOCH", "")
    if told and not (told.isascii() and told.isdigit() and len(told) < 13 and int(told) < _YEAR_10000):
        raise BadEpoch(told)
    return int(told) if told else None


def export(what: Export, form: str, out: Path) -> tuple[Path, ...]:
    """Write the file, its manifest and its SBOM; each whole or not at all.

    Returns:
        The files.

    Raises:
        BadEpoch: SOURCE_DATE_EPOCH is no time.
        OSError, ProgramFailed: the root cannot be read.
        MissingProgram: there is no mksquashfs.
    """
    moment = epoch()
    told = Job(
        root=str(what.root),
        out="",
        epoch=moment,
        below=str(what.top.relative_to(what.root)),
        only=_only(what) if what.thin else None,
    )
    prefix = f".gentoomuch-{out.name}-"
    for left in [one for one in out.parent.iterdir() if one.name.startswith(prefix)]:
        fs.remove_unheld(left)  # of a run that was killed
    with fs.fresh_folder(out.parent, prefix=prefix) as fresh:
        made, job = fresh / "made", replace(told, out=str(fresh / "tar"))
        if form == "squashfs":
            written = pack.pack(job)
            squash(Path(job.out), made, written.newest)
        elif form == "oci":
            written = pack.pack(replace(job, kind="gz"))
            machine = oci.architecture(what.chost)
            oci.write(made, Path(job.out), written, name=what.name, architecture=machine, epoch=moment)
        else:
            written = pack.pack(replace(job, kind=pack.SUFFIXES.get(out.suffix, "")))
            Path(job.out).rename(made)
        beside = sbom.write(fresh, what.packages, name=what.name, content=written.inner, epoch=moment)
        targets = [out]
        for suffix, file in beside.items():
            targets.append(out.with_name(f"{out.name}{suffix}"))
            file.replace(targets[-1])
        made.replace(out)
    return tuple(targets)


def squash(archive: Path, out: Path, newest: int) -> None:
    """Make a squashfs of a tar archive; the one time that it does not get from there is that of its newest entry.

    Raises:
        MissingProgram: there is no mksquashfs.
        ProgramFailed: it failed.

    Source: mksquashfs(1), "-tar", "SOURCE_DATE_EPOCH".
    """
    words = ["-tar", "-noappend", "-quiet", "-no-progress", "-comp", "zstd", "-root-mode", "0755"]
    words += ["-root-uid", "0", "-root-gid", "0"]
    env = {**os.environ, "SOURCE_DATE_EPOCH": str(newest)}
    with archive.open("rb") as content:
        run(["mksquashfs", "-", str(out), *words], env=env, given=content, keep=True, atom=_ATOM)


def _only(what: Export) -> tuple[str, ...]:
    """Paths of a thin root: what the packages own, where links of folders lead, and the folders that all presume."""
    below = what.top.relative_to(what.root)
    named = {path for package in what.packages for path in package.owns}
    named |= {str(below / name) for name in (*bootstrap.names(what.arrangement), *_OF_ALL)}
    found = set()
    for name in named:
        path = Path(name)
        place = within(what.root, str(path.parent)) / path.name
        found.add(str(place.relative_to(what.root)))
        found.update(_links(what.root, path.parent))
    return tuple(sorted(found))


def _links(root: Path, folder: Path) -> list[str]:
    """The links that a path goes through."""
    return [str(one) for one in (folder, *folder.parents) if (root / one).is_symlink()]
