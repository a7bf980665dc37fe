"""What is wrong with a .gentoo folder that has an ID: lines that Portage would not take, and what does nothing.

Nothing is sourced: of the ebuild only what stands in a line of its own is looked at.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gentoomuch_portage.dotgentoo.load import VERSION, Folder
from gentoomuch_portage.dotgentoo.package_files import Entry
from gentoomuch_portage.dotgentoo.safe_read import Line, place
from gentoomuch_portage.portage_adapter import config

USED = frozenset({"location", "sync-type", "sync-uri", "priority", "auto-sync"})
"""Keys of an overlay that we use or can do without."""
_EAPI = re.compile(r"EAPI=(['\"]?)([A-Za-z0-9+_.-]*)\1[ \t]*([ \t]#.*)?")
"""Source: PMS, "Ebuild-defined variables, EAPI"."""
_FLAG = re.compile(r"-?([A-Za-z0-9][A-Za-z0-9+_@-]*(_\*)?|\*)")
_KEYWORD = re.compile(r"-?(\*\*|~?\*|~?[A-Za-z0-9_][A-Za-z0-9_-]*)")
_LICENSE = re.compile(r"-?(\*|@?[A-Za-z0-9_][A-Za-z0-9+_.-]*)")
_VALUES = {"use": (_FLAG, "USE flag"), "keywords": (_KEYWORD, "keyword"), "license": (_LICENSE, "licence")}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about a line."""

    file: str
    line: int
    """0 where the whole file is meant."""
    wrong: bool
    """Whether Portage would not take it; otherwise it only does nothing, or not what it seems to do."""
    text: str


Refuses = Callable[[str], str]
"""Why an atom is none; empty where it is one."""


def findings(folder: Folder) -> list[Finding]:
    """All findings, by file and line."""
    found = [*_ebuild(folder), *_entries(folder, grammar()), *_overlays(folder), *_names(folder)]
    return sorted(found, key=lambda one: (one.file, one.line, one.text))


def _at(line: Line, text: str, *, wrong: bool = True) -> Finding:
    return Finding(line.file, line.number, wrong, text)


def _ebuild(folder: Folder) -> Iterator[Finding]:
    """EAPI is the first line that is neither empty nor a comment, and the ebuild has what every ebuild must."""
    file = f"{folder.path}/{folder.cp}/{folder.package}-{VERSION}.ebuild"
    said = enumerate(folder.ebuild.split("\n"), 1)
    number, first = next(((n, text) for n, text in said if text.strip() and not text.lstrip().startswith("#")), (0, ""))
    told = _EAPI.fullmatch(first.strip())
    if not told:
        yield Finding(file, number, True, "the first line that is no comment has to be EAPI=8")
    elif told[2] in {"0", "1", "2", "3", "4", "5", "6"}:
        yield Finding(file, number, False, f"EAPI {told[2]} is old; dotgentoo.eclass wants 8")
    for name in ("DESCRIPTION", "SLOT"):
        if not re.search(rf"^[ \t]*{name}=", folder.ebuild, re.M) and not re.search(r"^inherit\b", folder.ebuild, re.M):
            yield Finding(file, 0, True, f"there is no {name}")


def grammar() -> Refuses:
    """Portage's grammar of atoms, then pkgcore's, which says what is wrong; its alone where pkgcore cannot start.

    pkgcore ends its whole process where bash is older than the newest EAPI asks for. Source: pkgcore.ebuild.eapi.
    """
    try:
        from pkgcore.ebuild.atom import atom
        from pkgcore.ebuild.errors import MalformedAtom
    except (SystemExit, ImportError):
        return lambda text: "" if config.is_atom(text) else "is no atom"

    def refuses(text: str) -> str:
        if config.is_atom(text) and ("*" in text or "::" in text):
            return ""  # Portage's own wider grammar of configuration files
        try:
            atom(text)
        except MalformedAtom as error:
            return f"is no atom: {' '.join(str(error).split())}"
        return "" if config.is_atom(text) else "is no atom"

    return refuses


def _entries(folder: Folder, refuses: Refuses) -> Iterator[Finding]:
    for kind, found in folder.entries.items():
        for entry in found:
            atom = entry.atom.removeprefix("-") if kind in {"mask", "unmask"} else entry.atom
            if why := refuses(atom):
                yield _at(entry.line, f"{entry.atom!r} {why}")
            yield from _values(kind, entry)


def _values(kind: str, entry: Entry) -> Iterator[Finding]:
    if kind == "use" and not entry.values:
        yield _at(entry.line, f"nothing stands behind {entry.atom}", wrong=False)
    if kind in _VALUES:
        shape, name = _VALUES[kind]
        for value in entry.values:
            if not shape.fullmatch(value):
                yield _at(entry.line, f"{value!r} is no {name}")


def _overlays(folder: Folder) -> Iterator[Finding]:
    for one in folder.overlays:
        if not one.get("sync-uri"):
            yield _at(one.line, f"[{one.name}] has no sync-uri, so it is used only where the host has it", wrong=False)
        elif one.get("sync-type") != "git":
            kind = one.get("sync-type", "none")
            yield _at(one.line, f"[{one.name}] has sync-type {kind}; only git can be fetched", wrong=False)
        if (priority := one.get("priority")) and not re.fullmatch(r"-?\d+", priority):
            yield _at(one.line, f"[{one.name}] has the priority {priority!r}, which is no number")
        for key, _ in one.options:
            if key not in USED:
                yield _at(one.line, f"[{one.name}] says {key}, which is not used", wrong=False)


def _names(folder: Folder) -> Iterator[Finding]:
    for name in folder.unread:
        yield Finding(place(folder.path, name), 0, False, "this is not read, and means nothing")
    for raw, _ in folder.env:
        if not any(raw in entry.values for entry in folder.entries["env"]):
            yield Finding(f"{folder.path}/env/{raw}", 0, False, "package.env does not name it")
