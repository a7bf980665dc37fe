"""Binary packages on offer, held against a profile's CPU."""

import functools
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from gentoomuch_portage.binpkg.environment import ENVIRONMENT
from gentoomuch_portage.binpkg.http import Pools, Unread, proxy_of_environment
from gentoomuch_portage.binpkg.metadata import Reader
from gentoomuch_portage.binpkg.source import BadBinpkg
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import bare
from gentoomuch_portage.isa import cpu as isa_cpu
from gentoomuch_portage.isa import flags as isa_flags
from gentoomuch_portage.isa import requirement, resolve
from gentoomuch_portage.isa.requirement import LIBCS, Abi, Requirement, Verdict
from gentoomuch_portage.plan.plan import Plan
from gentoomuch_portage.portage_adapter import user_patches
from gentoomuch_portage.portage_adapter.binpkg import RECORDED, Binpkg

_NOTHING: Mapping[str, str] = MappingProxyType({})
_ANY = Abi("", "")


def verdict(binpkg: Binpkg, plan: Plan, settings: Settings) -> Verdict:
    """Whether a binary package may be used for a plan's profile, and why not."""
    judged = runs(binpkg, *_machine(binpkg, plan), settings, unknown=plan.unknown)
    if plan.audit == "yes" and judged.code == "unknown" and not judged.accept and binpkg.path is not None:
        return _by_machine_code(binpkg.path, judged, offered_for(binpkg, plan, settings.cache), settings.cache)
    return judged


def runs(binpkg: Binpkg, cpu: str, abi: Abi, settings: Settings, *, unknown: str) -> Verdict:
    """Whether a binary package runs on a machine, and why not.

    Args:
        cpu: machine flags of the compiler.
        unknown: ``reject`` or ``accept`` what does not tell its needs.
    """
    if foreign := _foreign(binpkg, abi):
        return Verdict(accept=False, code="abi", reason=foreign)
    needed = needed_by(binpkg, settings.cache, settings.binhosts)
    return requirement.judge(needed, offered_by(cpu, settings.cache, abi), unknown=unknown)


def _foreign(binpkg: Binpkg, abi: Abi) -> str:
    """In what a package is for another system, as its index already tells; empty where it is for this one."""
    if not abi.takes(binpkg.chost):
        return f"is for {binpkg.chost}, not for {abi.chost}"
    its, ours = isa_flags.libc(binpkg.chost, binpkg.use), _libc(abi)
    return f"is for {' '.join(its)}, not for {' '.join(ours)}" if its and ours and not its & ours else ""


def _libc(abi: Abi) -> frozenset[str]:
    return LIBCS & {abi.libc} or isa_flags.libc(abi.chost, ())


def _machine(binpkg: Binpkg, plan: Plan) -> tuple[str, Abi]:
    """The machine flags and the ABI that a binary package is for: of the profile, or of this machine for building."""
    if plan.root != "/" and binpkg.root == "/":
        return plan.build_cpu, Abi.of(plan.build_abi)
    return plan.cpu, Abi.of(plan.abi)


def _by_machine_code(path: Path, judged: Verdict, has: Requirement, cache: Path) -> Verdict:
    """The verdict on a package that does not tell its flags, by what stands in its files.

    Code that needs nothing which the CPU lacks, dispatched or not, runs; anything else proves nothing.
    """
    from gentoomuch_portage.audit import cache as audit_cache
    from gentoomuch_portage.audit import report

    try:
        proven = report.proven(audit_cache.audited(path, cache), has, judged.reason)
    except BadBinpkg as error:
        return replace(judged, reason=f"{judged.reason}; its machine code: {error.why}")
    if proven is None:
        return replace(judged, reason=f"{judged.reason}; its machine code cannot be read as a whole")
    cleared = requirement.judge(proven, has)
    return cleared if cleared.accept else replace(judged, reason=proven.told)


def offered_for(binpkg: Binpkg, plan: Plan, cache: Path) -> Requirement:
    """What the CPU offers that a binary package is for: that of the profile, or of this machine for building."""
    cpu, abi = _machine(binpkg, plan)
    return offered_by(cpu, cache, abi)


def needed_by(binpkg: Binpkg, cache: Path, declared: Mapping[str, str] = _NOTHING) -> Requirement:
    """What a binary package needs: what it recorded, or what its flags mean, or what its binhost is declared to be.

    Args:
        declared: URL of a binhost -> the CPU that all its packages were built for; nothing of them is read.
    """
    reader = _reader(cache, os.getpid())
    use = frozenset(flag for flag in binpkg.use if flag in binpkg.iuse or flag.startswith("elibc_"))
    try:
        below = _declared(binpkg.url, declared)
        found = reader.remembered(binpkg) if below else reader.read(binpkg)
    except (BadBinpkg, Unread) as error:
        return _unknown(error.why)
    if below and not _tells(found or {}):
        return _of_declared(below, declared[below], isa_flags.libc(binpkg.chost, use), use, cache)
    return told_by(found or {}, use, cache)


def told(binpkg: Binpkg, settings: Settings) -> Mapping[str, str] | None:
    """What a binary package tells of itself; None where it cannot be looked into, or is not, as its binhost is
    declared to be good."""
    reader = _reader(settings.cache, os.getpid())
    try:
        return reader.remembered(binpkg) if _declared(binpkg.url, settings.binhosts) else reader.read(binpkg)
    except (BadBinpkg, Unread):
        return None


def _tells(found: Mapping[str, str]) -> bool:
    return bool({RECORDED, "CFLAGS", "CXXFLAGS"} & found.keys())


def told_by(found: Mapping[str, str], use: Iterable[str], cache: Path) -> Requirement:
    """What a package needs by its own metadata.

    Args:
        found: of ``RECORDED`` and ``isa.resolve.VARIABLES`` those that it has.
        use: its enabled USE flags, cpu_flags_* spelt out.
    """
    if RECORDED in found:
        return requirement.of_text(found[RECORDED])
    if not _tells(found):
        return requirement.UNKNOWN
    return resolve.of_variables(found, use, resolve.asking(cache, found.get("CC", ""), found.get("CHOST", "")))


def _of_declared(url: str, cpu: str, libc: frozenset[str], use: Iterable[str], cache: Path) -> Requirement:
    """What the packages of a binhost need that ``gentoomuch.toml`` tells of."""
    named = bare(url)
    if cpu == "native":
        return _unknown(f'native says nothing about the packages of {named}; name its cpu in [binhost."{named}"]')
    level = resolve.built_for(cpu, cache)
    if not level.known:
        return _unknown(f'no known compiler knows the cpu {cpu!r}, which [binhost."{named}"] names')
    flags = isa_cpu.features_of_flags(use)
    by = {**level.by, "USE": flags} if level.by else {}
    told = f"{cpu}, declared for {named}"
    return replace(level, features=level.features | flags, abi=level.abi | libc, by=by, told=told)


def _declared(url: str, declared: Mapping[str, str]) -> str:
    """The most telling of the declared binhosts that a URL lies below; empty where it lies below none."""
    if not url or ".." in urlsplit(url).path.split("/"):
        return ""
    below = (one for one in declared if _plain(url).startswith(f"{_plain(one).rstrip('/')}/"))
    return max(below, key=len, default="")


def _plain(url: str) -> str:
    """A URL as two of them can be compared: without name and password, scheme and host in lower case."""
    parts = urlsplit(url)
    netloc = parts.netloc.rpartition("@")[2].lower()
    return parts._replace(scheme=parts.scheme.lower(), netloc=netloc).geturl()


def _unknown(told: str) -> Requirement:
    return replace(requirement.UNKNOWN, told=told)


@functools.lru_cache(maxsize=1)
def _reader(cache: Path, process: int) -> Reader:
    """One reader for all packages of a run; a process that Portage forks must not share its connections."""
    wanted = {RECORDED, ENVIRONMENT, *resolve.VARIABLES, "USER_PATCHES", user_patches.NAMED}
    return Reader(cache, wanted, Pools(proxy_of_environment))


@functools.lru_cache(maxsize=8)
def offered_by(cpu: str, cache: Path, abi: Abi = _ANY) -> Requirement:
    """What a machine offers.

    Args:
        cpu: as the plan has it: machine flags of the compiler.
    """
    found = resolve.offered(requirement.machine_flags(cpu), cache, chost=abi.chost)
    return replace(found, abi=found.abi | _libc(abi))
