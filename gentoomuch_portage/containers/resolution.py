# SPDX-License-Identifier: GPL-2.0-or-later
"""Record the packages that a container may hand out: those that emerge resolved before the code of any ebuild ran.

Both records are in the directory of the run on the host, which no container sees, and survive a killed run. The input
from the pipe is untrusted: the first list counts, and a report that a package is finished cannot add one to it.
"""

import json
import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Self

from gentoomuch_portage import fs, stored
from gentoomuch_portage.containers.host_overlay import PACKAGES
from gentoomuch_portage.events.pipe import read_merges
from gentoomuch_portage.plan.merge import Merge
from gentoomuch_portage.portage_adapter import atoms
from gentoomuch_portage.portage_adapter.binpkg import SUFFIXES

_LIST = "resolution.json"
_FINISHED = "finished"
"""A line of JSON for each package that emerge in the container reported as finished."""
_NO_CODE = frozenset({"task", "fetch"})
"""Phases in which emerge runs no function of an ebuild."""


class File(NamedTuple):
    """The state of a file; the kernel sets the time of its last change, which no program can choose."""

    inode: int
    size: int
    changed: int
    """Nanoseconds since 1970."""

    @classmethod
    def from_status(cls, status: os.stat_result) -> Self:
        """Return the state of a file."""
        return cls(status.st_ino, status.st_size, status.st_ctime_ns)


class Resolution(NamedTuple):
    """The packages that a run resolved."""

    merges: tuple[Merge, ...] = ()
    profile: str = ""
    pkgdir: str = ""
    """The directory for its packages."""
    since: int = 0
    """Seconds since 1970: no package was built before."""
    highest: dict[str, int] = {}  # noqa: RUF012 - never changed
    """cpv -> its highest BUILD_ID in PKGDIR and on binhosts."""
    finished: dict[tuple[str, str], File] = {}  # noqa: RUF012
    """ROOT and cpv -> the package file when emerge reported it as finished."""

    @property
    def cpvs(self) -> frozenset[str]:
        """The packages, with any ROOT."""
        return frozenset(merge.cpv for merge in self.merges)


class Recorder:
    """Records on the host what a container reports."""

    def __init__(
        self,
        run: Path,
        *,
        profile: str,
        pkgdir: Path,
        resolves: bool,
        builds: bool,
        find_highest: Callable[[str], int] = lambda _cpv: 0,
    ) -> None:
        """Start to record.

        Args:
            run: the directory of the run.
            pkgdir: the directory for the packages of the run.
            resolves: whether its list counts; otherwise an earlier container of the run has resolved.
            builds: whether its packages count; otherwise it fetches.
            find_highest: returns the highest BUILD_ID of a cpv on binhosts.
        """
        self._find_highest = find_highest
        self._run, self._profile, self._pkgdir = run, profile, pkgdir
        self._open, self._builds = resolves, builds
        self._since = int(time.time())
        resolved = load(run)
        self._left = {merge.key for merge in resolved.merges} - resolved.finished.keys()
        self._seen = {*resolved.finished.values()}

    def read_line(self, line: bytes) -> None:
        """Process one line of the pipe; invalid lines are ignored."""
        with suppress(ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError):
            self._record(json.loads(line))

    def _record(self, event: dict[str, Any]) -> None:
        name = event["event"]
        if name == "resolved" and self._open:
            self._write(tuple(read_merges(event["merges"])))
        elif name == "phase-started" and event["phase"] not in _NO_CODE:
            self._open = False  # from now on an ebuild may write a list
        elif name == "done" and self._builds and event["status"] == 0:
            key = (str(event["key"][0]), str(event["key"][1]))
            if key in self._left:
                self._finish(key)

    def _write(self, merges: tuple[Merge, ...]) -> None:
        cpvs = {merge.cpv for merge in merges}
        highest = {cpv: max(highest_build_id(self._pkgdir, cpv), self._find_highest(cpv)) for cpv in cpvs}
        resolved = Resolution(merges, self._profile, str(self._pkgdir), self._since, highest)
        fields = {**resolved._asdict(), "merges": [merge._asdict() for merge in merges], "finished": None}
        fs.write(self._run / _LIST, json.dumps(fields))
        self._left = {merge.key for merge in merges}

    def _finish(self, key: tuple[str, str]) -> None:
        """Record the newest file of a package: others can be part of what another package installs."""
        files = {File.from_status(path.lstat()) for path in package_files(self._run / PACKAGES, key[1])} - self._seen
        if files:  # a package is finished once: a later report would be about a changed file
            newest = max(files, key=lambda file: file.changed)
            self._left.remove(key)
            self._seen.add(newest)
            fs.append(self._run / _FINISHED, json.dumps({"key": key, "file": newest}))


def load(run: Path) -> Resolution:
    """Load what a run resolved and finished; empty if it was killed before that.

    Args:
        run: the directory of the run.
    """
    resolved = stored.recall(run / _LIST, _parse_list)
    if resolved is None:
        return Resolution()
    return resolved._replace(finished=stored.recall(run / _FINISHED, _parse_reports) or {})


def _parse_list(text: str) -> Resolution:
    fields = json.loads(text)
    fields["merges"] = tuple(read_merges(fields["merges"]))
    return Resolution(**{**fields, "finished": {}})


def _parse_reports(text: str) -> dict[tuple[str, str], File]:
    whole = (line for line in text.splitlines(keepends=True) if line.endswith("\n"))  # a kill may truncate the last
    reports = map(json.loads, whole)
    return {tuple(report["key"]): File(*report["file"]) for report in reports}


def package_files(pkgdir: Path, cpv: str) -> Iterator[Path]:
    """Yield the plain files with a name that Portage gives to a package, with any BUILD_ID; no link is followed.

    Args:
        pkgdir: untrusted, as ebuilds may have written it.
    """
    category, name = cpv.split("/")
    shape = re.compile(rf"{re.escape(name)}(-[0-9]+)?({'|'.join(map(re.escape, SUFFIXES))})")
    for folder in (pkgdir / category, pkgdir / atoms.package_of(cpv)):
        if (pkgdir / category).is_symlink() or folder.is_symlink():
            continue
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                if shape.fullmatch(entry.name) and stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode):
                    yield Path(entry.path)


def highest_build_id(pkgdir: Path, cpv: str) -> int:
    """Return the highest BUILD_ID of a package in a directory; 0 if there is none."""
    name = cpv.split("/")[1]
    stems = (_stem(path.name).removeprefix(name).removeprefix("-") for path in package_files(pkgdir, cpv))
    return max((int(stem) for stem in stems if stem), default=0)


def _stem(name: str) -> str:
    return next(name.removesuffix(suffix) for suffix in SUFFIXES if name.endswith(suffix))
