# SPDX-License-Identifier: GPL-2.0-or-later
"""Reject binary packages that the CPU or the ABI of a profile cannot run."""

import functools
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from gentoomuch_portage.binpkg.environment import ENVIRONMENT
from gentoomuch_portage.binpkg.http import BinpkgUnreadable, Pools, proxy_of_environment
from gentoomuch_portage.binpkg.metadata import MetadataReader
from gentoomuch_portage.binpkg.source import BadBinpkg
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import bare
from gentoomuch_portage.isa import no_code, requirement
from gentoomuch_portage.isa.abi import LIBCS, Abi, libc
from gentoomuch_portage.isa.cached import find_answer
from gentoomuch_portage.isa.requirement import Requirement, Verdict
from gentoomuch_portage.isa.variables import VARIABLES
from gentoomuch_portage.plan.plan import Plan
from gentoomuch_portage.portage_adapter import binpkg as portage_binpkg
from gentoomuch_portage.portage_adapter.binpkg import RECORDED, Binpkg
from gentoomuch_portage.startup import LazyModule

if TYPE_CHECKING:
    from gentoomuch_portage.isa import cpu as isa_cpu
    from gentoomuch_portage.isa import machine, resolve
else:
    isa_cpu = LazyModule("gentoomuch_portage.isa.cpu")
    machine = LazyModule("gentoomuch_portage.isa.machine")
    resolve = LazyModule("gentoomuch_portage.isa.resolve")

_NOTHING: Mapping[str, str] = MappingProxyType({})
_ANY = Abi("", "")


def check_binpkg(binpkg: Binpkg, plan: Plan, settings: Settings) -> Verdict:
    """Check by its metadata whether a binary package may be used for a plan's profile."""
    if reason := _find_abi_mismatch(binpkg, abi_of_root(binpkg.root, plan)):
        return Verdict(accept=False, code="abi", reason=reason)
    needed = find_requirement(binpkg, settings.cache, settings.binhosts)
    return check_requirement(needed, binpkg.root, plan, settings.cache)


def check_on_machine(binpkg: Binpkg, cpu: str, abi: Abi, settings: Settings, *, unknown: str) -> Verdict:
    """Check whether a binary package runs on a machine.

    Args:
        cpu: machine flags of the compiler.
        unknown: ``reject`` or ``accept`` packages with unknown requirements.
    """
    if reason := _find_abi_mismatch(binpkg, abi):
        return Verdict(accept=False, code="abi", reason=reason)
    needed = find_requirement(binpkg, settings.cache, settings.binhosts, settings.logins)
    return requirement.judge(needed, resolve_cpu(cpu, settings.cache, abi), unknown=unknown)


def _find_abi_mismatch(binpkg: Binpkg, abi: Abi) -> str:
    """Return why a package is for another ABI according to its index; empty if it is for this one."""
    if not abi.accepts(binpkg.chost):
        return f"is for {binpkg.chost}, not for {abi.chost}"
    package_libc, own_libc = libc(binpkg.chost, binpkg.use), _libc(abi)
    if not package_libc or not own_libc or package_libc & own_libc:
        return ""
    return f"is for {' '.join(package_libc)}, not for {' '.join(own_libc)}"


def _libc(abi: Abi) -> frozenset[str]:
    return LIBCS & {abi.libc} or libc(abi.chost, ())


def check_requirement(needed: Requirement, root: str, plan: Plan, cache: Path) -> Verdict:
    """Check whether code may be merged to a root for a plan's profile: a binary package, or a new build.

    Args:
        root: the ROOT that it is for: that of the profile, or ``/`` for build dependencies.
    """
    return requirement.judge(needed, find_cpu_of_root(root, plan, cache), unknown=plan.unknown)


def find_cpu_of_root(root: str, plan: Plan, cache: Path) -> Requirement:
    """Find the CPU that code in a root is for: that of the profile, or that of this machine for build dependencies.

    If no CPU is configured for this machine's own system, it is the CPU of this machine.
    """
    building, abi = _is_for_building(root, plan), abi_of_root(root, plan)
    cpu = plan.build_cpu if building else plan.cpu
    if (building or plan.own) and not cpu and (own_cpu := _resolve_own_cpu(cache, abi)).known:
        return own_cpu
    return resolve_cpu(cpu, cache, abi)


def _is_for_building(root: str, plan: Plan) -> bool:
    return plan.root != "/" and root == "/"


def abi_of_root(root: str, plan: Plan) -> Abi:
    """Return the ABI that code in a root is for."""
    return Abi.parse(plan.build_abi if _is_for_building(root, plan) else plan.abi)


def find_requirement(
    binpkg: Binpkg, cache: Path, declared: Mapping[str, str] = _NOTHING, logins: tuple[str, ...] = ()
) -> Requirement:
    """Find what a binary package needs: its record, its build flags, or the declared CPU of its binhost.

    Args:
        declared: URL of a binhost -> the CPU that all its packages were built for; they are not read.
        logins: URLs of binhosts with name and password.
    """
    reader = _reader(cache, os.getpid(), logins)
    use = frozenset(flag for flag in binpkg.use if flag in binpkg.iuse or flag.startswith("elibc_"))
    try:
        binhost = _find_declared(binpkg.url, declared)
        metadata = reader.read_cached(binpkg) if binhost else reader.read(binpkg)
    except (BadBinpkg, BinpkgUnreadable) as error:
        return _unknown(error.why)
    if binhost and not _has_flags(metadata or {}):
        return _requirement_of_declared(binhost, declared[binhost], libc(binpkg.chost, use), use, cache)
    return requirement_of_metadata(metadata or {}, use, cache)


def read_metadata(binpkg: Binpkg, settings: Settings) -> Mapping[str, str] | None:
    """Read the metadata of a binary package; None if it is unreadable.

    Of a binhost with a declared CPU, only cached metadata is returned.
    """
    reader = _reader(settings.cache, os.getpid(), settings.logins)
    try:
        return reader.read_cached(binpkg) if _find_declared(binpkg.url, settings.binhosts) else reader.read(binpkg)
    except (BadBinpkg, BinpkgUnreadable):
        return None


def _has_flags(metadata: Mapping[str, str]) -> bool:
    return bool({RECORDED, "CFLAGS", "CXXFLAGS"} & metadata.keys())


def requirement_of_metadata(metadata: Mapping[str, str], use: Iterable[str], cache: Path) -> Requirement:
    """Find what a package needs by its own metadata.

    Args:
        metadata: the available ones of ``RECORDED`` and ``isa.variables.VARIABLES``.
        use: its enabled USE flags, cpu_flags_* expanded.
    """
    if RECORDED in metadata:
        return requirement.parse_requirement(metadata[RECORDED])
    if no_code.is_without_code(metadata):
        return no_code.NO_CODE
    if not _has_flags(metadata):
        return requirement.UNKNOWN
    return resolve.package_requirement(
        metadata, use, resolve.query_all(cache, metadata.get("CC", ""), metadata.get("CHOST", ""))
    )


def _requirement_of_declared(url: str, cpu: str, libc: frozenset[str], use: Iterable[str], cache: Path) -> Requirement:
    """Find what the packages of a binhost with a declared CPU need."""
    shown_url = bare(url)
    if cpu == "native":
        return _unknown(
            f'cpu = "native" is invalid for the packages of {shown_url}; set cpu in [binhost."{shown_url}"]'
        )
    level = resolve.requirement_for_cpu(cpu, cache)
    if not level.known:
        return _unknown(f'unknown cpu {cpu!r} in [binhost."{shown_url}"]')
    flags = isa_cpu.features_of_use(use)
    by = {**level.by, "USE": flags} if level.by else {}
    label = f"{cpu}, declared for {shown_url}"
    return replace(level, features=level.features | flags, abi=level.abi | libc, by=by, description=label)


def _find_declared(url: str, declared: Mapping[str, str]) -> str:
    """Return the most specific declared binhost that a URL is below; empty if there is none."""
    if not url or ".." in urlsplit(url).path.split("/"):
        return ""
    candidates = (
        binhost for binhost in declared if _normalize_url(url).startswith(f"{_normalize_url(binhost).rstrip('/')}/")
    )
    return max(candidates, key=len, default="")


def _normalize_url(url: str) -> str:
    """Normalize a URL for comparison: without name and password, scheme and host in lower case."""
    parts = urlsplit(url)
    netloc = parts.netloc.rpartition("@")[2].lower()
    return parts._replace(scheme=parts.scheme.lower(), netloc=netloc).geturl()


def _unknown(label: str) -> Requirement:
    return replace(requirement.UNKNOWN, description=label)


@functools.lru_cache(maxsize=2)
def _reader(cache: Path, process: int, logins: tuple[str, ...]) -> MetadataReader:
    """Return one reader for all packages of a run; a forked process must not share its connections."""
    files = {RECORDED, ENVIRONMENT, *VARIABLES, *no_code.METADATA, "USER_PATCHES", portage_binpkg.PATCHES}
    return MetadataReader(cache, files, Pools(proxy_of_environment, binhosts=logins))


@functools.lru_cache(maxsize=8)
def _resolve_own_cpu(cache: Path, abi: Abi) -> Requirement:
    def compute() -> dict[str, Any]:
        return machine.capabilities(cache, abi.chost).to_cache()

    available = find_answer(cache, f"own CPU\0{abi.chost}", compute, requirement.parse_cached)
    return replace(available, abi=available.abi | _libc(abi))


@functools.lru_cache(maxsize=8)
def resolve_cpu(cpu: str, cache: Path, abi: Abi = _ANY) -> Requirement:
    """Find the features and the ABI of a CPU.

    Args:
        cpu: machine flags of the compiler, as in the plan.
    """
    flags = requirement.machine_flags(cpu)

    def compute() -> dict[str, Any]:
        return resolve.capabilities(flags, cache, chost=abi.chost).to_cache()

    available = find_answer(cache, "\0".join(["CPU", abi.chost, *flags]), compute, requirement.parse_cached)
    return replace(available, abi=available.abi | _libc(abi))
