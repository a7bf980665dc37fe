# SPDX-License-Identifier: GPL-2.0-or-later
"""Reject changes that patch(1) cannot do: apply the patches, and compare the trees."""

import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from gentoomuch_portage import fs
from gentoomuch_portage.errors import RunError
from gentoomuch_portage.git import run_git
from gentoomuch_portage.patches.dry_run import OPTIONS, summarise
from gentoomuch_portage.patches.worktree import PatchTree
from gentoomuch_portage.process import run, tree_owner

_SAME = re.compile(rb"(?m)^diff --git a/(.* .*) b/\1$")
_MOVED = re.compile(
    rb"(?m)^diff --git a/.*((?:\n(?:old mode|new mode|similarity|dissimilarity) .*)*)"
    rb'\nrename from (?!")(.*)\nrename to (?!")(.*)$'
)


def unsayable_patch(tree: Path, names: Iterable[str], why: str) -> RunError:
    """The work tree has changes that a patch cannot contain."""
    return RunError(
        f"cannot save changes of {tree} as a patch: {', '.join(names)}: {why}",
        code="unsayable-patch",
        hint="revert them (git checkout), and make them in an ebuild",
    )


def check_binaries(bench: PatchTree, tree: str) -> None:
    """Reject changes of binary files.

    Raises:
        RunError[unsayable-patch]: with the files.
    """
    numbers = run_git(bench.tree, "diff", "--numstat", "--no-renames", "-z", bench.base, tree).out
    names = [line.split("\t", 2)[2] for line in numbers.split("\0") if line.startswith("-\t-\t")]
    if names:
        raise unsayable_patch(bench.tree, names, "patch(1) does not support binary files")


def check_result(bench: PatchTree, tree: str, patches: Iterable[bytes]) -> None:
    """Check that patches turn the sources into a tree.

    Raises:
        RunError[unsayable-patch]: with the files that differ.
    """
    again = bench.tree / ".git/gentoomuch-again"
    index = {"GIT_INDEX_FILE": str(bench.tree / ".git/gentoomuch-index")}
    shutil.rmtree(again, ignore_errors=True)
    try:
        run_git(bench.tree, "read-tree", bench.base, env=index)
        run_git(bench.tree, "checkout-index", "-a", "-f", "-q", f"--prefix={again}/", env=index)
        again.mkdir(exist_ok=True)
        for content in patches:
            _apply(bench, again, content)
        run_git(bench.tree, "read-tree", "--empty", env=index)
        run_git(bench.tree, f"--work-tree={again}", "add", "-A", "-f", ".", env=index)
        result = run_git(bench.tree, "write-tree", env=index).out.strip()
    finally:
        shutil.rmtree(again, ignore_errors=True)
        Path(index["GIT_INDEX_FILE"]).unlink(missing_ok=True)
    if result != tree:
        names = run_git(bench.tree, "diff", "--name-only", "--no-renames", result, tree).out.split("\n")[:-1]
        raise unsayable_patch(bench.tree, names, "they differ after the patch is applied")


def _apply(bench: PatchTree, folder: Path, content: bytes) -> None:
    note = bench.tree / ".git/gentoomuch.patch"
    fs.write(note, content, durable=False)
    environ = {**os.environ, "LC_ALL": "C"}
    argv = ["patch", *OPTIONS, "--fuzz=0", "-i", str(note)]
    ran = run(argv, cwd=folder, keep=True, accept=(), env=environ, atom="sys-devel/patch", user=tree_owner(bench.tree))
    note.unlink()
    if ran.status:
        raise unsayable_patch(bench.tree, ["the patch"], summarise(ran.out))


def quote_names(diff: bytes) -> bytes:
    """Quote names with spaces in ``diff --git`` lines, because patch(1) ends a name at a space."""
    moved = _MOVED.sub(rb'diff --git "a/\2" "b/\3"\1\nrename from \2\nrename to \3', diff)
    return _SAME.sub(rb'diff --git "a/\1" "b/\1"', moved)
