"""What binary packages tell of themselves: from memory, from a file, or from their binhost.

What a package tells of itself beyond what ``Packages`` has: read once, when it comes into an index.
"""

import os
import stat
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from urllib.parse import unquote, urlsplit

from gentoomuch_portage.binpkg import cache as binpkg_cache
from gentoomuch_portage.binpkg import formats, http
from gentoomuch_portage.binpkg.cache import Kept
from gentoomuch_portage.binpkg.environment import ENVIRONMENT
from gentoomuch_portage.binpkg.http import Pools, Unread, origin
from gentoomuch_portage.binpkg.source import BadBinpkg, Source
from gentoomuch_portage.errors import GmError
from gentoomuch_portage.isa import resolve
from gentoomuch_portage.portage_adapter.binpkg import BUILT_FOR, RECORDED, Binpkg, Place
from gentoomuch_portage.portage_adapter.installed import NAME as DOTGENTOO
from gentoomuch_portage.portage_adapter.user_patches import NAMED

AT_ONCE = 4
"""Packages that are read from binhosts at the same time. Each may take 40 MiB where it is hostile."""

_BELIEVED = 7 * 24 * 3600
"""Seconds. What a binhost shows of a package is held to no digest before the package is fetched."""
_FETCHED = "fetched"
"""Stamp of what stood in a file that had the digests of its index."""

Told = dict[str, str]


class Reader:
    """Reads binary packages for one run of emerge, in one process."""

    def __init__(self, cache: Path, wanted: Collection[str], pools: Pools) -> None:
        self._wanted = frozenset(wanted)
        self._kept = Kept(cache / "requirements", wanted)
        self._pools = pools
        self._heard: dict[Place, Told | GmError] = {}
        self._dead: dict[str, Unread] = {}

    def read(self, binpkg: Binpkg) -> Told:
        """The files of metadata that are wanted; those that the package lacks are left out.

        A package with both a path and a URL was fetched, and has the digests that its index tells.

        Raises:
            BadBinpkg: it is no binary package, a damaged or a hostile one.
            Unread: its binhost does not let us look into it.
        """
        if binpkg.path is not None:
            return self._fetched(binpkg.path, binpkg.place) if binpkg.url else self._local(binpkg.path)
        place = binpkg.place
        match urlsplit(place.url):
            case ("http" | "https", *_):
                return self._remote(place, binpkg.others)
            case ("file" | "", _, path, *_):
                return self._local(Path(unquote(path)))
            case (scheme, *_):
                raise Unread(place.url, f"packages behind {scheme}:// cannot be looked into before they are fetched")

    def remembered(self, binpkg: Binpkg) -> Told | None:
        """What a package told before; nothing is read but that."""
        return self._known(binpkg.place) if binpkg.path is None else None

    def _fetched(self, path: Path, place: Place) -> Told:
        """What a file tells that was fetched; from now on that is what counts of the package on its binhost."""
        try:
            found, _ = _of_file(path, self._wanted)
        except OSError as error:
            raise _unreadable(path, error) from error
        if place.digests:
            self._kept.put(_key(place), found, _FETCHED)
        return found

    def _local(self, path: Path) -> Told:
        try:
            mark = binpkg_cache.stamp(path.stat(), time.time_ns())
            key = f"file {path}"
            if mark and (known := self._kept.get(key, mark)) is not None:
                return known
            found, seen = _of_file(path, self._wanted)
            if mark and mark == binpkg_cache.stamp(seen, time.time_ns()):
                self._kept.put(key, found, mark)
        except OSError as error:
            raise _unreadable(path, error) from error
        return found

    def _remote(self, place: Place, others: Sequence[Place]) -> Told:
        if (known := self._known(place)) is not None:
            return known
        if place not in self._heard:
            self._hear([place, *self._next(place, others)])
        heard = self._heard[place]
        if isinstance(heard, GmError):
            raise heard
        return heard

    def _known(self, place: Place) -> Told | None:
        """What is kept of a package by its strongest digest. No binhost speaks for the packages of another."""
        if not place.digests:
            return None
        return self._kept.get(_key(place), _FETCHED, _shown())

    def _next(self, place: Place, others: Sequence[Place]) -> list[Place]:
        """What will be asked for next.

        Mostly the first instance fits, so it is read alone. Where it does not, the next ones are read at once.
        """
        if not any(other in self._heard for other in others):
            return []
        following = others[others.index(place) + 1 :] if place in others else ()
        return [one for one in following if one not in self._heard and self._known(one) is None][: AT_ONCE - 1]

    def _hear(self, places: Sequence[Place]) -> None:
        alive = []
        for place in places:
            if dead := self._dead.get(origin(place.url)):
                self._heard[place] = dead
            else:
                alive.append(place)
        jobs = [self._job(place) for place in alive]
        for place, heard in zip(alive, together(jobs, self._pools.patience.total), strict=True):
            found = Unread(place.url, "its binhost is too slow", dead=True) if heard is None else heard
            self._heard[place] = found
            if isinstance(found, Unread) and found.dead:
                self._dead[origin(place.url)] = found
            elif isinstance(found, dict) and place.digests:
                self._kept.put(_key(place), found, _shown())

    def _job(self, place: Place) -> Callable[[], Told]:
        def read() -> Told:
            with http.opened(self._pools, place.url, place.size) as source:
                return formats.read(source, self._wanted)

        return read


def _key(place: Place) -> str:
    kind, digest = place.digests[0]
    return f"{kind} {digest} {place.size} {origin(place.url)}"


def _shown() -> str:
    """Stamp of what a binhost shows of a package in these days."""
    return f"shown {int(time.time() // _BELIEVED)}"


def _unreadable(path: Path, error: OSError) -> Unread:
    return Unread(str(path), (error.strerror or type(error).__name__).lower())


def _of_file(path: Path, wanted: Collection[str]) -> tuple[Told, os.stat_result]:
    """What a file tells, and what it was when it did; a pipe or a device is not waited for."""
    number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        seen = os.fstat(number)
        source = Source(str(path), seen.st_size, lambda offset, length: os.pread(number, length, offset))
        if not stat.S_ISREG(seen.st_mode):
            raise source.bad("it is no plain file")
        return formats.read(source, wanted), os.fstat(number)
    finally:
        os.close(number)


def together(jobs: Sequence[Callable[[], Told]], seconds: float) -> list[Told | GmError | None]:
    """Do some jobs at the same time; None for each that is not done in time.

    A server can hold a reader for ever, a byte now and a byte then, in places that no timeout of a library
    covers. So nobody waits for the threads: they end with the process.
    """
    done: SimpleQueue[tuple[int, Told | GmError | BaseException]] = SimpleQueue()

    def work(number: int) -> None:
        try:
            done.put((number, jobs[number]()))
        except BaseException as error:  # handed to whoever waits
            done.put((number, error))

    for number in range(len(jobs)):
        threading.Thread(target=work, args=(number,), daemon=True).start()
    results: list[Told | GmError | None] = [None] * len(jobs)
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


KEYS = (RECORDED, NAMED, DOTGENTOO, BUILT_FOR, *(one for one in resolve.VARIABLES if one != "CHOST"))
"""Files of metadata; CHOST is in ``Packages``."""


def told(file: Path) -> Mapping[str, str]:
    """File of metadata -> text, of ``KEYS`` those that it has; nothing where it is no package that can be read."""
    try:
        with file.open("rb") as opened:
            size = os.fstat(opened.fileno()).st_size
            source = Source(str(file), size, lambda at, length: os.pread(opened.fileno(), length, at))
            return formats.read(source, (*KEYS, ENVIRONMENT))
    except (OSError, BadBinpkg):
        return {}
