# SPDX-License-Identifier: GPL-2.0-or-later
"""Use binhosts during one run: each index is fetched once, and failures are recorded so that the next source is used.

``Settings.rejected`` has one file per failure. Failures of a package last as long as the index lists the same file;
failures of a connection last for one run.

The digests of a signed index authenticate its packages. Packages of a plain index must be signed by the key of that
binhost: Portage has one directory of keys for all binhosts, and would accept the key of any other.
"""

import glob
import hashlib
import json
import os
import re
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gentoomuch_portage import console, fs, stored
from gentoomuch_portage.binhost import keys
from gentoomuch_portage.binhost.client import fetch, index
from gentoomuch_portage.binhost.client.config import BinhostConfig, load_binhosts
from gentoomuch_portage.binhost.client.fetch import Job
from gentoomuch_portage.binhost.client.memory import BinhostRecords
from gentoomuch_portage.binhost.errors import BinhostUnavailable, IndexRejected, KeyRevoked
from gentoomuch_portage.binpkg.http import Timeouts
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.containers import artifacts
from gentoomuch_portage.errors import bare
from gentoomuch_portage.portage_adapter import signing
from gentoomuch_portage.portage_adapter.binpkg import Binpkg, Place
from gentoomuch_portage.portage_adapter.downloads import Downloads, Failure, Order

_NAME = re.compile(r"(dead-)?[0-9a-f]{24}\.json")
_CODE = re.compile(r"[a-z][a-z-]{0,39}")
_MOST_FAILURES = 1000
"""Failures of one container that are recorded."""


def record_failure(folder: Path, place: Place, cpv: str, failure: Failure, *, run: int = 0) -> None:
    """Reject a package from now on; only in this run, unless the failure is lasting.

    Args:
        run: process ID of the run (default: this process).
    """
    run = run or os.getpid()
    row = {"cpv": cpv, "url": bare(place.url), "why": failure.why, "code": failure.code, "at": int(time.time())}
    row["fresh"] = run
    fs.write_cache(_file(folder, place), json.dumps(row if failure.lasting else {**row, "run": run}))


def record_dead(folder: Path, url: str, why: str, code: str) -> None:
    """Reject all packages of a binhost in this run."""
    row = {"cpv": "", "url": bare(url), "why": why, "code": code, "at": int(time.time())}
    row |= {"fresh": os.getpid(), "run": os.getpid()}
    fs.write_cache(folder / f"dead-{hashlib.sha256(url.encode()).hexdigest()[:24]}.json", json.dumps(row))


def find_reject_reason(folder: Path, place: Place) -> str:
    """Return why a package of a binhost is rejected; may be empty."""
    if not folder.is_dir():
        return ""
    failure = _read(_file(folder, place))
    if failure and failure.get("run", os.getpid()) == os.getpid():
        return f"{failure['why']} (last attempt)"
    return find_dead_reason(folder, place.url)


def find_dead_reason(folder: Path, url: str) -> str:
    """Return why the binhost of a URL is dead in this run; may be empty."""
    failures = [_read(file) for file in folder.glob("dead-*.json")]
    current = [failure for failure in failures if failure and failure.get("run", os.getpid()) == os.getpid()]
    return next((failure["why"] for failure in current if bare(url).startswith(f"{failure['url']}/")), "")


def take_new_failures(folder: Path) -> list[dict[str, Any]]:
    """Return the failures of this run that were not returned before."""
    failures = []
    for file in _files(folder):
        failure = _read(file)
        if failure and failure.get("fresh") == os.getpid():
            failures.append(failure)
            fs.write_cache(file, json.dumps({**failure, "fresh": 0}))
    return failures


def lend_failures(folder: Path, inner: Path) -> None:
    """Copy the failures that apply to this run for one of its containers, where all of them always apply."""
    fs.ensure(inner)
    for file in _files(folder):
        failure = _read(file)
        if failure and failure.pop("run", os.getpid()) == os.getpid():
            fs.write_cache(inner / file.name, json.dumps({**failure, "fresh": 0}))


def take_failures(inner: Path, folder: Path, *, lasting: bool) -> None:
    """Record the new failures of a container for this run, so that its next attempt uses the next source.

    Args:
        inner: the container's directory of failures; untrusted input. A failure only makes a package unusable.
        lasting: whether failures may apply to later runs as well.
    """
    for file in [file for file in _files(inner) if _NAME.fullmatch(file.name)][:_MOST_FAILURES]:
        try:
            failure = _parse_failure(artifacts.read_text_below(inner, file))
        except stored.DAMAGED:
            continue
        if not failure.get("fresh"):
            continue
        row: dict[str, Any] = {name: console.escape_unprintable(failure[name]) for name in ("cpv", "url", "why")}
        code = str(failure.get("code"))
        row |= {"code": code if _CODE.fullmatch(code) else "package-rejected", "at": int(time.time())}
        row |= {"fresh": os.getpid()} | ({} if lasting and "run" not in failure else {"run": os.getpid()})
        fs.write_cache(folder / file.name, json.dumps(row))


def remove_expired(folder: Path) -> None:
    """Remove failures that applied only to an earlier run."""
    for file in _files(folder):
        failure = _read(file)
        if not failure or failure.get("run", os.getpid()) != os.getpid():
            fs.remove(file)
    with suppress(OSError):
        folder.rmdir()  # succeeds if it is empty; most runs then skip the directory


def forget(cache: Path, edb: Path, url: str) -> tuple[Path, ...]:
    """Remove the cached indexes of a binhost, of all profiles and of plain emerge, and its recorded failures.

    The next run downloads the index, and tries all packages again. Other ports of the same host are included.

    Args:
        cache: directory of our cache.
        edb: Portage's directory of cached indexes.

    Returns:
        The removed files, sorted.
    """
    parts = urlsplit(url)
    below = f"{glob.escape(parts.hostname or '')}*/{glob.escape(parts.path.strip('/'))}"
    wanted = [*(cache / "binhosts").glob(f"**/binhost/{below.rstrip('/')}/Packages*"), *edb.glob(f"{below}/Packages*")]
    failures = (file for folder in (cache / "rejected").glob("*") if folder.is_dir() for file in _files(folder))
    wanted += [file for file in failures if f"{_read(file).get('url')}/".startswith(f"{bare(url)}/")]
    for file in wanted:
        file.unlink(missing_ok=True)
    return tuple(sorted(wanted))


def _file(folder: Path, place: Place) -> Path:
    strongest = place.digests[0][1] if place.digests else str(place.size)
    return folder / f"{hashlib.sha256(f'{place.url} {strongest}'.encode()).hexdigest()[:24]}.json"


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.json")) if folder.is_dir() else []


def _read(file: Path) -> dict[str, Any]:
    return stored.recall(file, _parse_failure) or {}


def _parse_failure(text: str) -> dict[str, Any]:
    """Parse a recorded failure.

    Raises:
        ValueError, TypeError, KeyError: it is not a failure.
    """
    row = json.loads(text)
    if not all(isinstance(row[name], str) for name in ("cpv", "url", "why")):
        raise TypeError("not a failure")
    if not all(isinstance(row.get(name, 0), int) for name in ("at", "fresh", "run")):
        raise TypeError("not a failure")
    return dict(row)


class BinhostSession:
    """The binhosts of one run."""

    def __init__(self, settings: Settings, profile: str) -> None:
        self.cache = settings.cache / "binhosts" / profile
        """Directory of their indexes."""
        self._settings = settings
        self._folder = settings.rejected(profile)
        self._binhosts = {bare(binhost.url): binhost for binhost in load_binhosts(settings)}
        self._reject_reasons: dict[str, str] = {}
        self._records = BinhostRecords.of(settings)
        self._is_container = not settings.checked and self.cache.is_dir()
        """Whether the host has updated the indexes for a container, which can see no records of accepted ones."""
        remove_expired(self._folder)

    def update_index(self, url: str, place: Path) -> str | None:
        """Update the index of a binhost; return why it is rejected, or None for a binhost that is not configured here.

        Raises:
            BinhostUnavailable, IndexRejected: it failed, and the binhost has ``fallback = false``.
        """
        skipped = place.with_name("Packages.skipped")
        if self._is_container:
            return _find_skip_reason(place, skipped)
        binhost = self._binhosts.get(bare(url).rstrip("/"))
        if binhost is None:
            return None
        if url not in self._reject_reasons:
            fs.ensure(place.parent, cache=self._settings.cache)
            self._reject_reasons[url] = why = self._update(binhost, place)
            fs.write_cache(skipped, why) if why else skipped.unlink(missing_ok=True)
        return self._reject_reasons[url]

    def _update(self, binhost: BinhostConfig, place: Path) -> str:
        if find_dead_reason(self._folder, f"{binhost.url}/"):
            return "not responding"
        try:
            self._records.check_key(binhost)
            home = keys.trusting_home(self._settings, [keys.pinned_path(self._settings, binhost.key)])
            index.update_index(binhost, home, place, index.timeouts_of(binhost), self._records)
        except (BinhostUnavailable, IndexRejected) as error:
            if not binhost.fallback:
                raise
            hint = f"; hint: {error.hint}" if isinstance(error, IndexRejected) else ""
            console.warning(f"{error.message}: skipping this binhost for this run{hint}  [{error.code}]")
            return error.message
        return ""

    def downloads(self) -> Downloads:
        """Return how Portage fetches packages in this run."""
        return Downloads(
            argv=fetch.fetch_command(),
            request=self._request,
            read=_read_result,
            is_ours=lambda url: self._of(url) is not None,
            reject_reason=self.find_reject_reason,
            failed=self.failed,
        )

    def _request(self, order: Order) -> str:
        place, binhost = order.place, self._of(order.place.url)
        timeouts = index.timeouts_of(binhost) if binhost else Timeouts()
        job = Job(place.url, order.file.name, place.size, exact=True, resume=order.resume)
        logins = self._settings.logins
        return fetch.make_request(
            [job], order.file.parent, timeouts, user=order.user, binhosts=logins, result=order.result, show=True
        )

    def failed(self, place: Place, cpv: str, failure: Failure) -> None:
        """Record that a package could not be fetched or verified."""
        binhost = self._of(place.url)
        if binhost is not None and not binhost.fallback:
            return
        if binhost is not None and failure.dead:
            record_dead(self._folder, binhost.url, failure.why, failure.code)
        else:
            record_failure(self._folder, place, cpv, failure)

    def find_reject_reason(self, place: Place) -> str:
        """Return why a package was rejected; may be empty."""
        return find_reject_reason(self._folder, place)

    def _of(self, url: str) -> BinhostConfig | None:
        return _find_binhost(url, self._binhosts.values())


def _find_skip_reason(place: Path, skipped: Path) -> str:
    """Return why a container cannot use an index; empty if the host has accepted it for this run."""
    why = stored.recall(skipped, str) or ""
    return why or ("" if place.is_file() else "its index was not fetched")


def _read_result(text: str) -> Failure | None:
    """Parse the failure from the output of the download program."""
    last = fetch.parse_results(text)[-1]
    return Failure(last.why, last.code, last.lasting, last.dead) if last.code else None


def signature_reject_reason(binpkg: Binpkg, file: Path, settings: Settings, folder: Path, run: int) -> str:
    """Return why the signature of a fetched package is rejected; empty if its binhost signed it or its index.

    Args:
        folder: directory of failures, so that the next source is used.
        run: process ID of the run; packages are checked in its children.
    """
    binhost = _find_binhost(binpkg.url, load_binhosts(settings))
    if binhost is None or binhost.signed:
        return ""
    try:
        BinhostRecords.of(settings).check_key(binhost)
        home = keys.trusting_home(settings, [keys.pinned_path(settings, binhost.key)])
        signing.verify(file, {"BINPKG_GPG_VERIFY_GPG_HOME": str(home)})
    except (signing.Unfit, KeyRevoked) as error:
        why = f"it is not signed by the key of its binhost: {error}"
        if binhost.fallback:
            record_failure(folder, binpkg.place, binpkg.cpv, Failure(why, "package-rejected", lasting=True), run=run)
        return why
    return ""


def _find_binhost(url: str, binhosts: Iterable[BinhostConfig]) -> BinhostConfig | None:
    """Return the binhost that a URL is below."""
    candidates = (binhost for binhost in binhosts if bare(url).startswith(f"{bare(binhost.url)}/"))
    return max(candidates, key=lambda binhost: len(binhost.url), default=None)
