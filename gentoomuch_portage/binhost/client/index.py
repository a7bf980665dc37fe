# SPDX-License-Identifier: GPL-2.0-or-later
"""Fetch the index of a binhost: complete, signed by the pinned key, and not older than an accepted one.

Portage keeps its index unless the new TIMESTAMP is later, requests it by time alone, and does not verify its author.
Here the server's ETag decides, so an index that was rolled back, or written twice within a second, is noticed.

A program without privileges downloads and decompresses it into files. Until the signature is verified, its size is
limited: absolutely, by a ratio to the download, and by a multiple of the previous index.
"""

import json
import re
import shutil
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage import fs, gpg, stored
from gentoomuch_portage.binhost import keys
from gentoomuch_portage.binhost.client import fetch
from gentoomuch_portage.binhost.client.config import BinhostConfig
from gentoomuch_portage.binhost.client.fetch import Job, Result
from gentoomuch_portage.binhost.client.memory import BinhostRecords, check_time
from gentoomuch_portage.binhost.errors import BinhostUnavailable, IndexRejected, KeyRevoked, key_changed
from gentoomuch_portage.binpkg.http import Timeouts
from gentoomuch_portage.gpg import BadKey

_MAX_BYTES = 1 << 30
"""Maximum bytes of an index; one with a million packages has 700 MiB."""
_MAX_COMPRESSED = 256 << 20
"""Maximum bytes of its gzip."""
_ALWAYS = 64 << 20
"""Bytes that an index may have even if the previous one was small."""
_GROWTH = 4
"""How many times longer than the previous index it may be."""
_MAX_SMALL = 1 << 20
"""Maximum bytes of a key or a signature."""
_POLLS = 4
"""Index and signature are two files and may change in between: number of retries."""
_HEADER = 64 << 10
"""Maximum bytes of the header of an index."""


class Response(NamedTuple):
    """A small file of a binhost."""

    status: int
    """HTTP status; only 200 has a body."""
    body: bytes
    etag: str


def fetch_small(timeouts: Timeouts, url: str, *, most: int = _MAX_SMALL) -> Response:
    """Fetch a small file, with the name and password of its URL, if any.

    Raises:
        BinhostUnavailable: the binhost does not answer completely.
    """
    with tempfile.TemporaryDirectory(prefix="gm-get-") as temporary:
        (result,) = fetch.fetch([Job(url, "body", most)], Path(temporary), timeouts)
        if result.code:
            raise BinhostUnavailable(url, result.why)
        return Response(result.status, (Path(temporary) / "body").read_bytes(), result.etag)


class CachedIndex(NamedTuple):
    """The index in the cache."""

    etag: str
    timestamp: int


def update_index(binhost: BinhostConfig, home: Path, place: Path, timeouts: Timeouts, records: BinhostRecords) -> bool:
    """Update a file with the index of a binhost; return whether it changed.

    Args:
        binhost: its key must have signed the index.
        home: directory that trusts that key.
        place: Portage's cached index of this binhost.
        records: of accepted indexes; a newly accepted signed index is added.

    Raises:
        BinhostUnavailable: it does not answer.
        IndexRejected: its index is unsigned, signed by another key, altered, too long, too old or from the future.
        RecordDamaged: the record of the newest accepted index is damaged.
        KeyRevoked: the pinned key was revoked.
    """
    records.check_key(binhost)
    mark, newest = place.with_name("Packages.gm"), records.newest(binhost) if binhost.signed else 0
    cached = _read_mark(mark, place, binhost)
    etag = cached.etag if cached and cached.timestamp >= newest else ""
    fs.ensure(place.parent)
    with fs.fresh_folder(place.parent, prefix=".index-") as folder:
        downloaded = _Download(binhost, folder, place, timeouts)
        if not downloaded.index(etag) and cached:
            if binhost.signed:
                check_time(binhost, cached.timestamp, newest)
            return False
        if why := _wait_for_signature(downloaded, home):
            raise explain(binhost, why, timeouts, records)
        timestamp = read_timestamp(binhost.url, folder / "Packages")
        if binhost.signed:
            check_time(binhost, timestamp, newest)
            records.record(binhost, timestamp)
        else:  # without a signature of the index, no failure would lead to it
            _learn_revoked(binhost, timeouts, records)
            records.check_key(binhost)
        _write_cached_index(folder / "Packages", folder / "dated")
        if place.is_dir() and not place.is_symlink():
            fs.remove(place)
        (folder / "dated").replace(place)
    write_mark(mark, place, binhost, CachedIndex(downloaded.etag, timestamp))
    return True


def _read_mark(mark: Path, place: Path, binhost: BinhostConfig) -> CachedIndex | None:
    """Read the state of the cached index; None if it was changed, or checked against another key."""

    def parse(text: str) -> CachedIndex | None:
        row, status = json.loads(text), place.stat()
        if (status.st_mtime_ns, status.st_size) != (row["mtime"], row["size"]) or row["key"] != _required_key(binhost):
            return None
        return CachedIndex(str(row["etag"]), int(row["timestamp"]))

    return stored.recall(mark, parse)


def write_mark(mark: Path, place: Path, binhost: BinhostConfig, cached: CachedIndex) -> None:
    """Record the state of the cached index, and the key that it was checked against."""
    status = place.stat()
    row = {**cached._asdict(), "mtime": status.st_mtime_ns, "size": status.st_size, "key": _required_key(binhost)}
    fs.write_cache(mark, json.dumps(row))


def _required_key(binhost: BinhostConfig) -> str:
    """Return the key that must have signed an index; empty if none."""
    return binhost.key if binhost.signed else ""


def _max_bytes(place: Path) -> int:
    """Return the maximum size of an index, given the previous one."""
    if not place.is_file():
        return _MAX_BYTES
    return min(_MAX_BYTES, max(_ALWAYS, _GROWTH * place.stat().st_size))


class _Download:
    """An index and its signature, downloaded as ``Packages`` and ``Packages.asc`` into a directory."""

    def __init__(self, binhost: BinhostConfig, folder: Path, previous: Path, timeouts: Timeouts) -> None:
        self.etag = ""
        self._binhost, self._folder, self._previous, self._timeouts = binhost, folder, previous, timeouts
        self._max_bytes = _max_bytes(previous)
        self._compressed = True
        """Whether the server has a ``Packages.gz``."""

    def index(self, etag: str) -> bool:
        """Download the index and its signature; return whether it differs from the version of ``etag``."""
        first = self._fetch([self._job(etag), *self._signature()])[0]
        if first.status == 404 and self._compressed:
            self._compressed = False
            first = self._fetch([self._job(etag), *self._signature()])[0]
        if first.status == 304 and etag:
            return False
        if first.status != 200:
            raise BinhostUnavailable(f"{self._binhost.url}/Packages", f"it answers {first.status}")
        self.etag = first.etag
        return True

    def changed(self) -> bool:
        """Download again what has changed on the server; return whether anything has."""
        before = self._signed_by()
        jobs = [*self._signature(), *([self._job(self.etag)] if self.etag else [])]
        results = self._fetch(jobs)
        new = len(results) == len(jobs) and results[-1].status == 200 and bool(self.etag)
        if new:
            self.etag = results[-1].etag
        if self._signed_by() == before:
            return new
        return new or bool(self.etag) or self.index("")

    def reject_reason(self, home: Path) -> str:
        """Return why the index is rejected; empty if its key signed it, or no signature is required."""
        if not self._binhost.signed:
            return ""
        signature, key = self._folder / "Packages.asc", self._binhost.key
        if not signature.stat().st_size:
            return "it is not signed (Packages.asc is missing)"
        signer = gpg.find_signer(home, self._folder / "Packages", signature)
        if signer == key:
            return ""
        return f"it is signed by {signer}, not by {key}" if signer else "its signature is not good"

    def _signed_by(self) -> bytes:
        return (self._folder / "Packages.asc").read_bytes()

    def _job(self, etag: str) -> Job:
        if self._compressed:
            url, most = f"{self._binhost.url}/Packages.gz", min(_MAX_COMPRESSED, self._max_bytes)
            return Job(url, "Packages.gz", most, etag=etag, unpack="Packages", unpack_most=self._max_bytes)
        return Job(f"{self._binhost.url}/Packages", "Packages", self._max_bytes, etag=etag)

    def _signature(self) -> list[Job]:
        return [Job(f"{self._binhost.url}/Packages.asc", "Packages.asc", 1 << 16)] if self._binhost.signed else []

    def _fetch(self, jobs: list[Job]) -> list[Result]:
        results = fetch.fetch(jobs, self._folder, self._timeouts)
        failed = results[-1]
        if not failed.code:
            return results
        url = jobs[len(results) - 1].url
        if not failed.lasting:
            raise BinhostUnavailable(url, failed.why)
        if self._max_bytes == _MAX_BYTES:
            raise IndexRejected(self._binhost.url, failed.why)
        raise IndexRejected(self._binhost.url, failed.why, hint=f"if such growth is expected: rm {self._previous}")


def _wait_for_signature(downloaded: _Download, home: Path) -> str:
    """Return why an index is rejected after retries, for a server that is updating both files; may be empty."""
    why = downloaded.reject_reason(home)
    for poll in range(1, _POLLS + 1):
        if not why:
            break
        time.sleep(0.1 * poll)
        if downloaded.changed():
            why = downloaded.reject_reason(home)
    return why


def explain(binhost: BinhostConfig, why: str, timeouts: Timeouts, records: BinhostRecords) -> IndexRejected:
    """Find out why the signature of an index is not good: the key was rotated or revoked, or neither.

    The key that the server offers is only reported; a revocation proves itself and is recorded.

    Raises:
        BinhostUnavailable: the binhost does not answer any more.
    """
    _learn_revoked(binhost, timeouts, records)
    offered = _fetch_offered_key(binhost, timeouts)
    if records.is_revoked(binhost.key):
        return KeyRevoked(binhost.url, binhost.key, offered)
    return key_changed(binhost.url, binhost.key, offered) if offered else IndexRejected(binhost.url, why)


def _learn_revoked(binhost: BinhostConfig, timeouts: Timeouts, records: BinhostRecords) -> None:
    """Fetch the list of revoked keys."""
    revoked = fetch_small(timeouts, f"{binhost.url}/revoked.asc")
    if revoked.status == 200:
        records.record_revocation(revoked.body, binhost.key)


def _fetch_offered_key(binhost: BinhostConfig, timeouts: Timeouts) -> str:
    """Return the fingerprint of the key that a binhost offers; empty if it is the pinned one, or missing."""
    response = fetch_small(timeouts, f"{binhost.url}/key.asc")
    if response.status != 200:
        return ""
    with tempfile.TemporaryDirectory(prefix="gm-key-") as folder:
        try:
            key = keys.check_key(binhost.url, response.body, "", Path(folder))
        except BadKey:
            return ""
    return "" if key == binhost.key else key


def read_timestamp(url: str, file: Path) -> int:
    """Read the TIMESTAMP of an index: the last one counts; without one, Portage would fetch the index itself.

    Raises:
        IndexRejected: it has none.
    """
    with file.open("rb") as content:
        header, gap, _ = content.read(_HEADER).partition(b"\n\n")
    timestamps = re.findall(rb"^TIMESTAMP:(.*)$", header, re.M)
    if not gap or not timestamps or not re.fullmatch(rb"[ \t]*[0-9]{1,18}[ \t]*", timestamps[-1]) or b"\r" in header:
        raise IndexRejected(url, "it has no header with a TIMESTAMP")
    return int(timestamps[-1])


def _write_cached_index(plain: Path, dated: Path) -> None:
    """Write the index as Portage caches it. Source: DOWNLOAD_TIMESTAMP in binarytree._populate_remote_repo."""
    with plain.open("rb") as source, dated.open("wb") as target:
        header, _, body = source.read(_HEADER).partition(b"\n\n")
        target.write(header + b"\nDOWNLOAD_TIMESTAMP: %d\n\n" % time.time() + body)
        shutil.copyfileobj(source, target, 1 << 20)


def timeouts_of(binhost: BinhostConfig) -> Timeouts:
    """Return the timeouts for a binhost."""
    seconds = float(binhost.timeout)
    return Timeouts(connect=seconds, silence=seconds, total=3.0 * seconds, rate=binhost.rate << 10)
