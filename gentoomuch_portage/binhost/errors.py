# SPDX-License-Identifier: GPL-2.0-or-later
"""Errors between a binhost and its clients; URLs are shown without passwords."""

from datetime import UTC, datetime
from pathlib import Path

from gentoomuch_portage.errors import ConfigError, MachineError, RunError, UsageError, bare


def no_binhost(folder: Path) -> UsageError:
    """The directory is not a binhost: it has no file ``Packages``."""
    hint = f"gentoomuch binhost index {folder}"
    return UsageError(f"{folder} is not a binhost: Packages is missing", code="no-binhost", hint=hint)


def nothing_to_serve(folder: Path, why: str) -> MachineError:
    """The binhost has no index, or no packages that its clients would accept."""
    return MachineError(
        f"cannot serve {folder}: {why}",
        code="nothing-to-serve",
        hint="sign packages: gentoomuch binhost sign; check the disk: df; or serve without a signature: --no-sign",
    )


def cannot_listen(address: str, why: str) -> MachineError:
    """The server cannot listen on the address."""
    return MachineError(
        f"cannot listen on {address}: {why}",
        code="cannot-listen",
        hint="use another address or port: --bind ADDRESS:PORT",
    )


def no_server() -> MachineError:
    """The Python library for the HTTP server is not installed."""
    return MachineError(
        "aiohttp is not installed; binhost serve requires it",
        code="no-server",
        hint="emerge dev-python/aiohttp, or pip install 'gentoomuch-portage[server]'",
    )


class IndexRejected(RunError):
    """The index of a binhost is not valid, or not signed by the key of that binhost."""

    code = "index-rejected"

    def __init__(
        self, where: str, why: str, *, code: str = "", hint: str = "ask the administrator of that binhost"
    ) -> None:
        super().__init__(f"index of {bare(where)} rejected: {why}", code=code, hint=hint)
        self.where, self.why = where, why


def index_rolled_back(where: str, timestamp: int, newest: int) -> IndexRejected:
    """The index of a binhost is older than the last one that was used from it."""
    return IndexRejected(
        where,
        f"it is from {format_utc(timestamp)}, older than an accepted one ({format_utc(newest)}); it may be a replay",
        code="index-rolled-back",
        hint="run on the server: gentoomuch binhost publish --refresh 0; if the server was restored from a backup: "
        f"gentoomuch binhost client {bare(where)} --accept-older",
    )


class RecordDamaged(IndexRejected):
    """The record of the last index from a binhost is damaged. Without it, an old index cannot be detected."""

    code = "index-record-damaged"

    def __init__(self, where: str, why: str) -> None:
        super().__init__(
            where,
            f"the record of the newest accepted index is damaged, so this index may be an old one: {why}",
            hint="restore that file from a backup, or accept the current index: "
            f"gentoomuch binhost client {bare(where)} --accept-older",
        )


def index_too_old(where: str, timestamp: int, now: int, max_age: int) -> IndexRejected:
    """The index of a binhost is older than ``max_age``: somebody may withhold newer ones."""
    return IndexRejected(
        where,
        f"it is from {format_utc(timestamp)}, more than max_age = {max_age} days before now ({format_utc(now)}): "
        "newer ones may be withheld (a freeze attack), or the server does not sign any more",
        code="index-too-old",
        hint="check the local clock (date), and binhost serve or publish on the server",
    )


def index_from_future(where: str, timestamp: int, now: int) -> IndexRejected:
    """The timestamp of an index is later than the clock of this machine."""
    return IndexRejected(
        where,
        f"it is from {format_utc(timestamp)}, ahead of the local time {format_utc(now)}: one of the clocks is wrong",
        code="index-from-future",
        hint="check the local clock (date); if the server's was wrong: gentoomuch binhost publish on the server",
    )


class KeyRevoked(IndexRejected):
    """The key of a binhost was revoked by its owner."""

    code = "key-revoked"

    def __init__(self, where: str, key: str, offered: str = "") -> None:
        super().__init__(
            where,
            f"its owner revoked its key {key}{_offered(offered)}",
            hint=_confirm(where, offered),
        )
        self.key, self.offered = key, offered


def key_changed(where: str, key: str, offered: str) -> IndexRejected:
    """A binhost signs with another key than the one in the configuration."""
    return IndexRejected(
        where,
        f"it is not signed by the pinned key {key}{_offered(offered)}: its owner rotated the key, "
        "or another server answers in its place",
        code="key-changed",
        hint=_confirm(where, offered),
    )


def _offered(key: str) -> str:
    return f"; it now offers {key}" if key else ""


def _confirm(where: str, offered: str) -> str:
    """Return the hint to compare keys, and the command that pins the other key."""
    url = bare(where)
    compare = "compare with gentoomuch binhost key on the server; if they are equal: "
    return f"{compare}gentoomuch binhost client {url} --new-key --fingerprint {offered or 'FINGERPRINT'}"


def format_utc(seconds: int) -> str:
    """Format a time; an invalid one as its number."""
    try:
        return f"{datetime.fromtimestamp(seconds, tz=UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        return str(seconds)


def package_rejected(where: str, why: str) -> RunError:
    """A binary package differs from its entry in the index, or is not signed by the key of its binhost."""
    message = f"{bare(where)} rejected: {why}"
    return RunError(message, code="package-rejected", hint="run on the server: gentoomuch binhost sign")


class BinhostUnavailable(MachineError):
    """A binhost does not respond, or its response is not that of a binhost."""

    code = "binhost-unavailable"

    def __init__(self, where: str, why: str) -> None:
        message = f"{bare(where)} does not answer as a binhost: {why}"
        super().__init__(message, hint=f"curl -I {bare(where)}")
        self.where, self.why = where, why


def binhosts_collide(first: str, second: str) -> ConfigError:
    """Portage would store the indexes of two binhosts in the same file."""
    return ConfigError(
        f"Portage stores the indexes of {bare(first)} and {bare(second)} in one file: "
        "they differ only in port or scheme",
        code="binhosts-collide",
        hint="serve one of them under another path, or use gm-emerge with a profile, which stores them separately",
    )


def other_key_pinned(url: str, pinned: str, offered: str) -> ConfigError:
    """The binhost is configured with another key."""
    return ConfigError(
        f"{bare(url)} now signs with key {offered}, but its configured key is {pinned}",
        code="other-key-pinned",
        hint=_confirm(url, offered),
    )


def not_confirmed(url: str, fingerprint: str) -> UsageError:
    """The user did not confirm that the key of a binhost is the right one."""
    return UsageError(
        f"the key {fingerprint} of {bare(url)} was not confirmed",
        code="key-not-confirmed",
        hint=f"compare it with gentoomuch binhost key on the server, then pass --fingerprint {fingerprint}",
    )
