"""What this host can do and what stands in its way, each with the command that mends it."""

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gentoomuch_portage.binhost import keys
from gentoomuch_portage.binhost.client.config import policies
from gentoomuch_portage.config import profile as config_profile
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.configroot import cache
from gentoomuch_portage.errors import GmError, bare, refused
from gentoomuch_portage.freeze import transaction
from gentoomuch_portage.plugins import manager
from gentoomuch_portage.portage_adapter import gentoo_profiles, private_api
from gentoomuch_portage.process import run, where
from gentoomuch_portage.unmask import ledger

_COMPILERS = ("gcc", "cc", "clang")
_STATES = frozenset({"good", "bad", "note"})
_YOUNG = 600
"""Seconds for which a file without its name is left alone: somebody may be writing it."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A line of ``gentoomuch doctor``."""

    name: str
    state: str
    """``good``; ``bad``: something does not work; ``note``: it works, and is worth knowing."""
    text: str
    remedy: str = ""


def facts(settings: Settings, without: frozenset[str]) -> Iterator[Fact]:
    """All facts about this host.

    Args:
        without: plugins that are not asked.
    """
    yield from _portage()
    yield _reader()
    yield _compiler()
    yield _tar()
    yield from _for_all()
    yield from seen("places", _places(settings))
    yield from seen("profile", _profiles(settings))
    yield from seen("key", _keys(settings))
    yield from seen("leftovers", _leftovers(settings))
    yield from seen("plugins", _plugins(settings, without))


def seen(name: str, found: Iterator[Fact]) -> Iterator[Fact]:
    """The facts of one kind; where the system lets us see no more of them, that is one."""
    try:
        yield from found
    except OSError as error:
        told = refused(error)
        yield Fact(name, "bad", told.message, told.remedy)


def _portage() -> Iterator[Fact]:
    gone = list(private_api.moved())
    if not gone:
        yield Fact("portage", "good", f"{private_api.version()}, and all names that are held are where they were")
    for one in gone:
        told = f"{private_api.version()} has moved {one.module}.{one.name}; without it: {one.lost}"
        yield Fact("portage", "bad", told, "emerge '=sys-apps/portage-3.0.83*'")


def _reader() -> Fact:
    by = gentoo_profiles.reader()
    told = f"profile ls --gentoo reads by {by.name}: {by.why}"
    return Fact("pkgcore", "good" if by.config else "note", told, "" if by.config else "emerge -u app-shells/bash")


def _compiler() -> Fact:
    found = next(filter(None, map(where, _COMPILERS)), None)
    if found is None:
        return Fact("compiler", "bad", f"none of {', '.join(_COMPILERS)} is on PATH", "emerge sys-devel/gcc")
    version = run([str(found), "--version"], keep=True, accept=()).out.partition("\n")[0]
    return Fact("compiler", "good", f"{found}: {version}")


def _tar() -> Fact:
    """Portage calls GNU tar by the name gtar where it unpacks and packs. Source: portage 3.0.83, bin/."""
    gnu = where("gtar")
    if gnu is not None:
        return Fact("tar", "good", f"gtar is {gnu}")
    plain = where("tar")
    remedy = f"ln -s {plain} /usr/local/bin/gtar" if plain else "emerge app-arch/tar"
    return Fact("tar", "bad", "there is no GNU tar named gtar on PATH, and Portage calls it so", remedy)


def _for_all(folder: Path = Path("/tmp")) -> Iterator[Fact]:
    """GNU make ends with a segmentation fault where it can make no file there, and says nothing of it.

    Source: Portage's GNUMAKEFLAGS (--output-sync); make 4.3, output.c; tmpfile(3), which knows no TMPDIR.
    """
    if not os.access(folder, os.W_OK | os.X_OK):
        told = f"{folder} cannot be written by this user: GNU make ends with a segmentation fault in builds"
        yield Fact("tmp", "bad", told, f"chmod 1777 {folder}")
    elif not os.geteuid() and not folder.stat().st_mode & stat.S_IWOTH:
        told = f"{folder} is root's alone: GNU make ends with a segmentation fault where the portage user builds"
        yield Fact("tmp", "note", told, f"chmod 1777 {folder}")


def _places(settings: Settings) -> Iterator[Fact]:
    there = settings.config.is_dir()
    yield Fact(
        "configuration",
        "good" if there else "note",
        str(settings.config) if there else f"{settings.config} is not there yet",
        "" if there else "gentoomuch profile add NAME",
    )
    for name, folder in (("state", settings.state), ("cache", settings.cache)):
        nearest = next(one for one in (folder, *folder.parents) if one.exists())
        if nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK):
            yield Fact(name, "good", str(folder))
        else:
            told = f"{folder} cannot be written by this user: {nearest}"
            yield Fact(name, "bad", told, f"export GM_{name.upper()}=DIR, a folder of your own")
    if not settings.host.is_dir():
        yield Fact("host", "note", f"{settings.host} is not there", 'base = "none" in each profile')


def _profiles(settings: Settings) -> Iterator[Fact]:
    known = config_profile.names(settings)
    bad = 0
    for name in known:
        try:
            profile = config_profile.read(settings, name)
            for layer in profile.layers:
                config_profile.layer_folder(settings, profile, layer)
            ledger.read(settings.state, name)
        except GmError as error:
            bad += 1
            yield Fact("profile", "bad", error.message, error.remedy or f"gentoomuch profile lint {name}")
    if settings.chosen and settings.chosen not in known:
        told = f"the profile that is set is not there: {settings.chosen!r}"
        yield Fact("profile", "bad", told, "gentoomuch profile set --unset")
    elif known and not bad:
        yield Fact("profile", "good", f"{len(known)} can be read; set: {settings.chosen or 'none'}")


def _keys(settings: Settings) -> Iterator[Fact]:
    """The key that this machine signs with, and those of the binhosts that it takes packages from."""
    if own := keys.known(settings):
        yield Fact("key", "good", f"this machine signs packages with {own.fingerprint}")
    try:
        binhosts = policies(settings)
    except GmError as error:
        yield Fact("binhost", "bad", error.message, error.remedy)
        return
    for one in binhosts:
        if keys.pinned(settings, one.key).is_file():
            yield Fact("binhost", "good", f"packages of {bare(one.url)} are taken, signed by {one.key}")
        else:
            told = f"the key {one.key} of {bare(one.url)} is not there: {keys.pinned(settings, one.key)}"
            yield Fact("binhost", "bad", told, f"gentoomuch binhost client {bare(one.url)}")


def _leftovers(settings: Settings) -> Iterator[Fact]:
    if transaction.place(settings).is_file():
        yield Fact(
            "thaw", "bad", "a thaw was killed before it was done; its profile is away", "gentoomuch doctor --clean"
        )
    elif left := transaction.staged(settings):
        yield Fact(
            "thaw", "note", f"a thaw was killed before it began, and left {left[0]}", "gentoomuch doctor --clean"
        )
    if old := cache.stale(settings.cache):
        told = f"{len(old)} configroots are in no profile's use"
        yield Fact("cache", "note", told, "gentoomuch doctor --clean")
    if half := half_written(settings):
        told = f"{len(half)} files were left half written by runs that were killed, as {half[0]}"
        yield Fact("cache", "note", told, "gentoomuch doctor --clean")


def half_written(settings: Settings) -> list[Path]:
    """Files that ``fs.write`` had not given their name yet when its process was killed."""
    folders = (settings.cache, *settings.cache.glob("[a-z]*"), settings.state, *settings.state.glob("[!.]*"))
    found = [one for folder in folders for one in folder.glob(".*.????????") if one.is_file()]
    return sorted(one for one in found if time.time() - one.stat().st_mtime > _YOUNG)


def clean(settings: Settings) -> list[Path]:
    """Remove the configroots in nobody's use and what killed runs left behind; what was removed."""
    gone = cache.collect(settings.cache)
    if transaction.place(settings).is_file() or transaction.staged(settings):
        with transaction.alone(settings):
            pass  # being alone finishes it, and clears away what waits for nobody
    for one in half_written(settings):
        one.unlink(missing_ok=True)
        gone.append(one)
    return gone


def _plugins(settings: Settings, without: frozenset[str]) -> Iterator[Fact]:
    try:
        joined = manager.make_manager(settings.cache, without=without)
        for name, _ in manager.entry_points(settings.cache):
            if name not in without and not joined.has_plugin(name):
                yield Fact("plugins", "bad", f"{name!r} cannot be imported", f"gm-emerge --gm-no={name}, or mend it")
        for plugin, told in manager.gather(joined, "gm_facts", settings=settings):
            yield _of_plugin(plugin, dict(told))
    except GmError as error:
        yield Fact("plugins", "bad", error.message, error.remedy)


def _of_plugin(plugin: str, told: dict[str, str]) -> Fact:
    """A plugin's row; one that does not keep to the contract is bad itself."""
    if not {"name", "state", "text"} <= told.keys() or told["state"] not in _STATES:
        return Fact(
            "plugins", "bad", f"{plugin!r} told something that is no fact: {told!r}", f"gm-emerge --gm-no={plugin}"
        )
    return Fact(str(told["name"]), told["state"], str(told["text"]), str(told.get("remedy", "")))
