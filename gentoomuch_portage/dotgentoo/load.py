# SPDX-License-Identifier: GPL-2.0-or-later
"""Parse a .gentoo directory strictly: ambiguous content is an error with file and line."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gentoomuch_portage.dotgentoo.layout import Layout, read_layout
from gentoomuch_portage.dotgentoo.overlays import Overlay, parse_overlays
from gentoomuch_portage.dotgentoo.package_files import FILES, KINDS, Entry, parse_entries
from gentoomuch_portage.dotgentoo.safe_read import Raw, decode

VERSION = "99999"
_CATEGORY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9+_.-]*")
_PACKAGE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9+_-]*")
_VERSION_AT_END = re.compile(r"-\d[\w.]*$")
"""Source: PMS, "Category names" and "Package names"."""
_ENV = re.compile(r"[A-Za-z0-9_][A-Za-z0-9+_.-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """The parsed content of a .gentoo directory."""

    path: Path
    category: str
    package: str
    ebuild: str
    """The unchanged text of its ebuild."""
    overlays: tuple[Overlay, ...]
    entries: Mapping[str, tuple[Entry, ...]]
    """Kind, of ``package_files.KINDS`` -> entries."""
    env: tuple[tuple[str, str], ...]
    """Name and text of the files of env/, sorted."""
    manifest: tuple[str, ...]
    """The DIST lines of the package's Manifest, sorted."""
    files: tuple[Raw, ...]
    """Files of files/, sorted by path below it."""
    unread: tuple[str, ...]
    """Names of ignored files, sorted."""

    @property
    def cp(self) -> str:
        """``category/package``."""
        return f"{self.category}/{self.package}"

    @property
    def cpv(self) -> str:
        """``category/package-99999``."""
        return f"{self.cp}-{VERSION}"

    @property
    def project(self) -> Path:
        """The work tree of the project."""
        return self.path.parent


def load_folder(path: Path) -> Folder:
    """Load a .gentoo directory.

    Args:
        path: the .gentoo directory itself.

    Raises:
        BadFile[bad-dotgentoo]: a file is invalid, ambiguous, too large, or not regular.
    """
    layout = read_layout(path)
    category, package, ebuild = _find_ebuild(layout)
    above = f"{category}/{package}"
    entries = {
        kind: parse_entries(
            kind, [raw for name, its in FILES.items() if its == kind for raw in layout.below(name)], path
        )
        for kind in KINDS
    }
    return Folder(
        path=path,
        category=category,
        package=package,
        ebuild=_text(layout, ebuild),
        overlays=parse_overlays(layout.below("overlays"), path),
        entries=entries,
        env=_env(layout, entries["env"]),
        manifest=_manifest(layout, f"{above}/Manifest"),
        files=tuple(_file(layout, raw, f"{above}/files/") for raw in layout.below(f"{above}/files")),
        unread=layout.unread,
    )


def is_package_name(category: str, package: str) -> bool:
    """Return whether category and package are valid names."""
    sound = _CATEGORY.fullmatch(category) and _PACKAGE.fullmatch(package)
    return bool(sound) and not _VERSION_AT_END.search(package)


def _find_ebuild(layout: Layout) -> tuple[str, str, Raw]:
    """Find the ebuild; return its category, package and file.

    Raises:
        BadFile[bad-dotgentoo]: there is not exactly one ebuild, or its path does not match its name.
    """
    match layout.ebuilds:
        case [raw]:
            category, package, file = raw.name.split("/")
        case []:
            what = f"no ebuild found: CATEGORY/PACKAGE/PACKAGE-{VERSION}.ebuild"
            raise layout.error("", what, hint="gentoomuch dotgentoo init CATEGORY/PACKAGE")
        case several:
            names = ", ".join(raw.name for raw in several)
            raise layout.error("", f"exactly one ebuild is allowed (found: {names})", hint="remove the others")
    if not _CATEGORY.fullmatch(category):
        raise layout.error(raw.name, f"invalid name of a category: {category!r}")
    if not is_package_name(category, package):
        raise layout.error(raw.name, f"invalid name of a package: {package!r}")
    if file != f"{package}-{VERSION}.ebuild":
        raise layout.error(raw.name, f"the ebuild must be named {package}-{VERSION}.ebuild", hint="rename it")
    return category, package, raw


def _text(layout: Layout, raw: Raw) -> str:
    """Return the unchanged text of the ebuild.

    Raises:
        BadFile[bad-dotgentoo]: it has carriage returns or invalid characters.
    """
    if b"\r\n" in raw.content:
        line = raw.content.count(b"\n", 0, raw.content.index(b"\r\n")) + 1
        what = f"line {line} ends with a carriage return, which bash would read as text"
        raise layout.error(raw.name, what, hint="save it with Unix line endings")
    decode(layout.place(raw), raw.content)
    return raw.content.decode("utf-8")


def _env(layout: Layout, entries: tuple[Entry, ...]) -> tuple[tuple[str, str], ...]:
    """Return the files of env/.

    Raises:
        BadFile[bad-dotgentoo]: a name is invalid, or package.env names a missing file.
    """
    files = tuple((raw.name.partition("/")[2], decode(layout.place(raw), raw.content)) for raw in layout.below("env"))
    for name, _ in files:
        if not _ENV.fullmatch(name):
            raise layout.error(f"env/{name}".rstrip("/"), "env/ may only contain regular files with simple names")
    known = {name for name, _ in files}
    for entry in entries:
        if unknown := [name for name in entry.values if name not in known]:
            raise entry.line.error(f"env/{unknown[0]} not found")
    return files


def _manifest(layout: Layout, name: str) -> tuple[str, ...]:
    raw = layout.raws.get(name)
    text = decode(layout.place(raw), raw.content) if raw else ""
    return tuple(sorted({" ".join(line.split()) for line in text.splitlines() if line.startswith("DIST ")}))


def _file(layout: Layout, raw: Raw, above: str) -> Raw:
    """Return a file of files/ with its path below it.

    Raises:
        BadFile[bad-dotgentoo]: files is not a directory, or the name is not printable.
    """
    if not raw.name.startswith(above):
        raise layout.error(raw.name, "files must be a directory")
    if not raw.name.isprintable():
        raise layout.error(raw.name, "the name is not printable", hint="rename it")
    return Raw(raw.name.removeprefix(above), raw.content)
