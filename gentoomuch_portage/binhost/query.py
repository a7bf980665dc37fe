# SPDX-License-Identifier: GPL-2.0-or-later
"""List the packages of a directory by its index: their CPUs, USE flags and profiles."""

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
from gentoomuch_portage.portage_adapter import atoms
from gentoomuch_portage.portage_adapter.binpkg import BUILT_FOR


def no_such_cpu(cpu: str, why: str) -> UsageError:
    """No supported compiler knows this CPU name."""
    near = nearest(cpu, (name for arch in ARCHES for name in cpus(arch)))
    error = UsageError(why, code="no-such-cpu", hint="gentoomuch isa ls")
    return error.with_correction(cpu, near) if near else error


class PackageRow(NamedTuple):
    """One package."""

    cpv: str
    build_id: int
    """0 if it has none."""
    slot: str
    repository: str
    use: tuple[str, ...]
    """Its flags: ``flag`` if enabled, ``-flag`` if disabled."""
    built_for: str
    """Its build flags, or why they are unknown."""
    profile: str
    """The profile that it was built for; may be empty."""
    runs_on: tuple[str, ...]
    """The requested CPUs that it runs on."""
    path: str
    size: int
    """Bytes."""
    built: int
    """Seconds since the epoch; 0 if unknown."""


def list_packages(
    folder: Path, cache: Path, *, query: str = "", cpus: Sequence[str] = (), use: Sequence[str] = ()
) -> Iterator[PackageRow]:
    """Yield the packages of an index, which must be up to date.

    Args:
        query: an atom, ``cat/pkg`` or ``pkg``; empty for all.
        cpus: CPU names as in a profile, to check each package against.
        use: ``flag`` or ``-flag``: only packages built this way.

    Raises:
        UsageError[no-such-cpu]: a CPU is unknown.
        BadIndex: a shard is damaged.
    """
    has = {cpu: _resolve_cpu(cpu, cache) for cpu in cpus}
    for name in shards.read(folder):
        if query and not _may_match(query, name):
            continue
        for entry in shards.entries(folder, name):
            row = _make_row(entry, has, cache)
            if (not query or _matches(query, row)) and {*use} <= {*row.use}:
                yield row


def _resolve_cpu(cpu: str, cache: Path) -> Requirement:
    _, available = resolve.capabilities_of_cpu(cpu, cache)
    if not available.known:
        raise no_such_cpu(cpu, available.description)
    return available


def _may_match(query: str, name: str) -> bool:
    """Check quickly whether an atom can match a name; Portage's own matching of each version is slower."""
    key = atoms.atom_key(query)
    return name == key if key and "*" not in key else key != "" or name.rpartition("/")[2] == query


def _matches(query: str, row: PackageRow) -> bool:
    return "/" not in query or atoms.means(query, row.cpv, row.slot, row.repository, row.build_id)


def _make_row(entry: bytes, has: dict[str, Requirement], cache: Path) -> PackageRow:
    fields = pkgindex_entry.fields(entry)
    enabled = {*fields.get("USE", "").split()}
    flags = sorted({flag.lstrip("+-") for flag in fields.get("IUSE", "").split()})
    metadata = pkgindex_entry.parse_metadata(entry)
    needed = binpkg_filter_cpu.requirement_of_metadata({"CHOST": fields.get("CHOST", ""), **metadata}, enabled, cache)
    return PackageRow(
        cpv=fields["CPV"],
        build_id=_parse_number(fields.get("BUILD_ID")),
        slot=fields.get("SLOT", "0"),
        repository=fields.get("REPO", ""),
        use=tuple(flag if flag in enabled else f"-{flag}" for flag in flags),
        built_for=needed.description,
        profile=metadata.get(BUILT_FOR, ""),
        runs_on=tuple(cpu for cpu, available in has.items() if requirement.judge(needed, available).accept),
        path=pkgindex_entry.path(entry),
        size=_parse_number(fields.get("SIZE")),
        built=_parse_number(fields.get("BUILD_TIME")),
    )


def _parse_number(text: str | None) -> int:
    return int(text) if text and text.isdigit() else 0
