# SPDX-License-Identifier: GPL-2.0-or-later
"""Read the metadata of binary packages from the cache, from a file, or from their binhost.

The cache has one file per package, so concurrent runs need no lock. Metadata of a fetched package is cached by its
digest without a time limit; metadata that a binhost reported, for a limited time; metadata of a local file, until the
file changes.
"""

import os
import stat
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any
from urllib.parse import unquote, urlsplit

from gentoomuch_portage.binpkg import formats, http_range
from gentoomuch_portage.binpkg.environment import ENVIRONMENT
from gentoomuch_portage.binpkg.http import BinpkgUnreadable, Pools, origin
from gentoomuch_portage.binpkg.source import BadBinpkg, Source
from gentoomuch_portage.errors import GmError
from gentoomuch_portage.fs import Cache
from gentoomuch_portage.isa.variables import VARIABLES
from gentoomuch_portage.portage_adapter.binpkg import BUILT_FOR, DOTGENTOO, RECORDED, Binpkg, Place
from gentoomuch_portage.portage_adapter.binpkg import PATCHES as NAMED

AT_ONCE = 4
"""Number of packages that are read from binhosts concurrently. A hostile one may take 40 MiB."""

_SETTLED = 2_000_000_000
"""Nanoseconds. A file changed within this time may change again without a new timestamp. Source: git's "racy-git"."""
_BELIEVED = 7 * 24 * 3600
"""Seconds for which metadata from a binhost is cached before the package is fetched: no digest covers it."""
_FETCHED = "fetched"
"""Stamp of metadata from a file with the digests of its index."""

Metadata = dict[str, str]


class MetadataCache:
    """A directory of cached metadata."""

    def __init__(self, folder: Path, wanted: Collection[str]) -> None:
        """Open a cache; nothing is read yet.

        Args:
            wanted: names of the files of metadata; entries without some of them are ignored.
        """
        self._cache, self._wanted = Cache(folder), frozenset(wanted)

    def get(self, key: str, *stamps: str) -> dict[str, str] | None:
        """Return the cached metadata for a key; None if there is none with one of these stamps."""
        return self._cache.load(key, self._parse, *stamps)

    def _parse(self, entry: Mapping[str, Any]) -> dict[str, str] | None:
        if not self._wanted <= set(entry["wanted"]):
            return None
        return {name: str(value) for name, value in entry["metadata"].items() if name in self._wanted}

    def put(self, key: str, metadata: Mapping[str, str], stamp: str = "") -> None:
        """Cache metadata; if it cannot be written, it is read from the package again next time."""
        self._cache.store(key, {"wanted": sorted(self._wanted), "metadata": dict(sorted(metadata.items()))}, stamp)


def file_stamp(status: os.stat_result, now: int) -> str:
    """Return a string that changes when a file does; empty if the file changed too recently to be sure.

    Args:
        now: nanoseconds since the epoch.
    """
    if now - max(status.st_mtime_ns, status.st_ctime_ns) < _SETTLED:
        return ""
    return f"{status.st_size} {status.st_ino} {status.st_mtime_ns} {status.st_ctime_ns}"


class MetadataReader:
    """Reads binary packages for one run of emerge, in one process."""

    def __init__(self, cache: Path, wanted: Collection[str], pools: Pools) -> None:
        self._wanted = frozenset(wanted)
        self._cache = MetadataCache(cache / "requirements", wanted)
        self._pools = pools
        self._results: dict[Place, Metadata | GmError] = {}
        self._dead: dict[str, BinpkgUnreadable] = {}

    def read(self, binpkg: Binpkg) -> Metadata:
        """Read the requested files of metadata; files that the package lacks are omitted.

        A package with both a path and a URL was fetched, and its digests were verified.

        Raises:
            BadBinpkg: it is not a binary package, or a damaged or hostile one.
            BinpkgUnreadable: its binhost does not send its metadata.
        """
        if binpkg.path is not None:
            return self._read_fetched(binpkg.path, binpkg.place) if binpkg.url else self._read_local(binpkg.path)
        place = binpkg.place
        match urlsplit(place.url):
            case ("http" | "https", *_):
                return self._read_remote(place, binpkg.others)
            case ("file" | "", _, path, *_):
                return self._read_local(Path(unquote(path)))
            case (scheme, *_):
                raise BinpkgUnreadable(
                    place.url, f"packages at {scheme}:// URLs cannot be read before they are fetched"
                )

    def read_cached(self, binpkg: Binpkg) -> Metadata | None:
        """Return the cached metadata of a package on a binhost; None if there is none."""
        return self._get_cached(binpkg.place) if binpkg.path is None else None

    def _read_fetched(self, path: Path, place: Place) -> Metadata:
        """Read a fetched file; from now on its metadata replaces that from the binhost."""
        try:
            metadata, _ = _read_file(path, self._wanted)
        except OSError as error:
            raise _unreadable(path, error) from error
        if place.digests:
            self._cache.put(_key(place), metadata, _FETCHED)
        return metadata

    def _read_local(self, path: Path) -> Metadata:
        try:
            stamp = file_stamp(path.stat(), time.time_ns())
            key = f"file {path}"
            if stamp and (cached := self._cache.get(key, stamp)) is not None:
                return cached
            metadata, status = _read_file(path, self._wanted)
            if stamp and stamp == file_stamp(status, time.time_ns()):
                self._cache.put(key, metadata, stamp)
        except OSError as error:
            raise _unreadable(path, error) from error
        return metadata

    def _read_remote(self, place: Place, others: Sequence[Place]) -> Metadata:
        if (cached := self._get_cached(place)) is not None:
            return cached
        if place not in self._results:
            self._request([place, *self._next(place, others)])
        result = self._results[place]
        if isinstance(result, GmError):
            raise result
        return result

    def _get_cached(self, place: Place) -> Metadata | None:
        """Return the cached metadata of a package by its strongest digest and its binhost."""
        if not place.digests:
            return None
        return self._cache.get(_key(place), _FETCHED, _current_stamp())

    def _next(self, place: Place, others: Sequence[Place]) -> list[Place]:
        """Choose the instances of a package that are read together with the current one.

        Usually the first instance fits, so it is read alone. If it does not, the next ones are read concurrently.
        """
        if not any(other in self._results for other in others):
            return []
        following = others[others.index(place) + 1 :] if place in others else ()
        return [other for other in following if other not in self._results and self._get_cached(other) is None][
            : AT_ONCE - 1
        ]

    def _request(self, places: Sequence[Place]) -> None:
        alive = []
        for place in places:
            if dead := self._dead.get(origin(place.url)):
                self._results[place] = dead
            else:
                alive.append(place)
        jobs = [self._job(place) for place in alive]
        for place, result in zip(alive, run_concurrently(jobs, self._pools.timeouts.total), strict=True):
            outcome = BinpkgUnreadable(place.url, "its binhost is too slow", dead=True) if result is None else result
            self._results[place] = outcome
            if isinstance(outcome, BinpkgUnreadable) and outcome.dead:
                self._dead[origin(place.url)] = outcome
            elif isinstance(outcome, dict) and place.digests:
                self._cache.put(_key(place), outcome, _current_stamp())

    def _job(self, place: Place) -> Callable[[], Metadata]:
        def read() -> Metadata:
            with http_range.open_remote(self._pools, place.url, place.size) as source:
                return formats.read(source, self._wanted)

        return read


def _key(place: Place) -> str:
    algorithm, digest = place.digests[0]
    return f"{algorithm} {digest} {place.size} {origin(place.url)}"


def _current_stamp() -> str:
    """Return the stamp for metadata from a binhost; it changes every few days."""
    return f"shown {int(time.time() // _BELIEVED)}"


def _unreadable(path: Path, error: OSError) -> BinpkgUnreadable:
    return BinpkgUnreadable(str(path), (error.strerror or type(error).__name__).lower())


def _read_file(path: Path, wanted: Collection[str]) -> tuple[Metadata, os.stat_result]:
    """Read a file, and return its metadata and its status; pipes and devices do not block."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        status = os.fstat(descriptor)
        source = Source(str(path), status.st_size, lambda offset, length: os.pread(descriptor, length, offset))
        if not stat.S_ISREG(status.st_mode):
            raise source.bad("not a regular file")
        return formats.read(source, wanted), os.fstat(descriptor)
    finally:
        os.close(descriptor)


def run_concurrently(jobs: Sequence[Callable[[], Metadata]], seconds: float) -> list[Metadata | GmError | None]:
    """Run jobs in threads, and return their results; None for each that does not end in time.

    A server can delay a reader without end, byte by byte, where a library's timeouts do not apply. Therefore the
    threads are not joined: they end with the process.
    """
    done: SimpleQueue[tuple[int, Metadata | GmError | BaseException]] = SimpleQueue()

    def work(number: int) -> None:
        try:
            done.put((number, jobs[number]()))
        except BaseException as error:  # raised in the waiting thread
            done.put((number, error))

    for number in range(len(jobs)):
        threading.Thread(target=work, args=(number,), daemon=True).start()
    results: list[Metadata | GmError | None] = [None] * len(jobs)
    ends = time.monotonic() + seconds
    for _ in jobs:
        try:
            number, result = done.get(timeout=max(0.0, ends - time.monotonic()))
        except Empty:
            break
        if isinstance(result, BaseException) and not isinstance(result, GmError):
            raise result
        results[number] = result
    return results


KEYS = (RECORDED, NAMED, DOTGENTOO, BUILT_FOR, *(name for name in VARIABLES if name != "CHOST"))
"""Files of metadata; CHOST is in ``Packages``."""


def read_index_fields(file: Path) -> Mapping[str, str]:
    """Read the files of metadata in ``KEYS`` that a package has; empty if it cannot be read as a package."""
    try:
        with file.open("rb") as opened:
            size = os.fstat(opened.fileno()).st_size
            source = Source(str(file), size, lambda offset, length: os.pread(opened.fileno(), length, offset))
            return formats.read(source, (*KEYS, ENVIRONMENT))
    except (OSError, BadBinpkg):
        return {}
