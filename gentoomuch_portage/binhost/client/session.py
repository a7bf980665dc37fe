"""A run that takes packages from binhosts: each is asked for its index once, and waited for once.

Packages of binhosts that could not be had or did not hold, remembered so that the next source is taken.

A file each below ``cache/refused/PROFILE``. What was wrong with a package holds as long as the index tells of that very
file; what was wrong with a connection holds for this run alone.

By whom a package was signed that an unsigned index told of.

A signed index vouches for its packages by their digests. Of a plain one nothing tells whose packages they are: Portage
has one directory of keys for all binhosts, and takes a package of one that another has signed.
"""

import hashlib
import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from gentoomuch_portage import console, fs
from gentoomuch_portage.binhost import keys
from gentoomuch_portage.binhost.client import index
from gentoomuch_portage.binhost.client.config import Policy, policies
from gentoomuch_portage.binhost.errors import BinhostSilent, IndexRefused
from gentoomuch_portage.binpkg.http import Pools, proxy_of_environment
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import bare
from gentoomuch_portage.portage_adapter import signing
from gentoomuch_portage.portage_adapter.binpkg import Binpkg, Place


def remember(folder: Path, place: Place, cpv: str, why: str, *, lasting: bool, run: int = 0) -> None:
    """Refuse a package from now on.

    Args:
        lasting: beyond this run.
        run: number of its process, where that is not this one.
    """
    run = run or os.getpid()
    told = {"cpv": cpv, "url": bare(place.url), "why": why, "at": int(time.time()), "fresh": run}
    fs.write(_file(folder, place), json.dumps(told if lasting else {**told, "run": run}))


def dead(folder: Path, url: str, why: str) -> None:
    """Refuse all of a binhost in this run."""
    told = {"cpv": "", "url": bare(url), "why": why, "at": int(time.time()), "fresh": os.getpid(), "run": os.getpid()}
    fs.write(folder / f"dead-{hashlib.sha256(url.encode()).hexdigest()[:24]}.json", json.dumps(told))


def deny_reason(folder: Path, place: Place) -> str:
    """Why a package of a binhost is refused; empty where it is not."""
    if not folder.is_dir():
        return ""
    told = _read(_file(folder, place))
    if told and told.get("run", os.getpid()) == os.getpid():
        return f"{told['why']}, when it was last tried"
    return silent(folder, place.url)


def silent(folder: Path, url: str) -> str:
    """Why the binhost that a URL lies below is dead in this run; empty where it is not."""
    found = [_read(file) for file in folder.glob("dead-*.json")]
    return next(
        (one["why"] for one in found if one["run"] == os.getpid() and bare(url).startswith(f"{one['url']}/")), ""
    )


def fresh(folder: Path) -> list[dict[str, Any]]:
    """What this run has refused since it was last asked."""
    found = []
    for file in _files(folder):
        told = _read(file)
        if told and told.get("fresh") == os.getpid():
            found.append(told)
            fs.write(file, json.dumps({**told, "fresh": 0}))
    return found


def forget(folder: Path) -> None:
    """Drop what held for an earlier run alone."""
    for file in _files(folder):
        if _read(file).get("run", os.getpid()) != os.getpid():
            file.unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()  # where nothing is left; most runs look no further


def _file(folder: Path, place: Place) -> Path:
    strongest = place.digests[0][1] if place.digests else str(place.size)
    return folder / f"{hashlib.sha256(f'{place.url} {strongest}'.encode()).hexdigest()[:24]}.json"


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.json")) if folder.is_dir() else []


def _read(file: Path) -> dict[str, Any]:
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


class Asking:
    """What Portage is told of binhosts in one run."""

    def __init__(self, settings: Settings, profile: str) -> None:
        self.cache = settings.cache / "binhosts" / profile
        """Where their indexes are kept."""
        self._settings = settings
        self._folder = settings.cache / "refused" / profile
        self._policies = {one.url: one for one in policies(settings)}
        self._asked: dict[str, str] = {}
        forget(self._folder)

    def bring(self, url: str, place: Path) -> str | None:
        """Bring the index of a binhost up to date; what stands against the binhost. None: it is not for us to say.

        Raises:
            BinhostSilent, IndexRefused: that may not be, for the binhost has ``fallback = false``.
        """
        policy = self._policies.get(url.rstrip("/"))
        if policy is None:
            return None
        if url not in self._asked:
            self._asked[url] = self._brought(policy, place)
        return self._asked[url]

    def _brought(self, policy: Policy, place: Path) -> str:
        if silent(self._folder, f"{policy.url}/"):
            return "it is dead"
        home = keys.home(self._settings, [keys.pinned(self._settings, policy.key)])
        pools = _pools(policy.timeout)
        try:
            index.brought(policy, home, place, pools)
        except (BinhostSilent, IndexRefused) as error:
            if not policy.fallback:
                raise
            console.warn(f"{error.message}: nothing is taken from it in this run")
            return error.message
        finally:
            pools.close()
        return ""

    def failed(self, place: Place, cpv: str, why: str) -> None:
        """Remember that a package could not be had, or did not hold."""
        policy = self._of(place.url)
        if policy is not None and not policy.fallback:
            return
        lasting = "give it out" not in why
        if not lasting and policy is not None and not self._alive(policy):
            dead(self._folder, policy.url, "its binhost does not answer")
            return
        remember(self._folder, place, cpv, why, lasting=lasting)

    def dead(self, url: str) -> bool:
        """Whether the binhost of a URL has been found dead in this run."""
        return bool(silent(self._folder, url))

    def refused(self, place: Place) -> str:
        """Why a package was refused; empty where it was not."""
        return deny_reason(self._folder, place)

    def _alive(self, policy: Policy) -> bool:
        pools = _pools(policy.timeout)
        try:
            index.get(pools, f"{policy.url}/Packages.asc", most=1 << 16)
        except BinhostSilent:
            return False
        finally:
            pools.close()
        return True

    def _of(self, url: str) -> Policy | None:
        return next((one for one in self._policies.values() if url.startswith(f"{one.url}/")), None)


def _pools(timeout: int) -> Pools:
    return Pools(proxy_of_environment, index.patience(timeout))


def signature_reject_reason(binpkg: Binpkg, file: Path, settings: Settings, folder: Path, run: int) -> str:
    """What stands against a package that has been fetched; empty where its binhost signed it, or its index.

    Args:
        folder: where it is remembered, so that the next source is taken.
        run: number of the process of the run; a package is judged in one of its children.
    """
    policy = _policy(binpkg.url, settings)
    if policy is None or policy.signed:
        return ""
    home = keys.home(settings, [keys.pinned(settings, policy.key)])
    try:
        signing.verify(file, {"BINPKG_GPG_VERIFY_GPG_HOME": str(home)})
    except signing.Unfit as error:
        why = f"it is not signed by the key of its binhost: {error}"
        if policy.fallback:
            remember(folder, binpkg.place, binpkg.cpv, why, lasting=True, run=run)
        return why
    return ""


def _policy(url: str, settings: Settings) -> Policy | None:
    """Of the binhosts whose key is pinned the one that a URL lies below."""
    below = (one for one in policies(settings) if url.startswith(f"{one.url}/"))
    return max(below, key=lambda one: len(one.url), default=None)
