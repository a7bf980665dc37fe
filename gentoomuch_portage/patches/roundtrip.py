"""What patch(1) cannot do, refused before it is saved: a patch is applied, and the trees are compared."""

import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from gentoomuch_portage.errors import RunError
from gentoomuch_portage.git import git
from gentoomuch_portage.patches.dry_run import OPTIONS, words
from gentoomuch_portage.patches.worktree import Bench
from gentoomuch_portage.process import owner, run

_SAME = re.compile(rb"(?m)^diff --git a/(.* .*) b/\1$")
_MOVED = re.compile(
    rb"(?m)^diff --git a/.*((?:\n(?:old mode|new mode|similarity|dissimilarity) .*)*)"
    rb'\nrename from (?!")(.*)\nrename to (?!")(.*)$'
)


class UnsayablePatch(RunError):
    """Something was done in a work tree that no patch can repeat."""

    code = "unsayable-patch"

    def __init__(self, tree: Path, names: Iterable[str], why: str) -> None:
        told = ", ".join(names)
        super().__init__(
            f"a patch cannot say what was done in {tree}: {told}: {why}",
            remedy="undo it there (git checkout), and do it in an ebuild",
        )


def refuse_binaries(bench: Bench, tree: str) -> None:
    """Raise where a binary file was changed.

    Raises:
        UnsayablePatch: with the files.
    """
    told = git(bench.tree, "diff", "--numstat", "--no-renames", "-z", bench.base, tree).out
    names = [one.split("\t", 2)[2] for one in told.split("\0") if one.startswith("-\t-\t")]
    if names:
        raise UnsayablePatch(bench.tree, names, "patch(1) knows no binary files")


def refuse_others(bench: Bench, tree: str, patches: Iterable[bytes]) -> None:
    """Raise where applying patches to the sources does not give a tree.

    Raises:
        UnsayablePatch: with the files that come out otherwise.
    """
    again = bench.tree / ".git/gentoomuch-again"
    index = {"GIT_INDEX_FILE": str(bench.tree / ".git/gentoomuch-index")}
    shutil.rmtree(again, ignore_errors=True)
    try:
        git(bench.tree, "read-tree", bench.base, env=index)
        git(bench.tree, "checkout-index", "-a", "-f", "-q", f"--prefix={again}/", env=index)
        again.mkdir(exist_ok=True)
        for content in patches:
            _apply(bench, again, content)
        git(bench.tree, "read-tree", "--empty", env=index)
        git(bench.tree, f"--work-tree={again}", "add", "-A", "-f", ".", env=index)
        found = git(bench.tree, "write-tree", env=index).out.strip()
    finally:
        shutil.rmtree(again, ignore_errors=True)
        Path(index["GIT_INDEX_FILE"]).unlink(missing_ok=True)
    if found != tree:
        names = git(bench.tree, "diff", "--name-only", "--no-renames", found, tree).out.split("\n")[:-1]
        raise UnsayablePatch(bench.tree, names, "they come out otherwise when the patch is applied")


def _apply(bench: Bench, folder: Path, content: bytes) -> None:
    note = bench.tree / ".git/gentoomuch.patch"
    note.write_bytes(content)
    environ = {**os.environ, "LC_ALL": "C"}
    argv = ["patch", *OPTIONS, "--fuzz=0", "-i", str(note)]
    ran = run(argv, cwd=folder, keep=True, accept=(), env=environ, atom="sys-devel/patch", user=owner(bench.tree))
    note.unlink()
    if ran.status:
        raise UnsayablePatch(bench.tree, ["the patch"], words(ran.out))


def quoted(diff: bytes) -> bytes:
    """A diff whose ``diff --git`` lines name files with spaces in quotes: patch(1) ends a name at a space."""
    moved = _MOVED.sub(rb'diff --git "a/\2" "b/\3"\1\nrename from \2\nrename to \3', diff)
    return _SAME.sub(rb'diff --git "a/\1" "b/\1"', moved)
