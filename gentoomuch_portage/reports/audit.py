# SPDX-License-Identifier: GPL-2.0-or-later
"""Audit the machine code of binary and installed packages."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from gentoomuch_portage.audit import cache, package_files, pool
from gentoomuch_portage.audit.report import Report
from gentoomuch_portage.binpkg_filter import cpu
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.emerge.profile_view import load_view
from gentoomuch_portage.errors import GmError
from gentoomuch_portage.isa.abi import Abi
from gentoomuch_portage.isa.requirement import Requirement
from gentoomuch_portage.isa.variables import VARIABLES
from gentoomuch_portage.portage_adapter import binpkg_query, installed
from gentoomuch_portage.portage_adapter.binpkg import RECORDED, Binpkg
from gentoomuch_portage.portage_adapter.installed import Installed
from gentoomuch_portage.reports.binpkgs import UnknownBinpkg

Advance = Callable[[str, int], None]
"""Called with the name of the current package, and the number of packages done since the last call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """A package with the report about its code."""

    name: str
    """``cat/pkg-1.0-2``."""
    where: str
    flags: Requirement
    """Its recorded requirement, or that of its flags."""
    report: Report | GmError
    """An error if it cannot be read."""


def load_cpu(
    settings: Settings, profile: str | None, around: ExitStack
) -> tuple[Requirement | None, Mapping[str, str]]:
    """Load the CPU of a profile, and the environment in which Portage finds its packages.

    Args:
        profile: None for the host's own packages, without a CPU.
        around: keeps the configroot while packages are read.

    Raises:
        GmError: the profile is invalid.
    """
    if not profile:
        return None, {}
    plan = around.enter_context(load_view(settings, profile)).plan
    env = {"PORTAGE_CONFIGROOT": plan.configroot, "ROOT": plan.root, **plan.env}
    return cpu.resolve_cpu(plan.cpu, settings.cache, Abi.parse(plan.abi)), env


def find_packages(
    settings: Settings, env: Mapping[str, str], atoms: Iterable[str], *, installed: bool
) -> list[Binpkg | Installed]:
    """Find the packages that match atoms, each once; all without an atom.

    Raises:
        UnknownBinpkg: an atom is invalid or matches nothing.
    """
    find = _find_installed if installed else _find_stored
    return [package for atom in (tuple(dict.fromkeys(atoms)) or (None,)) for package in find(env, atom)]


def audit_packages(
    packages: Iterable[Binpkg | Installed], settings: Settings, examine: pool.Scan, advance: Advance
) -> Iterator[Audited]:
    """Audit packages one after the other, the files of each in parallel."""
    for package in packages:
        name = package.name if isinstance(package, Binpkg) else package.cpv
        advance(name, 0)
        yield (
            _audit_stored(package, settings, examine)
            if isinstance(package, Binpkg)
            else _audit_installed(package, settings, examine)
        )
        advance(name, 1)


def _find_stored(env: Mapping[str, str], atom: str | None) -> list[Binpkg]:
    try:
        binpkgs = [
            offer.binpkg for offer in binpkg_query.offers(env, atom, remote=False) if offer.binpkg.path is not None
        ]
    except LookupError as error:
        raise UnknownBinpkg(atom or "", str(error)) from error
    if atom is not None and not binpkgs:
        raise UnknownBinpkg(atom)
    return binpkgs


def _find_installed(env: Mapping[str, str], atom: str | None) -> list[Installed]:
    try:
        packages = installed.installed(env, atom, {RECORDED, *VARIABLES})
    except LookupError as error:
        raise UnknownBinpkg(atom or "", str(error)) from error
    if atom is not None and not packages:
        raise UnknownBinpkg(atom, f"no installed package matches {atom!r}")
    return packages


def _audit_stored(binpkg: Binpkg, settings: Settings, examine: pool.Scan) -> Audited:
    path = binpkg.path or Path()
    flags = cpu.find_requirement(binpkg, settings.cache, settings.binhosts, settings.logins)
    try:
        report: Report | GmError = cache.scan(path, settings.cache, examine, _ignore_progress)
    except GmError as error:
        report = error
    return Audited(name=binpkg.name, where=str(path), flags=flags, report=report)


def _audit_installed(installed: Installed, settings: Settings, examine: pool.Scan) -> Audited:
    flags = cpu.requirement_of_metadata(installed.build_info, installed.use, settings.cache)
    report = examine(package_files.find_code(installed.files, installed.root), _ignore_progress)
    return Audited(name=installed.cpv, where=str(installed.root), flags=flags, report=report)


def _ignore_progress(size: int) -> None:
    """Ignore the number of bytes done."""
