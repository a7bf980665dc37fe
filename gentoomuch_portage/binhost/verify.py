"""What is wrong with a folder of packages, and what of it can be mended."""

import hashlib
import tarfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage.binhost import reindex
from gentoomuch_portage.pkgindex import edit
from gentoomuch_portage.pkgindex import entry as pkgindex_entry
from gentoomuch_portage.portage_adapter.binpkg_query import gaps
from gentoomuch_portage.portage_adapter.pkgdir import Pkgdir

_MOST_MEMBERS = 20
"""Of a gpkg's outer archive; there are six, and a signature for each."""


class Finding(NamedTuple):
    """One thing that is wrong."""

    code: str
    """``missing``, ``orphaned``, ``altered``, ``unsigned``, ``duplicated`` or ``gap``."""
    path: str
    """Of the package, below the folder."""
    cpv: str
    """Empty where nobody knows it."""
    text: str
    fixed: bool = False


def check(
    shelf: Pkgdir, *, digests: bool, signed: bool, times: bool = True, show: reindex.Show = reindex.unseen
) -> list[Finding]:
    """Look at everything; nothing is changed.

    Args:
        digests: read all packages and hold them against their digests; otherwise size and time are looked at.
        signed: packages have to be signed.
        times: a package has the time that its entry tells. Published ones have not: equal ones are one file.
        show: shows how many packages have been looked at.
    """
    entries = _entries(shelf.folder)
    marks = reindex.found(shelf.folder)
    with show(len(entries)) as step:
        found = list(_files(shelf.folder, entries, marks, digests=digests, times=times, step=step))
    found += _duplicated(entries)
    if signed:
        found += _unsigned(shelf.folder, entries, marks)
    found += [Finding("gap", one.path, one.cpv, f"nothing here satisfies {one.atom}") for one in gaps(shelf.tree)]
    return sorted(found)


def fix(shelf: Pkgdir, findings: Iterable[Finding]) -> list[Finding]:
    """Mend what can be mended: the index says what is there, altered packages are set aside as ``NAME.altered``."""
    findings = list(findings)
    for one in findings:
        if one.code == "altered" and (file := shelf.folder / one.path).is_file():
            file.rename(file.with_name(f"{file.name}.altered"))
    reindex.bring_up_to_date(shelf.folder)
    left = {(one.code, one.path) for one in check(shelf, digests=False, signed=False)}
    mended = {"missing", "orphaned", "altered"}
    return [one._replace(fixed=one.code in mended and (one.code, one.path) not in left) for one in findings]


def _entries(folder: Path) -> list[dict[str, str]]:
    """The entries of the index, each with its PATH."""
    try:
        with edit.viewed(folder / "Packages") as view:
            texts = list(pkgindex_entry.each(view.data[view.body :]))
    except FileNotFoundError:
        return []
    return [pkgindex_entry.fields(one) | {"PATH": pkgindex_entry.path(one)} for one in texts]


def _files(
    folder: Path,
    entries: list[dict[str, str]],
    marks: reindex.Marks,
    *,
    digests: bool,
    times: bool,
    step: Callable[[str, int], None],
) -> Iterator[Finding]:
    for entry in entries:
        path, cpv = entry["PATH"], entry["CPV"]
        if path not in marks:
            yield Finding("missing", path, cpv, "it is in the index, and there is no such file")
        elif why := _altered(folder / path, entry, marks[path], digests=digests, times=times):
            yield Finding("altered", path, cpv, why)
        step("", 1)
    for path in sorted(marks.keys() - {entry["PATH"] for entry in entries}):
        yield Finding("orphaned", path, "", "it is not in the index")


def _altered(file: Path, entry: dict[str, str], mark: tuple[int, int, int], *, digests: bool, times: bool) -> str:
    size, mtime, _ = mark
    if entry.get("SIZE", str(size)) != str(size):
        return f"it has {size} bytes, and {entry['SIZE']} by the index"
    if times and entry.get("MTIME", str(mtime // 1_000_000_000)) != str(mtime // 1_000_000_000):
        return "it was written after it came into the index"
    for name in ("SHA1", "MD5") if digests else ():
        if name in entry and (sum_ := _digest(file, name)) != entry[name]:
            return f"its {name} is {sum_}, and {entry[name]} by the index"
    return ""


def _digest(file: Path, name: str) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, lambda: hashlib.new(name.lower(), usedforsecurity=False)).hexdigest()


def _duplicated(entries: list[dict[str, str]]) -> Iterator[Finding]:
    """Later ones of the same build, or of the same content."""
    builds: dict[tuple[str, ...], str] = {}
    contents: dict[tuple[str, ...], str] = {}
    for entry in entries:
        path = entry["PATH"]
        first = builds.setdefault((entry["CPV"], entry.get("BUILD_ID", "")), path)
        same = contents.setdefault((entry.get("SHA1") or path, entry.get("SIZE", "")), path)
        if first != path:
            yield Finding("duplicated", path, entry["CPV"], f"it is the same build as {first}")
        elif same != path:
            yield Finding("duplicated", path, entry["CPV"], f"it has the same content as {same}")


def _unsigned(folder: Path, entries: list[dict[str, str]], marks: reindex.Marks) -> Iterator[Finding]:
    for entry in entries:
        if entry["PATH"] in marks and not _is_signed(folder / entry["PATH"]):
            yield Finding("unsigned", entry["PATH"], entry["CPV"], "it is not signed")


def _is_signed(file: Path) -> bool:
    """Whether there is a signature; whether it holds is told by ``gentoomuch binpkg why``. Source: GLEP 78."""
    if not file.name.endswith(".gpkg.tar"):
        return False
    try:
        with tarfile.open(file, "r:") as archive:
            return any(one.name.endswith(".sig") for _, one in zip(range(_MOST_MEMBERS), archive, strict=False))
    except (tarfile.TarError, OSError, ValueError, OverflowError):  # the last two of a member with 2**64 bytes
        return False
