# SPDX-License-Identifier: GPL-2.0-or-later
"""Check a directory of packages against its index, and fix it."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage.binhost import reindex, sign
from gentoomuch_portage.pkgindex import edit
from gentoomuch_portage.pkgindex import entry as pkgindex_entry
from gentoomuch_portage.portage_adapter.pkgdir import Pkgdir
from gentoomuch_portage.portage_adapter.runtime_deps import gaps


class Finding(NamedTuple):
    """One problem."""

    code: str
    """``missing``, ``orphaned``, ``altered``, ``unsigned``, ``duplicated`` or ``gap``."""
    path: str
    """Path of the package below the directory."""
    cpv: str
    """Empty if unknown."""
    text: str
    fixed: bool = False


def check_packages(
    pkgdir: Pkgdir, *, digests: bool, signed: bool, times: bool = True, show: reindex.Show = reindex.no_progress
) -> list[Finding]:
    """Check all packages; nothing is changed.

    Args:
        digests: read all packages and verify their digests; otherwise only size and time are compared.
        signed: require signatures.
        times: compare times with the index. Published packages of equal content share one file and its time.
        show: shows how many packages have been checked.
    """
    entries = _read_entries(pkgdir.folder)
    marks = reindex.find_packages(pkgdir.folder)
    with show(len(entries)) as step:
        findings = list(_check_files(pkgdir.folder, entries, marks, digests=digests, times=times, step=step))
    findings += _find_duplicates(entries)
    if signed:
        findings += _find_unsigned(pkgdir.folder, entries, marks)
    findings += [
        Finding("gap", gap.path, gap.cpv, f"no package here satisfies {gap.atom}") for gap in gaps(pkgdir.tree)
    ]
    return sorted(findings)


def fix_findings(pkgdir: Pkgdir, findings: Iterable[Finding]) -> list[Finding]:
    """Fix findings: update the index, and rename altered packages to ``NAME.altered``."""
    findings = list(findings)
    for finding in findings:
        if finding.code == "altered" and (file := pkgdir.folder / finding.path).is_file():
            file.rename(file.with_name(f"{file.name}.altered"))
    reindex.update_index(pkgdir.folder)
    remaining = {(finding.code, finding.path) for finding in check_packages(pkgdir, digests=False, signed=False)}
    fixable = {"missing", "orphaned", "altered"}
    return [
        finding._replace(fixed=finding.code in fixable and (finding.code, finding.path) not in remaining)
        for finding in findings
    ]


def _read_entries(folder: Path) -> list[dict[str, str]]:
    """Read the entries of the index, each with its PATH."""
    try:
        with edit.open_view(folder / "Packages") as view:
            texts = list(pkgindex_entry.each(view.data[view.body :]))
    except FileNotFoundError:
        return []
    return [pkgindex_entry.fields(text) | {"PATH": pkgindex_entry.path(text)} for text in texts]


def _check_files(
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
            yield Finding("missing", path, cpv, "it is in the index, but the file does not exist")
        elif why := _find_difference(folder / path, entry, marks[path], digests=digests, times=times):
            yield Finding("altered", path, cpv, why)
        step("", 1)
    for path in sorted(marks.keys() - {entry["PATH"] for entry in entries}):
        yield Finding("orphaned", path, "", "it is not in the index")


def _find_difference(
    file: Path, entry: dict[str, str], mark: tuple[int, int, int], *, digests: bool, times: bool
) -> str:
    size, mtime, _ = mark
    if entry.get("SIZE", str(size)) != str(size):
        return f"it has {size} bytes, but {entry['SIZE']} in the index"
    if times and entry.get("MTIME", str(mtime // 1_000_000_000)) != str(mtime // 1_000_000_000):
        return "it was changed after it was indexed"
    for name in ("SHA1", "MD5") if digests else ():
        if name in entry and (sum_ := _digest(file, name)) != entry[name]:
            return f"its {name} is {sum_}, but {entry[name]} in the index"
    return ""


def _digest(file: Path, name: str) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, lambda: hashlib.new(name.lower(), usedforsecurity=False)).hexdigest()


def _find_duplicates(entries: list[dict[str, str]]) -> Iterator[Finding]:
    """Yield later packages of the same build or with the same content."""
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


def _find_unsigned(folder: Path, entries: list[dict[str, str]], marks: reindex.Marks) -> Iterator[Finding]:
    for entry in entries:
        if entry["PATH"] in marks and not sign.has_signature(folder / entry["PATH"]):
            yield Finding("unsigned", entry["PATH"], entry["CPV"], "it is not signed")
