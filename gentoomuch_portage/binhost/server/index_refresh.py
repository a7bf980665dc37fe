# SPDX-License-Identifier: GPL-2.0-or-later
"""Prepare the compressed and signed files of each new index, in the first process of a server.

``IDENTITY.gz``, ``.zst`` and ``.asc`` below ``cache/binserve/...`` belong to the index of that identity; ``.ready``
marks them complete. If the index is signed, ``.plain`` is a copy of it, and ``latest`` names the one that clients
see: builders may change the index several times a second, and a client must find the signature of what it read.

A signed index has the TIMESTAMP of its source, but at least the start of the day (UTC): it is signed again every day,
so that clients notice one that is withheld. Its name is then ``IDENTITY-TIMESTAMP``. The first signature has the
current time, because a restored server cannot know what clients have seen. From the next change or day on, all
servers of a directory have the same TIMESTAMP.
"""

import gzip
import hashlib
import os
import re
import time
from collections.abc import Callable, Set
from pathlib import Path

from gentoomuch_portage import fs, zstd
from gentoomuch_portage.binhost import keys
from gentoomuch_portage.binhost.keys import Key
from gentoomuch_portage.binhost.server import files
from gentoomuch_portage.binhost.server.problems import ProblemLog
from gentoomuch_portage.errors import GmError

SignPackages = Callable[[], Set[str] | None]
"""Sign unsigned packages. Returns None if some were signed, so that the index changes; otherwise the paths, below the
binhost, of packages that could not be signed: a signed index omits them.
"""
LATEST = "latest"
_RETRY = 5.0
"""Seconds until preparing a failed index is tried again."""
_RETRY_PACKAGES = 60.0
"""Seconds until signing failed packages is tried again."""
_CANNOT_PREPARE = "cannot prepare the index, retrying"
_DAY = 86400
_NEWER = 6
"""Minimum seconds between the times of two indexes. Portage asks for one that is newer than its own by more than five
(Source: TIMESTAMP_TOLERANCE of portage/util/_urlopen.py).
"""
_HEADER = 1 << 16
_TIMESTAMP = re.compile(rb"(?m)^TIMESTAMP: *(\d{1,18}) *$")
_OLD = 60.0
"""Seconds for which files of an earlier index are kept for clients that are about to request them."""


class IndexRefresher:
    """Checks an index, and prepares its files."""

    def __init__(
        self,
        root: Path,
        folder: Path,
        key: Key | None,
        report: Callable[[str], None],
        sign_packages: SignPackages | None = None,
    ) -> None:
        """Configure; nothing is prepared yet.

        Args:
            folder: directory of the prepared files.
            key: signs the index; None for an unsigned index.
            report: called with each new problem.
            sign_packages: called with each new index before it is signed; None to leave packages unchanged.
        """
        self.root, self._folder = root, fs.ensure(folder)
        self._problems = ProblemLog(report)
        self.key = key
        self.problem = ""
        """Why the last index could not be prepared; may be empty."""
        self._must_sign = False
        self._sign_unsigned = sign_packages
        self._has_unsigned = False
        self._last_identity = self._failed = ""
        self._due = 0.0
        if key is None:
            (folder / LATEST).unlink(missing_ok=True)

    def sign_with(self, key: Key) -> None:
        """Sign with another key from now on, including the current index."""
        self.key, self._last_identity, self._must_sign = key, "", True

    def __call__(self) -> bool:
        """Check once; return True if the index changed."""
        identity = files.find_identity(self.root)
        waits = time.monotonic() < self._due
        if not identity or (identity == self._failed and waits):
            return False
        if identity == self._last_identity and not self._is_stale():
            if self._has_unsigned and not waits:
                self._sign_packages_again()
            return False
        try:
            done = self._prepare(identity)
        except (OSError, GmError) as error:
            self.problem = str(error)
            self._problems.failed(_CANNOT_PREPARE, self.problem)
            self._failed, self._due = identity, time.monotonic() + _RETRY
            return True
        if done:
            self._problems.solved(_CANNOT_PREPARE)
            self._last_identity, self._failed, self.problem = identity, "", ""
            self._due = time.monotonic() + _RETRY_PACKAGES
            self._remove_old(identity)
        return True

    @property
    def is_ready(self) -> bool:
        """Whether clients find an index that they accept."""
        return self.key is None or self._has_own_signature() or bool(read_latest(self._folder))

    @property
    def packages(self) -> int:
        """Number of packages in the signed index."""
        return len(re.findall(rb"(?m)^CPV: ", self._shown_text()))

    @property
    def packages_of_folder(self) -> int:
        """Number of packages in the index of the directory."""
        return len(re.findall(rb"(?m)^CPV: ", (self.root / "Packages").read_bytes()))

    def files(self) -> list[Path]:
        """Return the prepared files."""
        return sorted(self._folder.glob(f"{read_latest(self._folder)}.*")) if read_latest(self._folder) else []

    def _sign_packages_again(self) -> None:
        """Retry signing packages; if one is signed now, the index changes."""
        self._has_unsigned = bool(self._sign_unsigned and self._sign_unsigned())
        self._due = time.monotonic() + _RETRY_PACKAGES

    def _is_stale(self) -> bool:
        """Check whether the signed index that clients see is from an earlier day."""
        if self.key is None or self._has_own_signature():
            return False
        return self._shown_timestamp() < start_of_day(time.time())

    def _has_own_signature(self) -> bool:
        """Check whether the binhost was published with a signature, which is served unchanged."""
        return (self.root / "Packages.asc").exists()

    def _shown_timestamp(self) -> int:
        try:
            with (self._folder / f"{read_latest(self._folder)}.plain").open("rb") as file:
                return _parse_timestamp(file.read(_HEADER))
        except OSError:
            return 0

    def _prepare(self, identity: str) -> bool:
        """Prepare the files of the index; False if it changed meanwhile, or must be checked again."""
        if self._must_sign or not self._is_prepared(identity):
            name = self._write_files(identity)
            if not name:
                return False
            fs.write(self._folder / f"{identity}.ready", "")
            self._must_sign = False
            if self.key is not None:
                fs.write(self._folder / LATEST, name, durable=False)
        return True

    def _is_prepared(self, identity: str) -> bool:
        if self.key is None:
            return (self._folder / f"{identity}.ready").exists()
        name = read_latest(self._folder)
        is_current = name == identity or name.startswith(f"{identity}-")
        return is_current and (self._folder / f"{name}.asc").exists() and not self._is_stale()

    def _write_files(self, identity: str) -> str:
        """Write the files, the signature last; return their name, empty if the index changed meanwhile.

        Packages are signed before the index that lists them.
        """
        place = self.root / "Packages"
        text, modified = place.read_bytes(), place.stat().st_mtime_ns
        unsigned = self._sign_unsigned() if self._sign_unsigned else frozenset()
        if unsigned is None or files.find_identity(self.root) != identity:
            return ""
        self._has_unsigned = bool(unsigned)
        if self._sign_unsigned:
            text = keep_signed(text, unsigned)
        name = identity
        if self.key is not None and not self._has_own_signature():
            own, stamp = _parse_timestamp(text), self._timestamp_to_sign(text)
            if stamp != own:
                text = _with_timestamp(text, stamp)
                name, modified = f"{identity}-{stamp:x}", stamp * 10**9
        self._write(f"{name}.gz", gzip.compress(text, 6, mtime=0), modified)
        if (packed := _compress_zstd(text)) is not None:
            self._write(f"{name}.zst", packed, modified)
        if self.key is not None:
            plain = self._write(f"{name}.plain", text, modified)
            keys.sign(self.key, plain, plain.with_suffix(".part"))
            os.utime(plain.with_suffix(".part"), ns=(modified, modified))
            plain.with_suffix(".part").replace(self._folder / f"{name}.asc")
        return name

    def _write(self, name: str, content: bytes, modified: int) -> Path:
        """Write a prepared file with the time of its index."""
        place = self._folder / name
        fs.write(place, content)
        os.utime(place, ns=(modified, modified))
        return place

    def _timestamp_to_sign(self, text: bytes) -> int:
        """Return the TIMESTAMP to sign an index with: newer than the current one, if the content changed.

        A time that is ahead by a day or more came from a wrong clock, and is ignored.
        """
        now = int(time.time())
        own = _parse_timestamp(text)
        timestamp = max(own if own <= now + _DAY else 0, start_of_day(now))
        current = self._shown_timestamp()
        if not current or current > now + _DAY:
            return now
        if _without_timestamp(self._shown_text()) == _without_timestamp(text):
            return max(timestamp, current)
        return timestamp if timestamp > current else max(now, current + _NEWER)

    def _shown_text(self) -> bytes:
        try:
            return (self._folder / f"{read_latest(self._folder)}.plain").read_bytes()
        except OSError:
            return b""

    def _remove_old(self, identity: str) -> None:
        current = (identity, read_latest(self._folder) or identity, LATEST)
        for file in self._folder.iterdir():
            if file.name.partition(".")[0] not in current and time.time() - file.stat().st_ctime > _OLD:
                file.unlink(missing_ok=True)


def start_of_day(now: float) -> int:
    """Return when the day began (UTC), in seconds since the epoch."""
    return int(now) // _DAY * _DAY


def _parse_timestamp(text: bytes) -> int:
    """Parse the TIMESTAMP of an index; 0 if it has none."""
    match = _TIMESTAMP.search(text.partition(b"\n\n")[0])
    return int(match[1]) if match else 0


def _with_timestamp(text: bytes, timestamp: int) -> bytes:
    header, gap, body = text.partition(b"\n\n")
    line = b"TIMESTAMP: %d" % timestamp
    header = _TIMESTAMP.sub(line, header) if _TIMESTAMP.search(header) else header + b"\n" + line
    return header + gap + body


def _without_timestamp(text: bytes) -> bytes:
    header, gap, body = text.partition(b"\n\n")
    return _TIMESTAMP.sub(b"", header) + gap + body


def keep_signed(text: bytes, unsigned: Set[str]) -> bytes:
    """Remove unsigned packages from an index: the given paths, and all that are not gpkgs."""
    header, *entries = text.split(b"\n\n")
    signed = [entry for entry in entries if not _is_unsigned(entry, unsigned)]
    if len(signed) == len(entries):
        return text
    number = sum(1 for entry in signed if entry.strip())
    return b"\n\n".join((re.sub(rb"(?m)^PACKAGES: .*$", b"PACKAGES: %d" % number, header), *signed))


def _is_unsigned(entry: bytes, unsigned: Set[str]) -> bool:
    path = re.search(rb"(?m)^PATH: (.*)$", entry)
    if path is None:
        return re.search(rb"(?m)^CPV: ", entry) is not None  # an xpak in the old layout
    return not path[1].endswith(b".gpkg.tar") or os.fsdecode(path[1]) in unsigned


def read_latest(folder: Path) -> str:
    """Return the identity of the index that clients see; empty if they see that of the binhost."""
    try:
        return (folder / LATEST).read_text(encoding="ascii")
    except OSError:
        return ""


def _compress_zstd(text: bytes) -> bytes | None:
    """Compress with zstd; None if this Python lacks it."""
    try:
        packed: bytes = zstd.module().compress(text, 6)
    except ImportError:
        return None
    return packed


def prepared_directory(root: Path, cache: Path) -> Path:
    """Return the directory of the prepared files of a binhost."""
    name = hashlib.sha256(os.fsencode(root.absolute())).hexdigest()[:16]
    return cache / "binserve" / name
