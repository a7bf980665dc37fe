# SPDX-License-Identifier: GPL-2.0-or-later
"""Apply patches to copies of the files that they change, without building."""

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
"""Portage's options of patch(1). Source: __eapply_patch in phase-helpers.sh."""
_LEVELS = (0, 2, 3, 4)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of applying a patch."""

    name: str
    kind: str
    """Empty for success; ``fuzz``, ``upstream``, ``conflict``, ``level``, ``endings`` or ``stale``."""
    text: str = ""
    line: int = 0
    """Of the patch, where the problem begins."""


def try_patches(patches: Mapping[str, Path], tree: Path) -> Iterator[Outcome]:
    """Apply each patch after the previous ones, without those that failed.

    Args:
        patches: in the order in which Portage applies them.
        tree: the sources; not changed.

    Raises:
        MissingProgram: patch is not on PATH.
    """
    with tempfile.TemporaryDirectory(prefix="gm-patches-") as above:
        plain = Path(above) / "plain"
        copy_touched(tree, patches.values(), plain)
        state = plain
        for number, (name, file) in enumerate(patches.items()):
            outcome, patched = _try_patch(name, file, plain, state, Path(above) / str(number))
            yield outcome
            state = patched or state


def copy_touched(tree: Path, patches: Iterable[Path], into: Path) -> None:
    """Copy the files of a tree that patches name, with any number of leading directories."""
    into.mkdir()
    inside = Path(os.path.realpath(tree))
    for file in patches:
        for changed in parse.find_touched(file.read_bytes()):
            for name in {name for level in range(6) for name in changed.strip_names(level)}:
                source = tree / name
                if ".." in Path(name).parts or not Path(os.path.realpath(source.parent)).is_relative_to(inside):
                    continue
                if source.is_symlink() or source.is_file():
                    target = into / name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    if not target.is_symlink() and not target.exists():
                        shutil.copy2(source, target, follow_symlinks=False)


def _try_patch(name: str, file: Path, plain: Path, state: Path, aside: Path) -> tuple[Outcome, Path | None]:
    """Return the outcome of one patch, and the tree after it."""
    failed, patched = _apply(file, state, aside, "--fuzz=0")
    if patched:
        return Outcome(name, ""), patched
    fuzzy, patched = _apply(file, state, aside)
    if patched:
        return Outcome(
            name, "fuzz", f"applies only with fuzz: {summarise(fuzzy.out, 'fuzz')}", _line(file, fuzzy.out)
        ), patched
    if _apply(file, plain, aside, "--fuzz=0", "-R")[1]:
        return Outcome(name, "upstream", "is already in the sources"), None
    for level in _LEVELS:
        if _apply(file, state, aside, "--fuzz=0", f"-p{level}")[1]:
            return Outcome(name, "level", f"applies only with -p{level}; Portage uses -p1", 1), None
    if state != plain and _apply(file, plain, aside, "--fuzz=0")[1]:
        return Outcome(
            name,
            "conflict",
            f"applies alone, but not after previous patches: {summarise(failed.out)}",
            _line(file, failed.out),
        ), None
    if "different line endings" in failed.out:
        lines = f"its line endings (LF, CR LF) differ from those of the sources: {summarise(failed.out)}"
        return Outcome(name, "endings", lines, _line(file, failed.out)), None
    return Outcome(name, "stale", f"does not apply: {summarise(failed.out)}", _line(file, failed.out)), None


def _apply(file: Path, folder: Path, aside: Path, *options: str) -> tuple[Ran, Path | None]:
    """Apply a patch to a copy; return the copy, or None on failure."""
    shutil.rmtree(aside, ignore_errors=True)
    shutil.copytree(folder, aside, symlinks=True)
    words = ["patch", *OPTIONS, *options, "-i", str(file)]
    ran = run(words, cwd=aside, keep=True, accept=(), env={**os.environ, "LC_ALL": "C"}, atom="sys-devel/patch")
    return ran, aside if ran.status == 0 else None


def summarise(message: str, about: str = "") -> str:
    """Return patch(1)'s message about the first problem."""
    file = ""
    for line in message.splitlines():
        if match := re.match(r"(?:patching|checking) file (.*)", line):
            file = match[1]
        elif about in line and re.search(
            r"FAILED|fuzz|can't find|malformed|garbage|dangerous|[Rr]eversed|\*\*\*\*", line
        ):
            text = line.removeprefix("patch: ").strip("* ").rstrip(".")
            return f"{file}: {text}" if file else text
    return " ".join(message.split())[-200:]


def _line(patch: Path, message: str) -> int:
    """Return the line of the first hunk that patch(1) reports."""
    if match := re.search(r"input line (\d+)|malformed patch at line (\d+)|garbage .* at line (\d+)", message):
        return int(next(filter(None, match.groups())))
    file, counted = "", parse.find_touched(patch.read_bytes())
    for line in message.splitlines():
        if match := re.match(r"(?:patching|checking) file '?(.*?)'?$", line):
            file = match[1].partition(" (")[0]
        elif match := re.match(r"Hunk #(\d+) (?:FAILED|succeeded .* fuzz)", line):
            for changed in counted:
                if file in changed.strip_names(1) and len(changed.hunks) >= int(match[1]):
                    return changed.hunks[int(match[1]) - 1]
    return counted[0].line if counted else 1
