# SPDX-License-Identifier: GPL-2.0-or-later
"""Find problems in a valid .gentoo directory: lines that Portage rejects, and lines without effect.

The ebuild is not sourced: only assignments on lines of their own are checked.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from gentoomuch_portage.dotgentoo.load import VERSION, Folder
from gentoomuch_portage.dotgentoo.package_files import Entry
from gentoomuch_portage.dotgentoo.safe_read import Line, display_path
from gentoomuch_portage.portage_adapter import atoms
from gentoomuch_portage.portage_adapter.pkgcore_modules import import_pkgcore

try:  # pkgcore 0.12.33 creates no atom with snakeoil 0.11.4 on Python 3.13. Source: warnings.deprecated, which replaces
    # the __init_subclass__ of a base class.
    atom = import_pkgcore("ebuild.atom").atom
    MalformedAtom = import_pkgcore("ebuild.errors").MalformedAtom
    atom("category/package")
except (ImportError, AttributeError):
    atom = None

USED = frozenset({"location", "sync-type", "sync-uri", "priority", "auto-sync"})
"""Keys of an overlay that are used, or may be ignored."""
_EAPI = re.compile(r"EAPI=(['\"]?)([A-Za-z0-9+_.-]*)\1[ \t]*([ \t]#.*)?")
"""Source: PMS, "Ebuild-defined variables, EAPI"."""
_FLAG = re.compile(r"-?([A-Za-z0-9][A-Za-z0-9+_@-]*(_\*)?|\*)")
_KEYWORD = re.compile(r"-?(\*\*|~?\*|~?[A-Za-z0-9_][A-Za-z0-9_-]*)")
_LICENSE = re.compile(r"-?(\*|@?[A-Za-z0-9_][A-Za-z0-9+_.-]*)")
_VALUES = {"use": (_FLAG, "USE flag"), "keywords": (_KEYWORD, "keyword"), "license": (_LICENSE, "licence")}


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding about a line."""

    file: str
    line: int
    """0 for the whole file."""
    wrong: bool
    """True: Portage rejects it; False: it has no effect, or another one than it seems."""
    text: str


"""Returns why an atom is invalid; empty if it is valid."""


def find_problems(folder: Folder) -> list[Finding]:
    """Return all findings, sorted by file and line."""
    findings = [*_ebuild(folder), *_entries(folder), *_overlays(folder), *_names(folder)]
    return sorted(findings, key=lambda finding: (finding.file, finding.line, finding.text))


def _at(line: Line, text: str, *, wrong: bool = True) -> Finding:
    return Finding(line.file, line.number, wrong, text)


def _ebuild(folder: Folder) -> Iterator[Finding]:
    """Check that the first statement is EAPI, and that required variables are set."""
    file = f"{folder.path}/{folder.cp}/{folder.package}-{VERSION}.ebuild"
    numbered = enumerate(folder.ebuild.split("\n"), 1)
    number, first = next(
        ((n, text) for n, text in numbered if text.strip() and not text.lstrip().startswith("#")), (0, "")
    )
    match = _EAPI.fullmatch(first.strip())
    if not match:
        yield Finding(file, number, True, "the first line that is not a comment must be EAPI=8")
    elif match[2] in {"0", "1", "2", "3", "4", "5", "6"}:
        yield Finding(file, number, False, f"EAPI {match[2]} is outdated; dotgentoo.eclass requires 8")
    for name in ("DESCRIPTION", "SLOT"):
        if not re.search(rf"^[ \t]*{name}=", folder.ebuild, re.M) and not re.search(r"^inherit\b", folder.ebuild, re.M):
            yield Finding(file, 0, True, f"{name} is missing")


def check_atom(text: str) -> str:
    """Return why a text is not an atom; empty if it is one. Without pkgcore, only Portage checks it."""
    if not atoms.is_atom(text):
        return _find_fault(text) or "is not a valid atom"
    if "*" in text or "::" in text:
        return ""  # Portage's own wider grammar of configuration files
    return _find_fault(text)


def _find_fault(text: str) -> str:
    """Return what is wrong with an atom by pkgcore; empty if nothing is."""
    if atom is None:
        return ""
    try:
        atom(text)
    except MalformedAtom as error:
        return f"is not a valid atom: {' '.join(str(error).split())}"
    return ""


def _entries(folder: Folder) -> Iterator[Finding]:
    for kind, entries in folder.entries.items():
        for entry in entries:
            text = entry.atom.removeprefix("-") if kind in {"mask", "unmask"} else entry.atom
            if why := check_atom(text):
                yield _at(entry.line, f"{entry.atom!r} {why}")
            yield from _values(kind, entry)


def _values(kind: str, entry: Entry) -> Iterator[Finding]:
    if kind == "use" and not entry.values:
        yield _at(entry.line, f"{entry.atom} has no flags", wrong=False)
    if kind in _VALUES:
        shape, name = _VALUES[kind]
        for value in entry.values:
            if not shape.fullmatch(value):
                yield _at(entry.line, f"{value!r} is not a valid {name}")


def _overlays(folder: Folder) -> Iterator[Finding]:
    for overlay in folder.overlays:
        if not overlay.get("sync-uri"):
            yield _at(overlay.line, f"[{overlay.name}] has no sync-uri: it must exist on the host", wrong=False)
        elif overlay.get("sync-type") != "git":
            kind = overlay.get("sync-type", "none")
            yield _at(overlay.line, f"[{overlay.name}] has sync-type {kind}; only git is supported", wrong=False)
        if (priority := overlay.get("priority")) and not re.fullmatch(r"-?\d+", priority):
            yield _at(overlay.line, f"[{overlay.name}] has an invalid priority: {priority!r}")
        for key, _ in overlay.options:
            if key not in USED:
                yield _at(overlay.line, f"[{overlay.name}] has {key}, which is ignored", wrong=False)


def _names(folder: Folder) -> Iterator[Finding]:
    for name in folder.unread:
        yield Finding(display_path(folder.path, name), 0, False, "this file is ignored")
    for raw, _ in folder.env:
        if not any(raw in entry.values for entry in folder.entries["env"]):
            yield Finding(f"{folder.path}/env/{raw}", 0, False, "package.env does not use it")
