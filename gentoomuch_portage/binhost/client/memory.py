# SPDX-License-Identifier: GPL-2.0-or-later
"""Record for each binhost the newest accepted index, and its revoked keys.

``state/binhosts/DIGEST.json`` has the newest accepted TIMESTAMP of a URL and key; ``state/binhosts/revoked/`` has
revoked keys, ``FINGERPRINT.asc``, each with its own revocation. This is state: clearing the cache must not make an
old index or a stolen key acceptable again.

With a damaged record no index is accepted, until the administrator accepts the current one (``--accept-older``).

An index from the future is rejected, so that a server with a wrong clock cannot block all later indexes, and cannot
be replayed until then.
"""

import hashlib
import json
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage import fs, gpg, stored
from gentoomuch_portage.binhost import keys
from gentoomuch_portage.binhost.client.config import BinhostConfig
from gentoomuch_portage.binhost.errors import (
    KeyRevoked,
    RecordDamaged,
    index_from_future,
    index_rolled_back,
    index_too_old,
)
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import BadFile, bare

DAY = 86400
SKEW = DAY
"""Seconds by which two clocks may differ."""


class BinhostRecords(NamedTuple):
    """The records of all binhosts."""

    states: tuple[Path, ...]
    """State directories that are read; the first one is written."""

    @classmethod
    def of(cls, settings: Settings) -> "BinhostRecords":
        """Return the records of this user and of the system."""
        return cls(settings.states)

    def newest(self, binhost: BinhostConfig) -> int:
        """Return the newest TIMESTAMP accepted from this URL and key; 0 if none was.

        Raises:
            RecordDamaged: a record of it cannot be read.
        """
        return max(_read(_file(state, binhost), binhost) for state in self.states)

    def record(self, binhost: BinhostConfig, timestamp: int, *, older: bool = False) -> None:
        """Record an accepted TIMESTAMP.

        Args:
            older: also if it is older than the newest one, or the record is damaged.

        Raises:
            NoPrivilege: the state cannot be written.
            RecordDamaged: a record cannot be read.
        """
        file = _file(self.states[0], binhost)
        if not older and timestamp == self.newest(binhost):
            return
        with fs.locked(file.parent / "lock"):
            if older or timestamp > _read(file, binhost):
                row = {"url": bare(binhost.url), "key": binhost.key, "timestamp": timestamp}
                fs.write_cache(file, json.dumps(row), durable=True)

    def is_revoked(self, key: str) -> bool:
        """Check whether a key was revoked, which is permanent."""
        return keys.is_revoked(self.states, key)

    def record_revocation(self, revoked: bytes, pinned: str) -> None:
        """Record that a pinned key was revoked, if a file of public keys proves it.

        Other keys are not recorded, otherwise a binhost could fill the disk.

        Args:
            revoked: the file, from any source: only a key itself can sign its revocation.
            pinned: fingerprint of the key.
        """
        with tempfile.TemporaryDirectory(prefix="gm-revoked-") as folder:
            file = Path(folder) / "revoked.asc"
            file.write_bytes(revoked)
            if pinned in gpg.find_revoked_keys([file]):
                fs.write(self.states[0] / "binhosts/revoked" / f"{pinned}.asc", revoked)

    def check_key(self, binhost: BinhostConfig) -> None:
        """Reject a binhost whose pinned key was revoked.

        Raises:
            KeyRevoked: it was.
        """
        if self.is_revoked(binhost.key):
            raise KeyRevoked(binhost.url, binhost.key)

    def valid(self, pinned: Iterable[Path]) -> list[Path]:
        """Return the key files, ``FINGERPRINT.asc``, without those of revoked keys."""
        return [file for file in pinned if not self.is_revoked(file.stem)]


def check_time(binhost: BinhostConfig, timestamp: int, newest: int) -> None:
    """Reject a signed index with a wrong TIMESTAMP.

    Args:
        newest: the newest TIMESTAMP that was accepted before.

    Raises:
        IndexRejected[index-from-future]: it is ahead of the local clock.
        IndexRejected[index-rolled-back]: a newer one was accepted before.
        IndexRejected[index-too-old]: it is older than ``max_age``.
    """
    now = int(time.time())
    if timestamp > now + SKEW:
        raise index_from_future(binhost.url, timestamp, now)
    if timestamp < newest:
        raise index_rolled_back(binhost.url, timestamp, newest)
    if binhost.max_age and timestamp < now - binhost.max_age * DAY:
        raise index_too_old(binhost.url, timestamp, now, binhost.max_age)


def _file(state: Path, binhost: BinhostConfig) -> Path:
    name = hashlib.sha256(f"{bare(binhost.url)} {binhost.key}".encode()).hexdigest()[:24]
    return state / "binhosts" / f"{name}.json"


def _read(file: Path, binhost: BinhostConfig) -> int:
    """Read a recorded TIMESTAMP; 0 if there is no record.

    Raises:
        RecordDamaged: it cannot be read, or is not of this URL and key.
    """

    def parse(text: str) -> int:
        row = json.loads(text)
        if (row["url"], row["key"]) != (bare(binhost.url), binhost.key):
            raise ValueError("a record of another binhost")
        timestamp = row["timestamp"]
        if type(timestamp) is not int or timestamp <= 0:
            raise ValueError("no time")
        return timestamp

    try:
        return stored.load(file, parse, "the record of a binhost") or 0
    except BadFile as error:
        raise RecordDamaged(binhost.url, error.message) from error
