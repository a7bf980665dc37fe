# SPDX-License-Identifier: GPL-2.0-or-later
"""Save the changes of a work tree as patches of its set, and verify that they reproduce the tree."""

import os
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from email.utils import formatdate
from pathlib import Path

from gentoomuch_portage import fs
from gentoomuch_portage.errors import GmError, RunError
from gentoomuch_portage.git import IDENTITY, list_ignored, run_git, write_tree
from gentoomuch_portage.patches import parse, roundtrip
from gentoomuch_portage.patches.parse import Header
from gentoomuch_portage.patches.worktree import PatchTree, check_settled
from gentoomuch_portage.portage_adapter import atoms
from gentoomuch_portage.portage_adapter.patch_digest import Package

_DIFF = (
    "diff", "--no-color", "--no-ext-diff", "--no-textconv", "--full-index", "-M", "--src-prefix=a/", "--dst-prefix=b/",
)  # fmt: skip


def uncommitted(tree: Path, names: Iterable[str]) -> RunError:
    """``patch save --series`` needs commits, and the work tree has uncommitted changes."""
    what = f"uncommitted changes in {tree}: {', '.join(names)}"
    return RunError(what, code="uncommitted", hint="git commit, or omit --series")


@dataclass(frozen=True, slots=True)
class Piece:
    """A patch to write."""

    name: str
    content: bytes


def make_patches(bench: PatchTree, *, series: bool = False, message: str = "") -> list[Piece]:
    """Return the patches of a work tree; none without changes.

    Args:
        series: one for each commit; default: one for all changes, committed or not.
        message: subject of a single patch.

    Raises:
        RunError[bad-work-tree]: a rebase is in progress.
        RunError[uncommitted]: a series has uncommitted changes.
        RunError[unsayable-patch]: patch(1) cannot make these changes.
    """
    check_settled(bench)
    tree = write_tree(bench.tree)
    roundtrip.check_binaries(bench, tree)
    made = _make_series(bench, tree) if series else _make_single(bench, tree, message)
    roundtrip.check_result(bench, tree, [patch.content for patch in made])
    return made


def _make_single(bench: PatchTree, tree: str, message: str) -> list[Piece]:
    diff = _between(bench, bench.base, tree)
    if not diff:
        return []
    commits = _commits(bench)
    clean = run_git(bench.tree, "rev-parse", "HEAD^{tree}").out.strip() == tree
    header = _read_header(bench, commits[-1]) if commits else _new_header(bench)
    if len(commits) != 1:
        subjects = [_read_header(bench, commit).subject for commit in commits]
        body = "\n".join(f"* {subject}" for subject in subjects)
        header = replace(header, subject=f"{bench.cpv.partition('/')[2]}: changes of set {bench.set}", body=body)
    if not clean:
        header = replace(header, date=formatdate(time.time(), localtime=True))
    header = replace(header, subject=message or header.subject)
    return [Piece(_name(bench), header.text.encode() + diff)]


def _make_series(bench: PatchTree, tree: str) -> list[Piece]:
    if run_git(bench.tree, "rev-parse", "HEAD^{tree}").out.strip() != tree:
        raise uncommitted(bench.tree, run_git(bench.tree, "diff", "--name-only", "HEAD", tree).out.split("\n")[:-1])
    if run_git(bench.tree, "rev-list", "--min-parents=2", f"{bench.base}..HEAD").out:
        raise RunError(
            f"{bench.tree} has a merge commit",
            code="bad-work-tree",
            hint=f"git -C {bench.tree} rebase {bench.base[:12]}",
        )
    patches: list[Piece] = []
    for commit in _commits(bench):
        if diff := _between(bench, f"{commit}^", commit):
            header = _read_header(bench, commit)
            slug = re.sub(r"[^A-Za-z0-9._]+", "-", header.subject).strip("-.")[:52] or "change"
            patches.append(Piece(f"{len(patches) + 1:04}-{slug}.patch", header.text.encode() + diff))
    return patches


def _between(bench: PatchTree, old: str, new: str) -> bytes:
    """Return the difference of two trees."""
    out = bench.tree / ".git/gentoomuch-diff"
    run_git(bench.tree, *_DIFF, f"--output={out}", old, new)
    content = out.read_bytes()
    out.unlink()
    return roundtrip.quote_names(content)


def _commits(bench: PatchTree) -> list[str]:
    return run_git(bench.tree, "rev-list", "--reverse", f"{bench.base}..HEAD").out.split()


def _read_header(bench: PatchTree, commit: str) -> Header:
    text = run_git(bench.tree, "log", "-1", "--no-show-signature", "--format=%an%n%ae%n%aD%n%s%n%b", commit).out
    name, address, date, subject, body = text.split("\n", 4)
    return Header(name=name, address=address, date=date, subject=subject, body=body, made_for=bench.made_for)


def _new_header(bench: PatchTree) -> Header:
    """Return the header for uncommitted changes."""
    identity = [run_git(bench.tree, "config", key, accept=(0, 1)).out.strip() for key in ("user.name", "user.email")]
    name, address = (value or plain for value, plain in zip(identity, IDENTITY, strict=True))
    return Header(name=name, address=address, date="", subject="", body="", made_for=bench.made_for)


def _name(bench: PatchTree) -> str:
    """Return the name of a single patch: that of the previous one, or of the package."""
    here = [path for path in bench.patches if path.startswith(f"{bench.category}/{bench.target}/")]
    [previous] = (
        here if len(here) == 1 else bench.patches if len(bench.patches) == 1 else [f"{_package(bench).name}.patch"]
    )
    return previous.rpartition("/")[2]


def store(bench: PatchTree, made: list[Piece], folder: Path) -> tuple[PatchTree, list[Path]]:
    """Write the patches of a work tree into a set, and remove those that it started with.

    A patch in the directory of other versions is kept, and disabled by an empty file.

    Args:
        folder: of the set.

    Returns:
        The work tree with its new patches; and the files that were written or removed.
    """
    target = folder / bench.category / bench.target
    changed = [path for patch in made if _write_patch(path := target / patch.name, patch.content)]
    patches = [f"{bench.category}/{bench.target}/{patch.name}" for patch in made]
    for path_in_set in bench.patches:
        name = path_in_set.rpartition("/")[2]
        if name in {piece.name for piece in made}:
            continue
        old = folder / path_in_set
        if old.parent == target:
            old.unlink(missing_ok=True)
            changed.append(old)
        elif old.is_file() and _write_patch(target / name, b""):
            changed.append(target / name)
    if target.is_dir() and not any(target.iterdir()):
        target.rmdir()
    return replace(bench, patches=tuple(patches)), changed


def is_saved(bench: PatchTree, folder: Path) -> bool:
    """Whether a set has all changes of a work tree, as one patch or as a series.

    Args:
        folder: of the set.
    """
    if list_ignored(bench.tree):
        return False
    target = folder / bench.category / bench.target
    return any(_is_stored(bench, target, series=series) for series in (False, True))


def _is_stored(bench: PatchTree, target: Path, *, series: bool) -> bool:
    try:
        made = make_patches(bench, series=series)
    except GmError:  # patches cannot represent its current state
        return False
    places = [(target / patch.name, patch.content) for patch in made]
    return all(
        path.is_file() and parse.diff_of(path.read_bytes()) == parse.diff_of(content) for path, content in places
    )


def _write_patch(path: Path, content: bytes) -> bool:
    """Write a patch unless it is equal already, with the owner of its directory."""
    if path.is_file() and not path.is_symlink() and _same(path.read_bytes(), content):
        return False
    missing = [above for above in (path.parent, *path.parents) if not above.exists()]
    fs.write(path, content)
    if os.geteuid() == 0:
        owner = next(above for above in path.parents if above not in missing).stat()
        for created in (path, *dict.fromkeys(missing)):
            os.chown(created, owner.st_uid, owner.st_gid)
    return True


def _same(before: bytes, now: bytes) -> bool:
    """Whether two patches differ only in their date, which must not cause a new build."""
    if before == now:
        return True
    old, new = parse.parse_header(before, ""), parse.parse_header(now, "")
    return (
        parse.diff_of(before) == parse.diff_of(now)
        and bool(before) == bool(now)
        and replace(old, date="") == replace(new, date="")
    )


def _package(bench: PatchTree) -> Package:
    category, name, version, revision = atoms.parted(bench.cpv)
    return Package(category=category, name=name, version=version, revision=revision, slot=bench.slot)


def make_empty(folder: Path) -> None:
    """Create an empty directory of the cache.

    Raises:
        NoPrivilege, MachineError[disk-full], ReadOnly: it cannot be created.
    """
    fs.remove(folder)
    fs.ensure(folder)
