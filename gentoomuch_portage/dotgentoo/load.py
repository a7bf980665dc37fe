"""A .gentoo folder, read strictly: whatever could be understood in two ways is one error with its file and line."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gentoomuch_portage.dotgentoo.layout import Layout, lay_out
from gentoomuch_portage.dotgentoo.overlays import Overlay, overlays
from gentoomuch_portage.dotgentoo.package_files import FILES, KINDS, Entry, entries
from gentoomuch_portage.dotgentoo.safe_read import Raw, decoded

VERSION = "99999"
_CATEGORY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9+_.-]*")
_PACKAGE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9+_-]*")
_VERSION_AT_END = re.compile(r"-\d[\w.]*$")
"""Source: PMS, "Category names" and "Package names"."""
_ENV = re.compile(r"[A-Za-z0-9_][A-Za-z0-9+_.-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """What a .gentoo folder says."""

    path: Path
    category: str
    package: str
    ebuild: str
    """The text of its one ebuild, as it is."""
    overlays: tuple[Overlay, ...]
    entries: Mapping[str, tuple[Entry, ...]]
    """By kind, ``entries.KINDS``."""
    env: tuple[tuple[str, str], ...]
    """Name and text of the files of env/, sorted."""
    manifest: tuple[str, ...]
    """The DIST lines of the package's Manifest, sorted."""
    files: tuple[Raw, ...]
    """The package's files/, by path below it, sorted."""
    unread: tuple[str, ...]
    """What lies in it besides, sorted. It means nothing."""

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
        """The work tree that the folder stands in."""
        return self.path.parent


def read(path: Path) -> Folder:
    """Read a folder.

    Args:
        path: the folder named .gentoo itself.

    Raises:
        BadFolder: something in it is wrong, ambiguous, too large, or no plain file.
    """
    layout = lay_out(path)
    category, package, ebuild = _named(layout)
    above = f"{category}/{package}"
    said = {
        kind: entries(kind, [raw for name, its in FILES.items() if its == kind for raw in layout.below(name)], path)
        for kind in KINDS
    }
    return Folder(
        path=path,
        category=category,
        package=package,
        ebuild=_text(layout, ebuild),
        overlays=overlays(layout.below("overlays"), path),
        entries=said,
        env=_env(layout, said["env"]),
        manifest=_manifest(layout, f"{above}/Manifest"),
        files=tuple(_file(layout, raw, f"{above}/files/") for raw in layout.below(f"{above}/files")),
        unread=layout.unread,
    )


def is_name(category: str, package: str) -> bool:
    """Whether they may be names of a category and of a package."""
    sound = _CATEGORY.fullmatch(category) and _PACKAGE.fullmatch(package)
    return bool(sound) and not _VERSION_AT_END.search(package)


def _named(layout: Layout) -> tuple[str, str, Raw]:
    """Category and package of the one ebuild, and the ebuild.

    Raises:
        BadFolder: there is none, there are several, or its place is not that of its name.
    """
    match layout.ebuilds:
        case [one]:
            category, package, file = one.name.split("/")
        case []:
            what = f"there is no ebuild in it: CATEGORY/PACKAGE/PACKAGE-{VERSION}.ebuild"
            raise layout.refuse("", what, remedy="gentoomuch dotgentoo init CATEGORY/PACKAGE")
        case several:
            told = ", ".join(raw.name for raw in several)
            raise layout.refuse("", f"there are several ebuilds in it: {told}", remedy="keep one")
    if not _CATEGORY.fullmatch(category):
        raise layout.refuse(one.name, f"{category!r} is no name of a category")
    if not is_name(category, package):
        raise layout.refuse(one.name, f"{package!r} is no name of a package")
    if file != f"{package}-{VERSION}.ebuild":
        raise layout.refuse(one.name, f"the ebuild is not named {package}-{VERSION}.ebuild", remedy="rename it")
    return category, package, one


def _text(layout: Layout, raw: Raw) -> str:
    """The text of the ebuild, as it is.

    Raises:
        BadFolder: bash would read it otherwise than it looks.
    """
    if b"\r\n" in raw.content:
        line = raw.content.count(b"\n", 0, raw.content.index(b"\r\n")) + 1
        what = f"line {line} ends with a carriage return, which bash takes for a part of it"
        raise layout.refuse(raw.name, what, remedy="save it with line ends of Unix")
    decoded(layout.place(raw), raw.content)
    return raw.content.decode("utf-8")


def _env(layout: Layout, entries: tuple[Entry, ...]) -> tuple[tuple[str, str], ...]:
    """The files of env/.

    Raises:
        BadFolder: one is named so that package.env cannot name it; or package.env names one that there is not.
    """
    found = tuple((raw.name.partition("/")[2], decoded(layout.place(raw), raw.content)) for raw in layout.below("env"))
    for name, _ in found:
        if not _ENV.fullmatch(name):
            raise layout.refuse(f"env/{name}".rstrip("/"), "env/ holds plain files whose names are words")
    known = {name for name, _ in found}
    for entry in entries:
        if unknown := [name for name in entry.values if name not in known]:
            raise entry.line.refuse(f"there is no env/{unknown[0]} in this folder")
    return found


def _manifest(layout: Layout, name: str) -> tuple[str, ...]:
    raw = layout.raws.get(name)
    text = decoded(layout.place(raw), raw.content) if raw else ""
    return tuple(sorted({" ".join(line.split()) for line in text.splitlines() if line.startswith("DIST ")}))


def _file(layout: Layout, raw: Raw, above: str) -> Raw:
    """A file of files/, named by its path below it.

    Raises:
        BadFolder: files/ is no directory; or the name cannot be printed.
    """
    if not raw.name.startswith(above):
        raise layout.refuse(raw.name, "files is no directory")
    if not raw.name.isprintable():
        raise layout.refuse(raw.name, "this name cannot be printed", remedy="rename it")
    return Raw(raw.name.removeprefix(above), raw.content)
