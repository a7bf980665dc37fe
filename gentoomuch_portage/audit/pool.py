"""Examining many files at once, in processes of their own."""

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
from gentoomuch_portage.audit.package_files import Found, Loose
from gentoomuch_portage.audit.report import Report, joined
from gentoomuch_portage.audit.scan_file import examine
from gentoomuch_portage.errors import RunError

MOST_MEMORY = 4 << 30
"""Bytes of address space for one reader; ten times what the largest browser needs."""
_WAITING = 3
"""Files that lie ready for each reader at most."""

Examine = Callable[[Iterable[Found], Callable[[int], None]], Report]
"""Examines files; told how many bytes of them are done each time."""


class ReaderGone(RunError):
    """A process that examined files is gone."""

    code = "reader-gone"

    def __init__(self) -> None:
        super().__init__("a process that read machine code was killed", remedy="give it more memory, or --jobs=1")


def available() -> None:
    """Make sure that machine code can be read here.

    Raises:
        MissingProgram: a library is not installed.
    """
    elf.check()
    instructions.check()


def jobs() -> int:
    """As many readers as there are CPUs for us."""
    return len(os.sched_getaffinity(0))


@contextmanager
def examining(number: int) -> Iterator[Examine]:
    """As long as the block runs, files are examined by so many processes; by this one where it is 1.

    Raises:
        MissingProgram: a library is not installed.
    """
    available()
    if number <= 1:
        yield _here
        return
    # A fresh process has none of Portage's descriptors, threads and memory.
    pool = ProcessPoolExecutor(number, get_context("forkserver"), initializer=_begin)
    try:
        yield lambda found, told: _there(pool, number, found, told)
    except BaseException:
        pool.shutdown(wait=True, cancel_futures=True)
        raise
    pool.shutdown()


@contextmanager
def folder() -> Iterator[Path]:
    """A folder for files out of packages, gone behind the block."""
    with tempfile.TemporaryDirectory(prefix="gentoomuch-audit-") as name:
        yield Path(name)


def _here(found: Iterable[Found], told: Callable[[int], None]) -> Report:
    reports = []
    for one in found:
        if isinstance(one, Loose):
            report, size = _one(one)
            told(size)
            reports.append(report)
        else:
            reports.append(Report(files=1, skipped=(one,)))
    return joined(reports)


def _there(pool: ProcessPoolExecutor, number: int, found: Iterable[Found], told: Callable[[int], None]) -> Report:
    reports: list[Report] = []
    waiting: set[Future[tuple[Report, int]]] = set()
    try:
        for one in found:
            if not isinstance(one, Loose):
                reports.append(Report(files=1, skipped=(one,)))
                continue
            waiting.add(pool.submit(_one, one))
            if len(waiting) >= number * _WAITING:
                waiting = _collect(waiting, reports, told)
        while waiting:
            waiting = _collect(waiting, reports, told)
    except BrokenProcessPool as error:
        raise ReaderGone from error
    return joined(reports)


def _collect(
    waiting: set[Future[tuple[Report, int]]], reports: list[Report], told: Callable[[int], None]
) -> set[Future[tuple[Report, int]]]:
    """Wait for one at least; those that are left."""
    done, left = wait(waiting, return_when=FIRST_COMPLETED)
    for one in done:
        report, size = one.result()
        reports.append(report)
        told(size)
    return left


def _one(loose: Loose) -> tuple[Report, int]:
    """The report of a file, and its size."""
    try:
        return examine(loose.name, loose.path), loose.path.stat().st_size
    finally:
        if loose.ours:
            loose.path.unlink()


def _begin() -> None:
    """In each reader: Ctrl-C is answered by who started it, and what a hostile file costs has a limit."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(ValueError, OSError):  # it is lower already
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
