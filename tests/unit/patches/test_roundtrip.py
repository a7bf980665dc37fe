# SPDX-License-Identifier: GPL-2.0-or-later
"""What is done in a work tree, saved and applied again by patch(1), gives the same tree."""

import os
import subprocess
import tempfile
from pathlib import Path

import pytest
from helpers.errors import raises
from helpers.trees import File, read, write
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gentoomuch_portage.git import init_repository, list_ignored, run_git
from gentoomuch_portage.patches import save
from gentoomuch_portage.patches.worktree import PatchTree

NAMES = ("a.c", "src/b.c", "src/deep/c d.txt", "e f/g h.c", "src/ä.txt", ".gitignore", ".gitattributes", "x.sh", "-odd")
LINES = (
    b"one",
    b"two\r",
    b"",
    b"-- three",
    b"++ four",
    b"\xff\xe4 not UTF-8",
    b"@@ -1 +1 @@",
    b"diff --git a/x b/x",
    b"five ",
)

texts = st.tuples(st.lists(st.sampled_from(LINES), max_size=12), st.booleans()).map(
    lambda one: b"\n".join(one[0]) + (b"\n" if one[1] else b"")
)
rules = st.sampled_from([b"*.c\nx.sh\n", b"* text=auto eol=crlf\n", b"*.txt -diff\n* ident\n", b""])
trees = st.dictionaries(st.sampled_from(NAMES), st.tuples(texts, st.booleans()), max_size=6)


def tree_of(files: dict[str, File]) -> dict[str, File]:
    """The same, with rules that mean something in git's own files."""
    return {
        name: (b"* text=auto eol=crlf ident\n*.txt -diff\n" if name == ".gitattributes" else content, run)
        for name, (content, run) in files.items()
        if name != ".gitignore"
    } | ({".gitignore": (b"*.c\nx.sh\n", False)} if ".gitignore" in files else {})


def bench(folder: Path) -> PatchTree:
    base = run_git(folder, "rev-parse", "HEAD").out.strip()
    return PatchTree(
        tree=folder, set="s", cpv="c/p-1", slot="0", repository="r", target="p", base=base, inside=".", patches=()
    )  # fmt: skip


def applied(before: dict[str, File], patches: list[bytes], above: Path) -> dict[str, File]:
    """What Portage makes of sources: patch(1), called as it calls it."""
    folder = above / "again"
    write(folder, before)
    for content in patches:
        (above / "patch").write_bytes(content)
        words = ["patch", "-p1", "-f", "-g0", "--no-backup-if-mismatch"]
        with (above / "patch").open("rb") as given_in:
            subprocess.run(words, cwd=folder, stdin=given_in, check=True, capture_output=True)
    return read(folder)


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(before=trees, after=trees)
@example(before={"a b": (b"", True)}, after={"a b": (b"", False)})
@example(before={"a.c": (b"", False)}, after={"src/deep/c d.txt": (b"", False)})
@example(before={"a b": (b"1\n2\n3\n4\n5\n", False)}, after={"c": (b"1\n2\n3\n4\n5\n", True)})
@example(before={}, after={"new and empty": (b"", True)})
@example(before={"e f": (b"1\n2\n3\n4\n5\n", False)}, after={"g h": (b"1\n2\n3\n4\n6\n", True)})
def test_one_patch_gives_the_same_tree(before: dict[str, File], after: dict[str, File]):
    before, after = tree_of(before), tree_of(after)
    with tempfile.TemporaryDirectory() as name:
        tree = Path(name) / "tree"
        write(tree, before)
        init_repository(tree, "base")
        made = bench(tree)
        write(tree, after)
        run_git(tree, "add", "-A", "-f", ".")

        saved = [one.content for one in save.make_patches(made)]

        assert applied(before, saved, Path(name)) == after


@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow])
@given(before=trees, steps=st.lists(trees, min_size=1, max_size=3))
def test_a_series_gives_the_same_tree(before: dict[str, File], steps: list[dict[str, File]]):
    with tempfile.TemporaryDirectory() as name:
        tree = Path(name) / "tree"
        write(tree, tree_of(before))
        init_repository(tree, "base")
        made = bench(tree)
        for step in steps:
            write(tree, tree_of(step))
            run_git(tree, "add", "-A", "-f", ".")
            run_git(
                tree, "commit", "-q", "--allow-empty", "-m", "a step\n\ndiff --git a/a.c b/a.c\n--- a.c\n+++ b.c\n1d0"
            )

        saved = [one.content for one in save.make_patches(made, series=True)]

        assert applied(tree_of(before), saved, Path(name)) == tree_of(steps[-1])


@pytest.fixture
def made(tmp_path: Path) -> PatchTree:
    """A work tree with one file, ``a.c``."""
    write(tmp_path / "tree", {"a.c": (b"one\ntwo\n", False), "data": (b"\0\1", False)})
    init_repository(tmp_path / "tree", "base")
    return bench(tmp_path / "tree")


def test_a_changed_binary_file_is_rejected_by_name(made: PatchTree):
    (made.tree / "data").write_bytes(b"\0\2")
    (made.tree / "logo.png").write_bytes(b"\x89PNG\0")

    with raises("unsayable-patch", match=r"data, logo.png: patch\(1\) does not support binary files"):
        save.make_patches(made)


def test_a_link_is_saved_as_a_link(made: PatchTree, tmp_path: Path):
    (made.tree / "link").symlink_to("a.c")

    [piece] = save.make_patches(made)

    applied({"a.c": (b"one\ntwo\n", False)}, [piece.content], tmp_path)
    assert (tmp_path / "again/link").readlink() == Path("a.c")


@pytest.mark.parametrize(("before", "after"), [("x/y", "x"), ("x", "x/y")])
def test_a_directory_that_replaces_a_file_is_rejected(tmp_path: Path, before: str, after: str):
    write(tmp_path / "tree", {before: (b"one\n", False)})
    init_repository(tmp_path / "tree", "base")
    write(tmp_path / "tree", {after: (b"one\n", False)})

    with raises("unsayable-patch"):
        save.make_patches(bench(tmp_path / "tree"))


def test_without_changes_no_patch_is_written(made: PatchTree):
    assert save.make_patches(made) == []


def test_a_series_needs_everything_committed(made: PatchTree):
    (made.tree / "a.c").write_bytes(b"three\n")

    with raises("uncommitted", match=r"a\.c"):
        save.make_patches(made, series=True)


def test_the_head_is_that_of_the_commit(made: PatchTree):
    (made.tree / "a.c").write_bytes(b"three\n")
    who = {"GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.org", "GIT_AUTHOR_DATE": "2026-01-02T03:04:05Z"}
    run_git(made.tree, "commit", "-qam", "Say three\n\nTwo was wrong.", env=who)

    [piece] = save.make_patches(made)

    assert piece.name == "p.patch"
    assert piece.content.decode().startswith(
        f"From {'0' * 40} Mon Sep 17 00:00:00 2001\nFrom: Ada <ada@example.org>\nDate: Fri, 2 Jan 2026 03:04:05 +0000\n"
        "Subject: [PATCH] Say three\n\nTwo was wrong.\n\nMade for: c/p-1::r\n---\ndiff --git a/a.c b/a.c\n"
    )


def test_saving_again_writes_nothing(made: PatchTree, tmp_path: Path):
    (made.tree / "a.c").write_bytes(b"three\n")
    first, _ = save.store(made, save.make_patches(made), tmp_path / "set")
    before = (tmp_path / "set/c/p/p.patch").read_bytes()

    _, changed = save.store(first, save.make_patches(first), tmp_path / "set")

    assert changed == []
    assert (tmp_path / "set/c/p/p.patch").read_bytes() == before


def test_the_git_index_of_the_user_is_not_changed(made: PatchTree):
    (made.tree / "a.c").write_bytes(b"three\n")
    before = os.stat(made.tree / ".git/index").st_mtime_ns

    save.make_patches(made)

    assert os.stat(made.tree / ".git/index").st_mtime_ns == before
    assert run_git(made.tree, "diff", "--name-only", "--cached").out == ""


def test_ignored_new_files_are_reported_unless_they_are_added(made: PatchTree):
    (made.tree / ".gitignore").write_text("*.o\n")
    (made.tree / "a.o").write_text("built\n")
    (made.tree / "b.o").write_text("wanted\n")
    run_git(made.tree, "add", "-f", "b.o")

    [piece] = save.make_patches(made)

    assert list_ignored(made.tree) == ["a.o"]
    assert b"b.o" in piece.content
    assert b"a.o" not in piece.content
