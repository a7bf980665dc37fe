# SPDX-License-Identifier: GPL-2.0-or-later
"""Check which entries of a user's own package.accept_keywords and similar files are needed."""

import datetime
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.emerge.profile_view import View
from gentoomuch_portage.errors import BadFile
from gentoomuch_portage.plan.plan import Plan
from gentoomuch_portage.portage_adapter import atoms, config_files, mask_needed
from gentoomuch_portage.unmask import ledger
from gentoomuch_portage.unmask.ledger import FILES, Entry


@dataclass(frozen=True, slots=True)
class AdoptedEntry:
    """A line of a file."""

    file: Path
    line: int
    entry: Entry
    why: str
    """Why it is not needed; empty if it is needed."""


def judge_file(path: Path, view: View) -> list[AdoptedEntry]:
    """Return each entry of a file with whether the profile needs it, as if the file did not exist.

    Args:
        path: a file or a directory.

    Raises:
        BadFile: a file is unreadable, has an invalid line, or a name of no known type.
    """
    entries = list(parse_entries(path))
    gone = {file.resolve() for file in _files(path)}
    with tempfile.TemporaryDirectory(prefix="gm-adopt-") as aside:
        shown = Path(aside) / "etc/portage"
        shutil.copytree(view.etc_portage, shown, symlinks=True)
        for name, origin in view.composed.origins.items():
            if origin.resolve() in gone:
                (shown / name).unlink()
        env = {**view.plan.env, "PORTAGE_CONFIGROOT": aside}
        reasons = mask_needed.why_not(env, [entry for *_, entry in entries], installed_only=False)
    return [AdoptedEntry(*place, why) for place, why in zip(entries, reasons, strict=True)]


def add_to_ledger(findings: list[AdoptedEntry], plan: Plan, settings: Settings) -> None:
    """Add the needed entries to the ledger."""
    new = [finding.entry for finding in findings if not finding.why]
    ledger.change(settings.state, plan.profile, lambda before: ledger.merge(before, new))


def parse_entries(path: Path) -> Iterator[tuple[Path, int, Entry]]:
    """Parse a file, or the files in a directory that Portage reads; yields file, line and entry.

    Raises:
        BadFile: as ``judge_file``.
    """
    if not path.exists():
        raise BadFile(path, 0, "file not found", hint=f"ls -ld {shlex.quote(str(path.absolute().parent))}")
    kind = _kind(path)
    for file in _files(path):
        yield from ((file, number, entry) for number, entry in _entries(file, kind))


def _files(path: Path) -> list[Path]:
    return config_files.file_list(path) if path.is_dir() else [path]


def _kind(file: Path) -> str:
    names = {"package.keywords": "keywords", **{name: kind for kind, name in FILES.items()}}
    for part in reversed(file.absolute().parts):
        if part in names:
            return names[part]
    raise BadFile(file, 0, "unknown type of file", hint=f"name it or its directory one of: {' '.join(names)}")


def _entries(file: Path, kind: str) -> Iterator[tuple[int, Entry]]:
    today = datetime.date.today().isoformat()
    try:
        atoms.check_atoms(file)
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise BadFile(file, 0, error.strerror or "cannot read it") from error
    comment: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        statement, _, behind = line.partition("#")
        atom, *values = statement.split() or [""]
        if atom:
            required_by = tuple(
                word.removeprefix("required by ") for word in comment if word.startswith("required by ")
            )
            yield number, Entry(atom=atom, kind=kind, value=" ".join(values), required_by=required_by, since=today)
            comment = []
        elif behind:
            comment.append(behind.strip())
