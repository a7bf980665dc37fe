# SPDX-License-Identifier: GPL-2.0-or-later
"""Scan many files at once, in separate processes."""

import contextlib
import os
import resource
import signal
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

from gentoomuch_portage.audit import elf, instructions
from gentoomuch_portage.audit.package_files import CodeFile, Entry
from gentoomuch_portage.audit.report import Report, join
from gentoomuch_portage.audit.scan_file import scan_file
from gentoomuch_portage.errors import RunError

MOST_MEMORY = 4 << 30
"""Bytes of address space of one process; ten times as much as the largest browser needs."""
_WAITING = 3
"""Queued files for each process."""

Scan = Callable[[Iterable[Entry], Callable[[int], None]], Report]
"""Scans files; calls its second argument with the bytes of each one."""


def reader_gone() -> RunError:
    """The process that scans files was killed."""
    return RunError("a scanner process was killed", code="reader-gone", hint="provide more memory, or use --jobs=1")


def check_available() -> None:
    """Check that machine code can be scanned here.

    Raises:
        MissingProgram: a library is not installed.
    """
    elf.check()
    instructions.check()


def default_jobs() -> int:
    """Return the number of CPUs that this process may use."""
    return len(os.sched_getaffinity(0))


@contextmanager
def start_scanners(number: int) -> Iterator[Scan]:
    """Provide a number of scanner processes within a block; with 1, this process scans.

    Raises:
        MissingProgram: a library is not installed.
    """
    check_available()
    if number <= 1:
        yield _scan_here
        return
    # A fresh process has none of Portage's descriptors, threads and memory.
    pool = ProcessPoolExecutor(number, get_context("forkserver"), initializer=_initialise)
    try:
        yield lambda entries, progress: _scan_in_pool(pool, number, entries, progress)
    except BaseException:
        pool.shutdown(wait=True, cancel_futures=True)
        raise
    pool.shutdown()


@contextmanager
def folder() -> Iterator[Path]:
    """Provide a temporary directory for files of packages."""
    with tempfile.TemporaryDirectory(prefix="gentoomuch-audit-") as name:
        yield Path(name)


def _scan_here(entries: Iterable[Entry], progress: Callable[[int], None]) -> Report:
    reports = []
    for entry in entries:
        if isinstance(entry, CodeFile):
            report, size = _scan_one(entry)
            progress(size)
            reports.append(report)
        else:
            reports.append(Report(files=1, skipped=(entry,)))
    return join(reports)


def _scan_in_pool(
    pool: ProcessPoolExecutor, number: int, entries: Iterable[Entry], progress: Callable[[int], None]
) -> Report:
    reports: list[Report] = []
    waiting: set[Future[tuple[Report, int]]] = set()
    try:
        for entry in entries:
            if not isinstance(entry, CodeFile):
                reports.append(Report(files=1, skipped=(entry,)))
                continue
            waiting.add(pool.submit(_scan_one, entry))
            if len(waiting) >= number * _WAITING:
                waiting = _collect(waiting, reports, progress)
        while waiting:
            waiting = _collect(waiting, reports, progress)
    except BrokenProcessPool as error:
        raise reader_gone() from error
    return join(reports)


def _collect(
    waiting: set[Future[tuple[Report, int]]], reports: list[Report], progress: Callable[[int], None]
) -> set[Future[tuple[Report, int]]]:
    """Wait for at least one result; return what is still running."""
    done, running = wait(waiting, return_when=FIRST_COMPLETED)
    for future in done:
        report, size = future.result()
        reports.append(report)
        progress(size)
    return running


def _scan_one(file: CodeFile) -> tuple[Report, int]:
    """Return the report of a file, and its size."""
    try:
        return scan_file(file.name, file.path), file.path.stat().st_size
    finally:
        if file.temporary:
            file.path.unlink()


def _initialise() -> None:
    """Initialise a process: its parent handles Ctrl-C, and a limit of memory protects from hostile files."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(ValueError, OSError):  # the limit is lower already
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
