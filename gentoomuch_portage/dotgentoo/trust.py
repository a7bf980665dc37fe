# SPDX-License-Identifier: GPL-2.0-or-later
"""Which .gentoo directories are trusted to run code on this machine, recorded by ID in ``state/trusted``.

A changed .gentoo directory has another ID and must be trusted again.
"""

import datetime
import fnmatch
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from gentoomuch_portage import console, fs, stored
from gentoomuch_portage.dotgentoo.errors import Untrusted
from gentoomuch_portage.dotgentoo.load import Folder
from gentoomuch_portage.errors import BadFile
from gentoomuch_portage.portage_adapter import atoms as portage_atoms
from gentoomuch_portage.unmask import policy


@dataclass(frozen=True, slots=True)
class TrustRecord:
    """A trusted .gentoo directory."""

    id: str
    date: str
    path: str
    security: tuple[str, ...] = ()
    """Atoms whose security masks it may lift."""
    contained: bool = True
    """Whether it is built in a container if one is available."""


def load_records(state: Path) -> tuple[TrustRecord, ...]:
    """Load the records of trusted .gentoo directories.

    Raises:
        BadFile: the file is damaged.
    """
    file = state / "trusted"
    return tuple(_parse_record(file, number, line) for number, line in enumerate(_lines(file), 1))


def _lines(file: Path) -> list[str]:
    return stored.load(file, str.splitlines, "the list of allowed .gentoo directories") or []


def _parse_record(file: Path, number: int, line: str) -> TrustRecord:
    try:
        data = json.loads(line)
        record = TrustRecord(**{**data, "security": tuple(data["security"])})
        texts = (record.id, record.date, record.path, *record.security)
        if not (all(isinstance(text, str) for text in texts) and isinstance(record.contained, bool)):
            raise TypeError(line)
    except stored.DAMAGED as error:
        raise BadFile(file, number, "invalid record", hint=f"remove the line: {file}") from error
    return record


def is_trusted(state: Path, identity: str, security: Iterable[str], option: str = "") -> bool:
    """Return whether a .gentoo directory is trusted, and may lift these security masks.

    Args:
        option: ``--gm-trust=``: IDs for this run, separated by commas; ``ID:security`` allows security masks, too.
    """
    wanted = set(security)
    words = set(option.split(","))
    if f"{identity}:security" in words or (identity in words and not wanted):
        return True
    return any(record.id == identity and wanted <= set(record.security) for record in load_records(state))


def is_fully_trusted(state: Path, identity: str, option: str = "") -> bool:
    """Return whether it may be built outside of a container, as the profile says."""
    named = {word.partition(":")[0] for word in option.split(",")}
    return identity in named or any(record.id == identity and not record.contained for record in load_records(state))


def add_record(state: Path, entry: TrustRecord) -> None:
    """Record a trusted .gentoo directory.

    Raises:
        BadFile: the records are damaged.
        NoPrivilege, MachineError[disk-full], ReadOnly: the state cannot be written.
    """
    load_records(state)  # a record after a damaged line could not be read
    fs.append(fs.ensure(state) / "trusted", json.dumps(asdict(entry), sort_keys=True), follow=False)


def ask_user(folder: Folder, identity: str, security: tuple[str, ...], state: Path) -> None:
    """Ask on the terminal whether to trust a .gentoo directory, and record it.

    Raises:
        Untrusted: there is no terminal, or the answer is no.
    """
    for line in describe(folder, identity):
        console.info(line)
    if not console.confirm("Trust it to run its ebuild and work tree on this machine, and install it?"):
        raise Untrusted(folder.path, identity, security)
    for atom in security:
        if not console.confirm(
            f"{atom} is masked because of a vulnerability, and this directory unmasks it. Unmask it?"
        ):
            raise Untrusted(folder.path, identity, security)
    entry = TrustRecord(identity, datetime.date.today().isoformat(), str(folder.path), security)
    add_record(state, entry)


def describe(folder: Folder, identity: str) -> list[str]:
    """Describe what a .gentoo directory does, one line per item, including URLs of overlays."""
    lines = [f"{folder.path} is not trusted yet.", f"  ID       {identity}", f"  installs {folder.cpv}"]
    lines += [f"  overlay  {overlay.name} from {overlay.get('sync-uri') or 'this host'}" for overlay in folder.overlays]
    lines += [f"  {kind:<8} {entry.text}" for kind, entries in folder.entries.items() for entry in entries]
    lines += [f"  env file {name}: {line}" for name, text in folder.env for line in text.splitlines() if line]
    return [console.escape_unprintable(line) for line in lines]


def find_lifted_security_masks(folder: Folder, places: Iterable[Path]) -> tuple[str, ...]:
    """Return the atoms with which a .gentoo directory would lift security masks.

    They are in its package.unmask, or with a ``-`` in its package.mask, which also removes masks of repositories and
    profiles. Source: portage's MaskManager.

    Args:
        places: package.mask files of repositories, of the host and of layers.
    """
    masked = {key for place in places for key in _find_security_masks(place)}
    atoms = [entry.atom for entry in folder.entries["unmask"]]
    atoms += [entry.atom[1:] for entry in folder.entries["mask"] if entry.atom.startswith("-")]
    return tuple(
        atom for atom in dict.fromkeys(atoms) if any(_overlap(key, portage_atoms.atom_key(atom)) for key in masked)
    )


def _overlap(atom: str, other: str) -> bool:
    """Return whether two names or patterns match the same packages."""
    return fnmatch.fnmatchcase(atom, other) or fnmatch.fnmatchcase(other, atom)


def _find_security_masks(file: Path) -> set[str]:
    """Return ``category/package`` of masks whose comment mentions a vulnerability."""
    masked: set[str] = set()
    comment, listed = "", False
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines() if file.is_file() else ():
        text = line.strip()
        if text.startswith("#"):
            comment, listed = ("" if listed else comment) + text, False
        elif text:
            listed = True
            if policy.is_security_mask(comment) and (key := portage_atoms.atom_key(text.split()[0])):
                masked.add(key)
        else:
            comment, listed = "", False
    return masked
