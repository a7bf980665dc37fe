"""Try patches on sources, in order, without building: on copies of the few files that they touch."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gentoomuch_portage.patches import parse
from gentoomuch_portage.process import Ran, run

OPTIONS = ("-p1", "-f", "-g0", "--no-backup-if-mismatch")
"""What Portage calls patch(1) with. Source: __eapply_patch in phase-helpers.sh."""
_LEVELS = (0, 2, 3, 4)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a patch fits."""

    name: str
    kind: str
    """Empty where it fits; ``fuzz``, ``upstream``, ``conflict``, ``level``, ``endings`` or ``stale``."""
    text: str = ""
    line: int = 0
    """Of the patch, where the trouble begins."""


def outcomes(patches: Mapping[str, Path], tree: Path) -> Iterator[Outcome]:
    """Each patch tried after those before it; one that does not fit is left out for the next.

    Args:
        patches: in the order in which Portage applies them.
        tree: where they are applied; not changed.

    Raises:
        MissingProgram: patch is not on PATH.
    """
    with tempfile.TemporaryDirectory(prefix="gm-patches-") as above:
        plain = Path(above) / "plain"
        copied(tree, patches.values(), plain)
        state = plain
        for number, (name, file) in enumerate(patches.items()):
            outcome, fitted = _outcome(name, file, plain, state, Path(above) / str(number))
            yield outcome
            state = fitted or state


def copied(tree: Path, patches: Iterable[Path], into: Path) -> None:
    """Copy those files of a tree that patches name, by any number of leading folders."""
    into.mkdir()
    inside = Path(os.path.realpath(tree))
    for file in patches:
        for one in parse.touched(file.read_bytes()):
            for name in {name for level in range(6) for name in one.stripped(level)}:
                source = tree / name
                if ".." in Path(name).parts or not Path(os.path.realpath(source.parent)).is_relative_to(inside):
                    continue
                if source.is_symlink() or source.is_file():
                    target = into / name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    if not target.is_symlink() and not target.exists():
                        shutil.copy2(source, target, follow_symlinks=False)


def _outcome(name: str, file: Path, plain: Path, state: Path, aside: Path) -> tuple[Outcome, Path | None]:
    """The outcome of one patch, and the tree that has it applied."""
    told, fitted = _fits(file, state, aside, "--fuzz=0")
    if fitted:
        return Outcome(name, ""), fitted
    fuzzy, fitted = _fits(file, state, aside)
    if fitted:
        return Outcome(
            name, "fuzz", f"fits with fuzz alone: {words(fuzzy.out, 'fuzz')}", _line(file, fuzzy.out)
        ), fitted
    if _fits(file, plain, aside, "--fuzz=0", "-R")[1]:
        return Outcome(name, "upstream", "is in the sources already"), None
    for level in _LEVELS:
        if _fits(file, state, aside, "--fuzz=0", f"-p{level}")[1]:
            return Outcome(name, "level", f"fits with -p{level} alone; Portage applies patches with -p1", 1), None
    if state != plain and _fits(file, plain, aside, "--fuzz=0")[1]:
        return Outcome(
            name, "conflict", f"fits alone, but not after those before it: {words(told.out)}", _line(file, told.out)
        ), None
    if "different line endings" in told.out:
        lines = f"lines of the sources end otherwise than its own (LF, CR LF): {words(told.out)}"
        return Outcome(name, "endings", lines, _line(file, told.out)), None
    return Outcome(name, "stale", f"does not apply: {words(told.out)}", _line(file, told.out)), None


def _fits(file: Path, folder: Path, aside: Path, *options: str) -> tuple[Ran, Path | None]:
    """Apply a patch to a copy; the copy where it fits."""
    shutil.rmtree(aside, ignore_errors=True)
    shutil.copytree(folder, aside, symlinks=True)
    words = ["patch", *OPTIONS, *options, "-i", str(file)]
    ran = run(words, cwd=aside, keep=True, accept=(), env={**os.environ, "LC_ALL": "C"}, atom="sys-devel/patch")
    return ran, aside if ran.status == 0 else None


def words(told: str, about: str = "") -> str:
    """What patch(1) said of the first thing that is wrong."""
    file = ""
    for line in told.splitlines():
        if found := re.match(r"(?:patching|checking) file (.*)", line):
            file = found[1]
        elif about in line and re.search(
            r"FAILED|fuzz|can't find|malformed|garbage|dangerous|[Rr]eversed|\*\*\*\*", line
        ):
            said = line.removeprefix("patch: ").strip("* ").rstrip(".")
            return f"{file}: {said}" if file else said
    return " ".join(told.split())[-200:]


def _line(patch: Path, told: str) -> int:
    """The line of the hunk that patch(1) speaks of first."""
    if found := re.search(r"input line (\d+)|malformed patch at line (\d+)|garbage .* at line (\d+)", told):
        return int(next(filter(None, found.groups())))
    file, counted = "", parse.touched(patch.read_bytes())
    for line in told.splitlines():
        if found := re.match(r"(?:patching|checking) file '?(.*?)'?$", line):
            file = found[1].partition(" (")[0]
        elif found := re.match(r"Hunk #(\d+) (?:FAILED|succeeded .* fuzz)", line):
            for one in counted:
                if file in one.stripped(1) and len(one.hunks) >= int(found[1]):
                    return one.hunks[int(found[1]) - 1]
    return counted[0].line if counted else 1
