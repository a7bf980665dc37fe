"""Save what was done in a work tree as patches of its set, which give the same tree again when Portage applies them."""

import os
import re
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from email.utils import formatdate
from pathlib import Path

from gentoomuch_portage import fs
from gentoomuch_portage.errors import GmError, RunError
from gentoomuch_portage.git import IDENTITY, git, ignored, written
from gentoomuch_portage.patches import parse, roundtrip
from gentoomuch_portage.patches.digest import Package
from gentoomuch_portage.patches.parse import Header
from gentoomuch_portage.patches.worktree import BadWorkTree, Bench, settled
from gentoomuch_portage.portage_adapter import user_patches

_DIFF = (
    "diff", "--no-color", "--no-ext-diff", "--no-textconv", "--full-index", "-M", "--src-prefix=a/", "--dst-prefix=b/",
)  # fmt: skip


class Uncommitted(RunError):
    """A series is made of commits, and something is not committed."""

    code = "uncommitted"

    def __init__(self, tree: Path, names: Iterable[str]) -> None:
        told = ", ".join(names)
        super().__init__(f"not committed in {tree}: {told}", remedy="git commit it there, or leave out --series")


@dataclass(frozen=True, slots=True)
class Piece:
    """A patch that is to be written."""

    name: str
    content: bytes


def pieces(bench: Bench, *, series: bool = False, message: str = "") -> list[Piece]:
    """The patches that a work tree makes, none where nothing was changed.

    Args:
        series: one for each commit; otherwise one for all, committed or not.
        message: subject of the one.

    Raises:
        BadWorkTree: a rebase is not ended.
        Uncommitted: of a series.
        UnsayablePatch: patch(1) cannot do what was done.
    """
    settled(bench)
    tree = written(bench.tree)
    roundtrip.refuse_binaries(bench, tree)
    made = _series(bench, tree) if series else _one(bench, tree, message)
    roundtrip.refuse_others(bench, tree, [one.content for one in made])
    return made


def _one(bench: Bench, tree: str, message: str) -> list[Piece]:
    diff = _between(bench, bench.base, tree)
    if not diff:
        return []
    commits = _commits(bench)
    clean = git(bench.tree, "rev-parse", "HEAD^{tree}").out.strip() == tree
    said = _said(bench, commits[-1]) if commits else _yours(bench)
    if len(commits) != 1:
        subjects = [_said(bench, one).subject for one in commits]
        body = "\n".join(f"* {one}" for one in subjects)
        said = replace(said, subject=f"{bench.cpv.partition('/')[2]}: changes of set {bench.set}", body=body)
    if not clean:
        said = replace(said, date=formatdate(time.time(), localtime=True))
    said = replace(said, subject=message or said.subject)
    return [Piece(_name(bench), said.text.encode() + diff)]


def _series(bench: Bench, tree: str) -> list[Piece]:
    if git(bench.tree, "rev-parse", "HEAD^{tree}").out.strip() != tree:
        raise Uncommitted(bench.tree, git(bench.tree, "diff", "--name-only", "HEAD", tree).out.split("\n")[:-1])
    if git(bench.tree, "rev-list", "--min-parents=2", f"{bench.base}..HEAD").out:
        raise BadWorkTree(f"there is a merge in {bench.tree}", remedy=f"git rebase {bench.base[:12]}, there")
    found: list[Piece] = []
    for one in _commits(bench):
        if diff := _between(bench, f"{one}^", one):
            said = _said(bench, one)
            slug = re.sub(r"[^A-Za-z0-9._]+", "-", said.subject).strip("-.")[:52] or "change"
            found.append(Piece(f"{len(found) + 1:04}-{slug}.patch", said.text.encode() + diff))
    return found


def _between(bench: Bench, old: str, new: str) -> bytes:
    """The difference of two trees, as bytes."""
    out = bench.tree / ".git/gentoomuch-diff"
    git(bench.tree, *_DIFF, f"--output={out}", old, new)
    content = out.read_bytes()
    out.unlink()
    return roundtrip.quoted(content)


def _commits(bench: Bench) -> list[str]:
    return git(bench.tree, "rev-list", "--reverse", f"{bench.base}..HEAD").out.split()


def _said(bench: Bench, commit: str) -> Header:
    told = git(bench.tree, "log", "-1", "--no-show-signature", "--format=%an%n%ae%n%aD%n%s%n%b", commit).out
    name, address, date, subject, body = told.split("\n", 4)
    return Header(name=name, address=address, date=date, subject=subject, body=body, made_for=bench.made_for)


def _yours(bench: Bench) -> Header:
    """The head of what nobody has committed."""
    found = [git(bench.tree, "config", key, accept=(0, 1)).out.strip() for key in ("user.name", "user.email")]
    name, address = (one or plain for one, plain in zip(found, IDENTITY, strict=True))
    return Header(name=name, address=address, date="", subject="", body="", made_for=bench.made_for)


def _name(bench: Bench) -> str:
    """The name of the one patch: that of the one that was there, or the package's."""
    here = [one for one in bench.taken if one.startswith(f"{bench.category}/{bench.target}/")]
    [taken] = here if len(here) == 1 else bench.taken if len(bench.taken) == 1 else [f"{_package(bench).name}.patch"]
    return taken.rpartition("/")[2]


def store(bench: Bench, made: list[Piece], folder: Path) -> tuple[Bench, list[Path]]:
    """Write the patches of a work tree into a set, in the place of those that it began with.

    One of another folder, which other versions have as well, stays, and is negated by an empty file.

    Args:
        folder: of the set.

    Returns:
        The work tree, which now stands for what was written; and what was written or removed.
    """
    target = folder / bench.category / bench.target
    changed = [path for one in made if _put(path := target / one.name, one.content)]
    taken = [f"{bench.category}/{bench.target}/{one.name}" for one in made]
    for one in bench.taken:
        name = one.rpartition("/")[2]
        if name in {piece.name for piece in made}:
            continue
        old = folder / one
        if old.parent == target:
            old.unlink(missing_ok=True)
            changed.append(old)
        elif old.is_file() and _put(target / name, b""):
            changed.append(target / name)
    if target.is_dir() and not any(target.iterdir()):
        target.rmdir()
    return replace(bench, taken=tuple(taken)), changed


def is_saved(bench: Bench, folder: Path) -> bool:
    """Whether a set has all that a work tree says, as one patch or as a series.

    Args:
        folder: of the set.
    """
    if ignored(bench.tree):
        return False
    target = folder / bench.category / bench.target
    return any(_stored(bench, target, series=series) for series in (False, True))


def _stored(bench: Bench, target: Path, *, series: bool) -> bool:
    try:
        made = pieces(bench, series=series)
    except GmError:  # it cannot be said as patches, or not as they stand
        return False
    places = [(target / one.name, one.content) for one in made]
    return all(
        path.is_file() and parse.diff_of(path.read_bytes()) == parse.diff_of(content) for path, content in places
    )


def _put(path: Path, content: bytes) -> bool:
    """Write a patch unless it says the same already; who keeps the configuration keeps the patch."""
    if path.is_file() and not path.is_symlink() and _same(path.read_bytes(), content):
        return False
    missing = [above for above in (path.parent, *path.parents) if not above.exists()]
    fs.write(path, content)
    if os.geteuid() == 0:
        keeper = next(above for above in path.parents if above not in missing).stat()
        for one in (path, *dict.fromkeys(missing)):
            os.chown(one, keeper.st_uid, keeper.st_gid)
    return True


def _same(before: bytes, now: bytes) -> bool:
    """Whether two patches differ by no more than their date: another would be another digest, and a new build."""
    if before == now:
        return True
    old, new = parse.read(before, ""), parse.read(now, "")
    return (
        parse.diff_of(before) == parse.diff_of(now)
        and bool(before) == bool(now)
        and replace(old, date="") == replace(new, date="")
    )


def _package(bench: Bench) -> Package:
    category, name, version, revision = user_patches.parted(bench.cpv)
    return Package(category=category, name=name, version=version, revision=revision, slot=bench.slot)


def emptied(folder: Path) -> None:
    """Make a folder, empty."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
