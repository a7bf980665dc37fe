# SPDX-License-Identifier: GPL-2.0-or-later
"""Serve a farm: record what attempts have built, start further ones, and publish packages."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from gentoomuch_portage import fs
from gentoomuch_portage.binhost import keys, object_store, packages
from gentoomuch_portage.config import profile
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.emerge import profile_view
from gentoomuch_portage.errors import MachineError
from gentoomuch_portage.farm import local, moves, results
from gentoomuch_portage.farm.jobs import Attempt, Job
from gentoomuch_portage.farm.local import LocalRuns
from gentoomuch_portage.farm.store import Store
from gentoomuch_portage.portage_adapter import pkgdir_add
from gentoomuch_portage.portage_adapter.patching import environment


def farm_is_served(folder: Path) -> MachineError:
    """Another process serves the farm."""
    return MachineError(f"cannot serve {folder}: another process does", code="farm-is-served")


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeper:
    """The process that alone starts attempts and records their results."""

    store: Store
    runs: LocalRuns
    settings: Settings
    folder: Path
    """Of the farm."""
    top: Path
    """For each profile a published directory ``TOP/PROFILE``."""
    slots: int = 1
    """How many attempts may run at once."""

    def step(self) -> int:
        """Do what can be done now, and return how many attempts run."""
        self._settle_attempts()
        existing = profile.names(self.settings)
        for name in moves.list_profiles(self.store):
            if name in existing:  # otherwise it was removed: its packages are published if it is created again
                self._publish(name)
        return self._start_attempts()

    def _settle_attempts(self) -> None:
        """Record attempts that have ended, and end those of cancelled jobs."""
        attempts = {attempt.number: attempt for attempt in moves.list_open_attempts(self.store)}
        for number in sorted({*attempts, *self.runs.list_numbers()}):
            if self.runs.is_running(number):
                if number not in attempts:
                    self.runs.stop(number)
                continue
            if number in attempts:
                self._record(attempts[number])
            self.runs.remove(number, partial(self._keep_log, number))

    def _record(self, attempt: Attempt) -> None:
        if not self.runs.was_started(attempt.number):
            moves.release(self.store, attempt.number)
            return
        result = self.runs.read_result(attempt.number)
        if result is None:
            moves.lose(self.store, attempt.number)
        elif code := str(result.get("error", "")):
            moves.fail(self.store, attempt.number, code)
        else:
            self._take_package(attempt, result)

    def _take_package(self, attempt: Attempt, result: Mapping[str, Any]) -> None:
        """Store the package of an attempt, if it is what the job describes."""
        package = self.runs.find_package(attempt.number)
        if package is None or results.find_mismatch(package, attempt.inputs):
            moves.fail(self.store, attempt.number, "mismatch")
            return
        digest = object_store.store(self.folder, package, package.name, {})
        if digest == result["sha256"]:
            moves.finish(self.store, attempt.number, digest)
        else:
            moves.fail(self.store, attempt.number, "mismatch")

    def _keep_log(self, number: int, log: Path) -> None:
        log.replace(fs.ensure(self.folder / "logs") / f"{number}.log")

    def _start_attempts(self) -> int:
        running = len(moves.list_open_attempts(self.store))
        while running < self.slots and (attempt := moves.claim(self.store)):
            if not self._has_objects(attempt):
                moves.release(self.store, attempt.number)
                continue
            try:
                self.runs.start(attempt, {
                    f"{need.cpv.partition('/')[2]}-{place}{local.SUFFIX}": self._object(need.digest)
                    for place, need in enumerate(attempt.needs)
                })  # fmt: skip
            except BaseException:
                moves.release(self.store, attempt.number)
                raise
            running += 1
        return running

    def _has_objects(self, attempt: Attempt) -> bool:
        """Check the packages that an attempt needs; one that is damaged or missing is removed, and built again."""
        for need in attempt.needs:
            if not self._is_sound(need.digest):
                self._object(need.digest).unlink(missing_ok=True)
                moves.lose_object(self.store, need.digest)
                return False
        return True

    def _is_sound(self, digest: str) -> bool:
        try:
            return object_store.digest_of(self._object(digest)) == digest
        except FileNotFoundError:
            return False

    def _object(self, digest: str) -> Path:
        return object_store.object_path(self.folder, digest)

    def _publish(self, name: str) -> None:
        """Add finished packages to those of a profile, and publish them."""
        jobs = moves.list_unpublished(self.store, name)
        if not jobs:
            return
        shelf = fs.ensure(self.folder / "packages" / name)
        with profile_view.load_view(self.settings, name) as view:
            take = pkgdir_add.taker({**profile_view.environment(view), "PKGDIR": str(shelf)})
            sound = []
            for job in jobs:
                if not self._is_sound(job.digest):
                    self._object(job.digest).unlink(missing_ok=True)
                    moves.lose_object(self.store, job.digest)
                    continue
                with self._copy(job) as copy:
                    take(copy, job.cpv, 1)
                sound.append(job)
        with environment(keys.verify_variables(self.settings)):
            packages.publish_packages(self.settings, shelf, self.top / name)
        for job in sound:  # after a kill before this, they are added again, which changes nothing
            moves.mark_added(self.store, name, job)

    @contextmanager
    def _copy(self, job: Job) -> Iterator[Path]:
        """Copy an object under the name of a package."""
        with tempfile.TemporaryDirectory(dir=self.folder, prefix=".copy-") as folder:
            copy = Path(folder, f"{job.cpv.partition('/')[2]}-1{local.SUFFIX}")
            shutil.copyfile(self._object(job.digest), copy)
            yield copy


@contextmanager
def open_keeper(
    settings: Settings, *, program: Sequence[str], env: Mapping[str, str], folder: Path, top: Path, slots: int = 1
) -> Iterator[Keeper]:
    """Open a farm to serve it; only one process may at a time.

    Args:
        program: as in ``LocalRuns``, and ``env`` too.

    Raises:
        MachineError[farm-is-served]: another process serves it.
    """
    with Store.open(folder) as store, fs.try_lock(folder) as is_alone:
        if not is_alone:
            raise farm_is_served(folder)
        for leftover in (*folder.glob(".copy-*"), *folder.glob("objects/.new-*")):
            fs.remove(leftover)
        runs = LocalRuns(folder / "runs", program, env)
        yield Keeper(store=store, runs=runs, settings=settings, folder=folder, top=top, slots=slots)
