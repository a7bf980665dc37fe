# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks of this host, with hints that fix problems."""

import os
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gentoomuch_portage import fs
from gentoomuch_portage.binhost import keys
from gentoomuch_portage.binhost.client.config import load_binhosts
from gentoomuch_portage.config import profile as config_profile
from gentoomuch_portage.config.profile import Profile
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.configroot import cache, cross
from gentoomuch_portage.configroot.key import MOVED
from gentoomuch_portage.emerge import own_cpu
from gentoomuch_portage.emerge.profile_view import load_view
from gentoomuch_portage.errors import GmError, NoPrivilege, ReadOnly, bare, refused
from gentoomuch_portage.freeze import transaction
from gentoomuch_portage.plugins import manager
from gentoomuch_portage.portage_adapter import gentoo_profiles, paths, private_api
from gentoomuch_portage.process import find_program, run
from gentoomuch_portage.reports import moves
from gentoomuch_portage.unmask import ledger

_COMPILERS = ("gcc", "cc", "clang")
_STATES = frozenset({"good", "bad", "note"})
CAPABILITY = "capability"
"""The name of facts about what gentoomuch can do with this Portage."""
_YOUNG = 600
"""Seconds after which a temporary file counts as abandoned."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A line of ``gentoomuch doctor``."""

    name: str
    state: str
    """``good``; ``bad``: does not work; ``note``: works, with a remark."""
    text: str
    hint: str = ""


def collect_facts(settings: Settings, without: frozenset[str]) -> Iterator[Fact]:
    """Check this host.

    Args:
        without: names of disabled plugins.
    """
    yield from _portage()
    yield _reader()
    yield _compiler()
    yield _tar()
    yield from _tmp()
    yield from report_errors("places", _places(settings))
    yield from report_errors("profile", _profiles(settings, without))
    yield from report_errors("moves", _moves(settings, without))
    yield from report_errors("key", _keys(settings))
    yield from report_errors("leftovers", _leftovers(settings))
    yield from report_errors("plugins", _plugins(settings, without))


def report_errors(name: str, facts: Iterator[Fact]) -> Iterator[Fact]:
    """Yield facts; an error is reported as a fact."""
    try:
        with private_api.translate():
            yield from facts
    except OSError as error:
        failure = refused(error)
        yield Fact(name, "bad", failure.message, failure.hint)
    except GmError as error:
        yield Fact(name, "bad", error.message, error.hint)


def _portage() -> Iterator[Fact]:
    """Check what gentoomuch can do with the internal API of this Portage."""
    lost = {each.capability: each for each in private_api.find_lost()}
    if not any(not each.is_older for each in lost.values()):
        yield Fact("portage", "good", f"{private_api.version()}: all required internal APIs are available")
    for capability in private_api.list_capabilities():
        if capability not in lost:
            yield Fact(CAPABILITY, "good", f"{capability.name}: {capability.purpose}")
            continue
        each = lost[capability]
        state = "note" if each.is_older else "bad"
        yield Fact(CAPABILITY, state, f"{capability.name}: {each.text}", each.hint)


def _reader() -> Fact:
    by = gentoo_profiles.reader()
    text = f"profile ls --gentoo uses {by.name}: {by.why}"
    return Fact("pkgcore", "good" if by.config else "note", text, "" if by.config else "emerge -u app-shells/bash")


def _compiler() -> Fact:
    compiler = next(filter(None, map(find_program, _COMPILERS)), None)
    if compiler is None:
        return Fact("compiler", "bad", f"no compiler on PATH ({', '.join(_COMPILERS)})", "emerge sys-devel/gcc")
    version = run([str(compiler), "--version"], keep=True, accept=()).out.partition("\n")[0]
    return Fact("compiler", "good", f"{compiler}: {version}")


def _tar() -> Fact:
    """Check for gtar: Portage uses GNU tar by that name. Source: portage 3.0.83, bin/."""
    gnu = find_program("gtar")
    if gnu is not None:
        return Fact("tar", "good", f"gtar is {gnu}")
    plain = find_program("tar")
    hint = f"ln -s {plain} /usr/local/bin/gtar" if plain else "emerge app-arch/tar"
    return Fact("tar", "bad", "gtar (GNU tar), which Portage requires, is not on PATH", hint)


def _tmp(folder: Path = Path("/tmp")) -> Iterator[Fact]:
    """Check /tmp: GNU make crashes with a segmentation fault if it cannot create files there.

    Source: Portage's GNUMAKEFLAGS (--output-sync); make 4.3, output.c; tmpfile(3), which knows no TMPDIR.
    """
    if not os.access(folder, os.W_OK | os.X_OK):
        text = f"{folder} is not writable: GNU make crashes with a segmentation fault in builds"
        yield Fact("tmp", "bad", text, f"chmod 1777 {folder}")
    elif not os.geteuid() and not folder.stat().st_mode & stat.S_IWOTH:
        text = f"{folder} is writable by root only: GNU make crashes in builds of the portage user"
        yield Fact("tmp", "note", text, f"chmod 1777 {folder}")


def _places(settings: Settings) -> Iterator[Fact]:
    there = settings.config.is_dir()
    yield Fact(
        "configuration",
        "good" if there else "note",
        str(settings.config) if there else f"{settings.config} does not exist yet",
        "" if there else "gentoomuch profile add NAME --here",
    )
    for name, folder in (("state", settings.state), ("cache", settings.cache)):
        try:
            fs.check_writable(folder)
        except NoPrivilege as error:
            text = f"{folder} is not writable: {error.message}"
            yield Fact(name, "bad", text, f"export GM_{name.upper()}=DIR, a writable directory")
        except ReadOnly as error:
            yield Fact(name, "bad", error.message, error.hint)
        else:
            yield Fact(name, "good", str(folder))
    if not settings.host.is_dir():
        yield Fact("host", "note", f"{settings.host} does not exist", 'base = "none" in each profile')


def _profiles(settings: Settings, without: frozenset[str]) -> Iterator[Fact]:
    known = config_profile.names(settings)
    bad = 0
    for name in known:
        try:
            profile = config_profile.read(settings, name)
            for layer in profile.layers:
                config_profile.layer_folder(settings, profile, layer)
            ledger.read(settings.state, name)
            _check_cpu(profile, settings, without)
        except GmError as error:
            bad += 1
            yield Fact("profile", "bad", error.message, error.hint or f"gentoomuch profile lint {name}")
    config_profile.active(settings)
    if known and not bad:
        yield Fact("profile", "good", f"{len(known)} valid; active: {settings.chosen or 'none'}")


def _moves(settings: Settings, without: frozenset[str]) -> Iterator[Fact]:
    """Find profiles whose files name packages by their old names, if a run has found any."""
    recorded = any((settings.cache / "configroots").glob(f"*/etc/portage/{MOVED}"))
    for name in config_profile.names(settings) if recorded else ():
        with suppress(GmError), load_view(settings, name, without=",".join(sorted(without))) as view:
            places = [move.text for move in moves.find_moved(view, settings)]
            if places:
                text = f"profile {name} has {len(places)} old names of packages, such as: {places[0]}"
                yield Fact("moves", "note", text, f"gentoomuch profile update {name}")


def _check_cpu(profile: Profile, settings: Settings, without: frozenset[str]) -> None:
    """Compare the CPU of a profile with this machine's, if it is merged into this machine's own system.

    Raises:
        CpuNotHere: this machine lacks features of that CPU.
        GmError: the profile is invalid.
    """
    if cross.is_own(profile.root, paths.eprefix()):
        with load_view(settings, profile.name, without=",".join(sorted(without))) as view:
            if excess := own_cpu.find_excess(view.plan, settings):
                raise excess


def _keys(settings: Settings) -> Iterator[Fact]:
    """Check the signing key of this machine, and the keys of its binhosts."""
    if own := keys.find_key(settings):
        yield Fact("key", "good", f"this machine signs packages with {own.fingerprint}")
    try:
        binhosts = load_binhosts(settings)
    except GmError as error:
        yield Fact("binhost", "bad", error.message, error.hint)
        return
    for binhost in binhosts:
        if keys.is_revoked(settings.states, binhost.key):
            text = f"the key {binhost.key} of {bare(binhost.url)} was revoked by its owner"
            yield Fact("binhost", "bad", text, f"gentoomuch binhost client {bare(binhost.url)} --new-key")
        elif keys.pinned_path(settings, binhost.key).is_file():
            yield Fact("binhost", "good", f"{bare(binhost.url)}: packages signed by {binhost.key} are accepted")
        else:
            text = f"the key {binhost.key} of {bare(binhost.url)} is missing: {keys.pinned_path(settings, binhost.key)}"
            yield Fact("binhost", "bad", text, f"gentoomuch binhost client {bare(binhost.url)}")


def _leftovers(settings: Settings) -> Iterator[Fact]:
    if transaction.journal_path(settings).is_file():
        yield Fact(
            "thaw", "bad", "a thaw was killed in the middle; its profile is incomplete", "gentoomuch doctor --clean"
        )
    elif left := transaction.list_staged(settings):
        yield Fact(
            "thaw", "note", f"a thaw was killed before it began; leftover: {left[0]}", "gentoomuch doctor --clean"
        )
    if old := cache.find_unused(settings.cache):
        text = f"{len(old)} unused configroots"
        yield Fact("cache", "note", text, "gentoomuch doctor --clean")
    if half := find_half_written(settings):
        text = f"{len(half)} partially written files of killed runs, such as {half[0]}"
        yield Fact("cache", "note", text, "gentoomuch doctor --clean")


def find_half_written(settings: Settings) -> list[Path]:
    """Find temporary files of ``fs.write`` whose process was killed."""
    folders = (settings.cache, *settings.cache.glob("[a-z]*"), settings.state, *settings.state.glob("[!.]*"))
    files = [file for folder in folders for file in folder.glob(".*.????????") if file.is_file()]
    return sorted(file for file in files if time.time() - file.stat().st_mtime > _YOUNG)


def clean(settings: Settings) -> list[Path]:
    """Remove unused configroots and leftovers of killed runs; return the removed paths."""
    gone = cache.collect(settings.cache)
    if transaction.journal_path(settings).is_file() or transaction.list_staged(settings):
        with transaction.locked(settings):
            pass  # the exclusive lock finishes the thaw and removes leftovers
    for file in find_half_written(settings):
        file.unlink(missing_ok=True)
        gone.append(file)
    return gone


def _plugins(settings: Settings, without: frozenset[str]) -> Iterator[Fact]:
    try:
        joined = manager.make_manager(settings.cache, without=without)
        for name, _ in manager.entry_points(settings.cache):
            if name not in without and not joined.has_plugin(name):
                yield Fact("plugins", "bad", f"{name!r} cannot be imported", f"gm-emerge --gm-no={name}")
        for plugin, data in manager.gather(joined, "gm_facts", settings=settings):
            yield _of_plugin(plugin, dict(data))
    except GmError as error:
        yield Fact("plugins", "bad", error.message, error.hint)


def _of_plugin(plugin: str, data: dict[str, str]) -> Fact:
    """Return the fact of a plugin; an invalid one is reported."""
    if not {"name", "state", "text"} <= data.keys() or data["state"] not in _STATES:
        return Fact(
            "plugins", "bad", f"plugin {plugin!r} returned an invalid fact: {data!r}", f"gm-emerge --gm-no={plugin}"
        )
    return Fact(str(data["name"]), data["state"], str(data["text"]), str(data.get("hint", "")))
