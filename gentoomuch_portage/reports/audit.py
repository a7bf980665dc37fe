"""Packages whose machine code is audited: which there are, and what each was built with."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from gentoomuch_portage.audit import cache, package_files, pool
from gentoomuch_portage.audit.report import Report
from gentoomuch_portage.binpkg_filter import cpu
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.emerge.profile_view import looked_at
from gentoomuch_portage.errors import GmError
from gentoomuch_portage.isa import resolve
from gentoomuch_portage.isa.requirement import Abi, Requirement
from gentoomuch_portage.portage_adapter import binpkg_query, installed
from gentoomuch_portage.portage_adapter.binpkg import RECORDED, Binpkg
from gentoomuch_portage.portage_adapter.installed import Installed
from gentoomuch_portage.reports.binpkgs import UnknownBinpkg

Told = Callable[[str, int], None]
"""Told what is being worked on, and how many packages are done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """A package and what was found in it."""

    name: str
    """``cat/pkg-1.0-2``."""
    where: str
    flags: Requirement
    """What it recorded, or what its flags mean."""
    report: Report | GmError
    """Why it cannot be read, instead of a report."""


def held_against(
    settings: Settings, profile: str | None, around: ExitStack
) -> tuple[Requirement | None, Mapping[str, str]]:
    """The CPU of a profile, and the environment in which Portage knows its packages.

    Args:
        profile: None for no CPU, and the host's own packages.
        around: holds what is needed as long as packages are looked at.

    Raises:
        GmError: the profile is wrong.
    """
    if not profile:
        return None, {}
    plan = around.enter_context(looked_at(settings, profile)).plan
    env = {"PORTAGE_CONFIGROOT": plan.configroot, "ROOT": plan.root, **plan.env}
    return cpu.offered_by(plan.cpu, settings.cache, Abi.of(plan.abi)), env


def packages(
    settings: Settings, env: Mapping[str, str], atoms: Iterable[str], *, installed: bool
) -> list[Binpkg | Installed]:
    """The packages that are asked for, each once; all where none is.

    Raises:
        UnknownBinpkg: an atom is none, or matches nothing.
    """
    find = _installed if installed else _stored
    return [one for atom in (tuple(dict.fromkeys(atoms)) or (None,)) for one in find(env, atom)]


def audited(
    asked: Iterable[Binpkg | Installed], settings: Settings, examine: pool.Examine, told: Told
) -> Iterator[Audited]:
    """Audit packages, one after the other, the files of each at once."""
    for one in asked:
        name = one.name if isinstance(one, Binpkg) else one.cpv
        told(name, 0)
        yield _stored_one(one, settings, examine) if isinstance(one, Binpkg) else _installed_one(one, settings, examine)
        told(name, 1)


def _stored(env: Mapping[str, str], atom: str | None) -> list[Binpkg]:
    try:
        found = [one.binpkg for one in binpkg_query.offers(env, atom, remote=False) if one.binpkg.path is not None]
    except LookupError as error:
        raise UnknownBinpkg(atom or "", str(error)) from error
    if atom is not None and not found:
        raise UnknownBinpkg(atom)
    return found


def _installed(env: Mapping[str, str], atom: str | None) -> list[Installed]:
    try:
        found = installed.installed(env, atom, {RECORDED, *resolve.VARIABLES})
    except LookupError as error:
        raise UnknownBinpkg(atom or "", str(error)) from error
    if atom is not None and not found:
        raise UnknownBinpkg(atom, f"nothing that is installed matches {atom!r}")
    return found


def _stored_one(one: Binpkg, settings: Settings, examine: pool.Examine) -> Audited:
    path = one.path or Path()
    flags = cpu.needed_by(one, settings.cache, settings.binhosts)
    try:
        report: Report | GmError = cache.afresh(path, settings.cache, examine, _nobody)
    except GmError as error:
        report = error
    return Audited(name=one.name, where=str(path), flags=flags, report=report)


def _installed_one(one: Installed, settings: Settings, examine: pool.Examine) -> Audited:
    flags = cpu.told_by(one.told, one.use, settings.cache)
    report = examine(package_files.of_files(one.files, one.root), _nobody)
    return Audited(name=one.cpv, where=str(one.root), flags=flags, report=report)


def _nobody(size: int) -> None:
    """Hears how many bytes are done, and tells nobody."""
