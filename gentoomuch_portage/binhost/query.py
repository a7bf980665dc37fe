"""What a folder of packages has: for which CPUs, with which USE; from its index alone."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage.binpkg_filter import cpu as binpkg_filter_cpu
from gentoomuch_portage.errors import UsageError, nearest
from gentoomuch_portage.isa import requirement, resolve
from gentoomuch_portage.isa.requirement import Requirement
from gentoomuch_portage.isa.tables import ARCHES, cpus
from gentoomuch_portage.pkgindex import entry as pkgindex_entry
from gentoomuch_portage.pkgindex import shards
from gentoomuch_portage.portage_adapter import config
from gentoomuch_portage.portage_adapter.binpkg import BUILT_FOR


class UnknownCpu(UsageError):
    """No compiler that is known knows this CPU."""

    code = "no-such-cpu"

    def __init__(self, cpu: str, why: str) -> None:
        near = nearest(cpu, (name for arch in ARCHES for name in cpus(arch)))
        super().__init__(why, remedy=f"{near} ? all of them: gentoomuch isa ls" if near else "gentoomuch isa ls")
        self.cpu = cpu


class Held(NamedTuple):
    """One package."""

    cpv: str
    build_id: int
    """0 where it has none."""
    slot: str
    repository: str
    use: tuple[str, ...]
    """The flags that it has: ``flag`` where it is on, ``-flag`` where it is off."""
    built_for: str
    """In words: flags, or why nobody can tell."""
    profile: str
    """The profile that it was built for; empty where it does not tell."""
    runs_on: tuple[str, ...]
    """Of the CPUs that were asked for."""
    path: str
    size: int
    """Bytes."""
    built: int
    """Seconds since the epoch; 0 where it does not tell."""


def held(
    folder: Path, cache: Path, *, asked: str = "", cpus: Sequence[str] = (), use: Sequence[str] = ()
) -> Iterator[Held]:
    """The packages of an index that is up to date.

    Args:
        asked: an atom, ``cat/pkg`` or ``pkg``; empty for all.
        cpus: as a profile tells them; each package says on which of them it runs.
        use: ``flag`` or ``-flag``: only packages that have it so.

    Raises:
        UnknownCpu: nobody knows one of the CPUs.
        BadIndex: a shard is damaged.
    """
    has = {cpu: _known(cpu, cache) for cpu in cpus}
    for name in shards.read(folder):
        if asked and not _may_mean(asked, name):
            continue
        for entry in shards.entries(folder, name):
            one = _held(entry, has, cache)
            if (not asked or _means(asked, one)) and {*use} <= {*one.use}:
                yield one


def _known(cpu: str, cache: Path) -> Requirement:
    _, found = resolve.cpu(cpu, cache)
    if not found.known:
        raise UnknownCpu(cpu, found.told)
    return found


def _may_mean(asked: str, name: str) -> bool:
    """Whether an atom can be about a name; what Portage's own matching says of each version costs more."""
    key = config.atom_key(asked)
    return name == key if key and "*" not in key else key != "" or name.rpartition("/")[2] == asked


def _means(asked: str, one: Held) -> bool:
    return "/" not in asked or config.means(asked, one.cpv, one.slot, one.repository, one.build_id)


def _held(entry: bytes, has: dict[str, Requirement], cache: Path) -> Held:
    told = pkgindex_entry.fields(entry)
    on = {*told.get("USE", "").split()}
    flags = sorted({flag.lstrip("+-") for flag in told.get("IUSE", "").split()})
    said = pkgindex_entry.told(entry)
    needed = binpkg_filter_cpu.told_by({"CHOST": told.get("CHOST", ""), **said}, on, cache)
    return Held(
        cpv=told["CPV"],
        build_id=_number(told.get("BUILD_ID")),
        slot=told.get("SLOT", "0"),
        repository=told.get("REPO", ""),
        use=tuple(flag if flag in on else f"-{flag}" for flag in flags),
        built_for=needed.told,
        profile=said.get(BUILT_FOR, ""),
        runs_on=tuple(cpu for cpu, one in has.items() if requirement.judge(needed, one).accept),
        path=pkgindex_entry.path(entry),
        size=_number(told.get("SIZE")),
        built=_number(told.get("BUILD_TIME")),
    )


def _number(text: str | None) -> int:
    return int(text) if text and text.isdigit() else 0
