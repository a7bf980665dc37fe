# SPDX-License-Identifier: GPL-2.0-or-later
"""Run attempts as processes of this machine. Each is ``gentoomuch build``, and holds a lock until it ends.

An attempt goes on if the process that started it ends. Whoever serves the farm next sees by the lock whether it runs,
and reads its result from its directory. The kernel releases the lock with the process.
"""

import fcntl
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gentoomuch_portage import fs, process, stored
from gentoomuch_portage.farm.jobs import Attempt
from gentoomuch_portage.process import Detached

SUFFIX = ".gpkg.tar"
"""Of all packages of a farm. Source: portage(5), BINPKG_FORMAT."""
_LOCK, _OUT, _LOG = "lock", "result.json", "log"


@dataclass(slots=True)
class LocalRuns:
    """The attempts of this machine, each with a directory ``FOLDER/NUMBER``."""

    folder: Path
    program: Sequence[str]
    """``gentoomuch``, or the words that start it."""
    env: Mapping[str, str]
    """The environment of builds."""
    _children: list[Detached] = field(default_factory=list)

    def start(self, attempt: Attempt, packages: Mapping[str, Path]) -> None:
        """Start an attempt.

        Args:
            packages: file name -> the binary package to install, of each that it needs.

        Raises:
            GmError, OSError: it cannot be started.
        """
        run = self.folder / str(attempt.number)
        fs.ensure(run / "needs")
        for name, package in packages.items():
            shutil.copyfile(package, run / "needs" / name)
        lock = os.open(run / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            options = ("--profile", attempt.profile, "--json", "--out", str(run / "out"))
            files = (str(run / "needs" / name) for name in packages)
            argv = (*self.program, "build", attempt.cpv, *options, "--with", *files)
            with (run / _OUT).open("xb") as out, (run / _LOG).open("xb") as log:
                self._children.append(process.start_detached(argv, env=self.env, out=out, err=log, inherited=lock))
        finally:
            os.close(lock)

    def list_numbers(self) -> tuple[int, ...]:
        """Return the numbers of the attempts with a directory, sorted; and reap processes that have ended."""
        self._children = [child for child in self._children if not child.has_ended()]
        if not self.folder.is_dir():
            return ()
        return tuple(sorted(int(path.name) for path in self.folder.iterdir() if path.name.isdecimal()))

    def is_running(self, number: int) -> bool:
        """Return whether the process of an attempt holds its lock."""
        try:
            lock = os.open(self.folder / str(number) / _LOCK, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            return not fs.lock_at_once(lock)
        finally:
            os.close(lock)

    def was_started(self, number: int) -> bool:
        """Return whether the process of an attempt may have run."""
        return (self.folder / str(number) / _LOG).exists()

    def read_result(self, number: int) -> Mapping[str, Any] | None:
        """Return what an attempt has printed: a package or an error; None if it was ended before."""

        def parse(text: str) -> Mapping[str, Any]:
            result = json.loads(text)
            if not isinstance(result, dict) or not ({"sha256", "error"} & result.keys()):
                raise ValueError("no result")
            return result

        return stored.recall(self.folder / str(number) / _OUT, parse)

    def find_package(self, number: int) -> Path | None:
        """Return the only package of an attempt; None if it has none, or several."""
        out = self.folder / str(number) / "out"
        files = [path for path in out.rglob("*") if path.name.endswith(SUFFIX) and path.is_file()]
        return files[0] if len(files) == 1 and not files[0].is_symlink() else None

    def stop(self, number: int) -> None:
        """End the process of an attempt; it removes its container."""
        for pid in _find_holders(self.folder / str(number) / _LOCK):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    def remove(self, number: int, keep_log: Callable[[Path], object]) -> None:
        """Remove the directory of an attempt that does not run.

        Args:
            keep_log: called with its log, if it has one.
        """
        run = self.folder / str(number)
        if (run / _LOG).is_file():
            keep_log(run / _LOG)
        fs.remove(run)


def _find_holders(lock: Path) -> Iterator[int]:
    """Yield the processes that lead a session and have opened a file; a process ID alone may have been reused."""
    wanted = lock.stat()
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            status, pid = descriptor.stat(), int(descriptor.parts[2])
            if (status.st_dev, status.st_ino) == (wanted.st_dev, wanted.st_ino) and os.getsid(pid) == pid:
                yield pid
        except OSError:
            continue  # it has ended, or belongs to another user
