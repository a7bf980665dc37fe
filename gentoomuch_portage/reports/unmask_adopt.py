"""A user's own package.accept_keywords and its like, held against what is needed."""

import datetime
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.emerge.profile_view import View
from gentoomuch_portage.errors import BadFile
from gentoomuch_portage.plan.plan import Plan
from gentoomuch_portage.portage_adapter import config, masks
from gentoomuch_portage.unmask import ledger
from gentoomuch_portage.unmask.ledger import FILES, Entry


@dataclass(frozen=True, slots=True)
class Found:
    """A line of a file."""

    file: Path
    line: int
    entry: Entry
    why: str
    """Why it is not needed; empty where it is."""


def judged(path: Path, view: View) -> list[Found]:
    """Each entry of a file, and whether the profile still needs it: looked at as if the file were not there.

    Args:
        path: the file, or a folder of such.

    Raises:
        BadFile: one cannot be read, has a line that is no entry, or does not tell by its name what it is.
    """
    found = list(read(path))
    gone = {file.resolve() for file in _files(path)}
    with tempfile.TemporaryDirectory(prefix="gm-adopt-") as aside:
        shown = Path(aside) / "etc/portage"
        shutil.copytree(view.shown, shown, symlinks=True)
        for name, origin in view.composed.origins.items():
            if origin.resolve() in gone:
                (shown / name).unlink()
        env = {**view.plan.env, "PORTAGE_CONFIGROOT": aside}
        reasons = masks.why_not(env, [entry for *_, entry in found], installed_only=False)
    return [Found(*place, why) for place, why in zip(found, reasons, strict=True)]


def take(found: list[Found], plan: Plan, settings: Settings) -> None:
    """Enter what is needed in the ledger."""
    new = [one.entry for one in found if not one.why]
    ledger.change(settings.state, plan.profile, lambda before: ledger.joined(before, new))


def read(path: Path) -> Iterator[tuple[Path, int, Entry]]:
    """The entries of a file, or of all files of a folder that Portage reads, each with its place.

    Raises:
        BadFile: as ``judged``.
    """
    if not path.exists():
        raise BadFile(path, 0, "there is no such file")
    kind = _kind(path)
    for file in _files(path):
        yield from ((file, number, entry) for number, entry in _entries(file, kind))


def _files(path: Path) -> list[Path]:
    return config.file_list(path) if path.is_dir() else [path]


def _kind(file: Path) -> str:
    names = {"package.keywords": "keywords", **{name: kind for kind, name in FILES.items()}}
    for part in reversed(file.absolute().parts):
        if part in names:
            return names[part]
    raise BadFile(
        file, 0, "its name does not tell what it is", remedy=f"name it, or its folder, one of: {' '.join(names)}"
    )


def _entries(file: Path, kind: str) -> Iterator[tuple[int, Entry]]:
    today = datetime.date.today().isoformat()
    try:
        config.check_atoms(file)
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise BadFile(file, 0, error.strerror or "it cannot be read") from error
    comment: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        said, _, behind = line.partition("#")
        atom, *values = said.split() or [""]
        if atom:
            asked = tuple(word.removeprefix("required by ") for word in comment if word.startswith("required by "))
            yield number, Entry(atom=atom, kind=kind, value=" ".join(values), required_by=asked, since=today)
            comment = []
        elif behind:
            comment.append(behind.strip())
