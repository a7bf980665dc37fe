# SPDX-License-Identifier: GPL-2.0-or-later
"""The copy of a work tree: what is in it, and its digest."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from helpers.errors import raises

from gentoomuch_portage import fs
from gentoomuch_portage.dotgentoo import worktree
from gentoomuch_portage.dotgentoo.worktree import Tree, compute_digest, copy_tree
from gentoomuch_portage.git_reader import BadTree


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A work tree in git with a file, a program and a link, all committed, and a file that is ignored."""
    top = tmp_path / "project"
    (top / "src").mkdir(parents=True)
    (top / "src/a.c").write_text("a\n")
    (top / "run").write_text("#!/bin/sh\n")
    (top / "run").chmod(0o750)
    (top / "link").symlink_to("/etc/passwd")
    (top / ".gitignore").write_text("*.o\n")
    (top / "a.o").write_text("")
    git(top, "init", "-q")
    git(top, "add", "-A")
    git(top, "commit", "-q", "-m", "one")
    return top


def git(top: Path, *words: str) -> None:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "protocol.file.allow=always"]
    subprocess.run(["git", "-C", top, *who, *words], check=True, capture_output=True)


def names(tree: Tree) -> list[str]:
    found = (path for path in tree.path.rglob("*") if path.is_symlink() or path.is_file())
    return sorted(str(path.relative_to(tree.path)) for path in found)


def test_the_copy_has_committed_and_uncommitted_files(project: Path, tmp_path: Path):
    (project / "new").write_text("")
    (project / "src/a.c").write_text("changed\n")

    tree = copy_tree(project, tmp_path / "cache")

    assert names(tree) == [".gitignore", "link", "new", "run", "src/a.c"]
    assert (tree.path / "src/a.c").read_text() == "changed\n"


def test_the_copy_has_no_deleted_files(project: Path, tmp_path: Path):
    (project / "src/a.c").unlink()

    assert "src/a.c" not in names(copy_tree(project, tmp_path / "cache"))


def test_a_link_is_copied_as_one_and_not_followed(project: Path, tmp_path: Path):
    tree = copy_tree(project, tmp_path / "cache")

    assert os.readlink(tree.path / "link") == "/etc/passwd"
    assert [oct((tree.path / name).stat().st_mode & 0o777) for name in ("run", "src/a.c")] == ["0o755", "0o644"]


def test_nothing_is_written_through_a_directory_that_became_a_link(project: Path, tmp_path: Path):
    (project / "src").rename(tmp_path / "shared")
    (project / "src").symlink_to(tmp_path / "shared")
    (tmp_path / "shared/a.c").write_text("theirs\n")

    tree = copy_tree(project, tmp_path / "cache")

    assert names(tree) == [".gitignore", "link", "run", "src"]
    assert (tmp_path / "shared/a.c").read_text() == "theirs\n"


def test_a_directory_that_becomes_a_link_during_the_copy_is_rejected(project: Path, tmp_path: Path, monkeypatch):
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/a.c").write_text("theirs\n")
    (project / "src").rename(tmp_path / "gone")
    (project / "src").symlink_to(tmp_path / "secret")
    monkeypatch.setattr(worktree, "list_files", lambda _project: iter(["src/a.c"]))

    with pytest.raises(BadTree, match="src: not a directory"):
        copy_tree(project, tmp_path / "cache")


def test_a_name_in_the_git_index_that_leads_out_is_rejected(project: Path, tmp_path: Path):
    (tmp_path / "a.cc").write_text("theirs\n")
    (tmp_path / "cache/trees").mkdir(parents=True)
    index = project / ".git/index"
    index.write_bytes(index.read_bytes().replace(b"src/a.c", b"../a.cc"))

    with pytest.raises(BadTree, match="leads out of"):
        copy_tree(project, tmp_path / "cache")

    assert not list((tmp_path / "cache/trees").iterdir())


def test_an_unchanged_tree_is_one_copy(project: Path, tmp_path: Path):
    first, second = copy_tree(project, tmp_path / "cache"), copy_tree(project, tmp_path / "cache")

    assert first == second
    assert len(list((tmp_path / "cache/trees").iterdir())) == 1


@pytest.mark.parametrize("change", ["content", "mode", "name", "link", "new"])
def test_any_change_is_another_digest(change: str, project: Path, tmp_path: Path):
    before = copy_tree(project, tmp_path / "cache").digest
    match change:
        case "content":
            (project / "src/a.c").write_text("b\n")
        case "mode":
            (project / "run").chmod(0o640)
        case "name":
            (project / "run").rename(project / "walk")
        case "link":
            (project / "link").unlink()
            (project / "link").write_text("/etc/passwd")
        case "new":
            (project / "src/b.c").write_text("")

    assert copy_tree(project, tmp_path / "cache").digest != before


def test_a_copy_that_somebody_wrote_into_is_made_again(project: Path, tmp_path: Path):
    tree = copy_tree(project, tmp_path / "cache")
    (tree.path / "src/a.c").write_text("evil\n")

    again = copy_tree(project, tmp_path / "cache")

    assert again.digest == tree.digest == compute_digest(again.path)


def test_a_changed_copy_that_another_run_uses_is_named(project: Path, tmp_path: Path):
    tree = copy_tree(project, tmp_path / "cache")
    (tree.path / "src/a.c").write_text("evil\n")
    number = fs.lock_shared(tree.path)
    assert number is not None

    with raises("busy") as error:
        copy_tree(project, tmp_path / "cache")
    os.close(number)
    again = copy_tree(project, tmp_path / "cache")

    assert str(tree.path) in error.value.message
    assert again.digest == compute_digest(again.path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root enters every directory")
def test_a_copy_that_somebody_has_closed_is_named(project: Path, tmp_path: Path):
    tree = copy_tree(project, tmp_path / "cache")
    tree.path.chmod(0)

    with raises("no-privilege") as error:
        copy_tree(project, tmp_path / "cache")
    tree.path.chmod(0o755)

    assert str(tree.path) in error.value.message


def test_a_fifo_is_rejected_and_leaves_no_copy(project: Path, tmp_path: Path):
    git(project, "rm", "-q", "--cached", "run")
    (project / "run").unlink()
    (project / ".git/info/exclude").write_text("")
    os.mkfifo(project / "run")
    (project / ".git").rename(tmp_path / "gone")  # git itself passes over a fifo

    with pytest.raises(BadTree, match="neither a file nor a link"):
        copy_tree(project, tmp_path / "cache")

    assert list((tmp_path / "cache/trees").iterdir()) == []


def test_a_name_that_is_not_utf8_is_rejected_by_name(project: Path, tmp_path: Path):
    (project / os.fsdecode(b"\xff")).write_text("")

    with pytest.raises(BadTree, match="UTF-8"):
        copy_tree(project, tmp_path / "cache")


def test_the_copy_is_readable_for_builds_with_any_umask(project: Path, tmp_path: Path):
    before = os.umask(0o077)
    try:
        tree = copy_tree(project, tmp_path / "cache")
    finally:
        os.umask(before)

    assert [oct((tree.path / name).stat().st_mode & 0o777) for name in ("", "src", "src/a.c", "run")] == [
        "0o755",
        "0o755",
        "0o644",
        "0o755",
    ]


def test_git_runs_nothing_of_the_repository_and_writes_nothing_there(project: Path, tmp_path: Path):
    (project / ".gitattributes").write_text("* filter=evil\n")
    for name in ("filter.evil.clean", "filter.evil.process", "filter.E-v.clean", "core.fsmonitor", "diff.external"):
        git(project, "config", name, f"touch {tmp_path}/ran; cat")
    (project / "src/a.c").write_text("b\n")  # as long as before, and as old as the index
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in (project / ".git").rglob("*")}

    tree = copy_tree(project, tmp_path / "cache")

    assert tree.version.endswith("-dirty")
    assert not (tmp_path / "ran").exists()
    assert {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in (project / ".git").rglob("*")} == before


@pytest.mark.parametrize("way", ["uploadpack", "vcs", "sshCommand"])
def test_git_fetches_nothing_that_is_missing(way: str, project: Path, tmp_path: Path):
    told = f"touch {tmp_path}/ran; false"
    helper = tmp_path / "bin/git-remote-evil"
    helper.parent.mkdir()
    helper.write_text(f"#!/bin/sh\n{told}\n")
    helper.chmod(0o755)
    url = {"uploadpack": str(project), "vcs": "x", "sshCommand": "ssh://example.org/x"}[way]
    more = {"uploadpack": ("remote.origin.uploadpack", told), "vcs": ("remote.origin.vcs", "evil")}
    for key, value in (
        ("core.repositoryFormatVersion", "1"),
        ("extensions.partialClone", "origin"),
        ("remote.origin.promisor", "true"),
        ("remote.origin.url", url),
        more.get(way, ("core.sshCommand", told)),
    ):
        git(project, "config", key, value)
    [head] = (project / ".git/refs/heads").iterdir()
    head.write_text("1" * 40 + "\n")

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{helper.parent}:{os.environ['PATH']}")
        copy_tree(project, tmp_path / "cache")

    assert not (tmp_path / "ran").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_root_asks_git_as_the_owner_of_the_tree(project: Path, tmp_path: Path, monkeypatch):
    with tempfile.TemporaryDirectory(dir="/var/tmp") as place:  # others reach it, which they do not tmp_path
        theirs = shutil.copytree(project, Path(place) / "project", symlinks=True)
        said = theirs.parent / "git"
        said.write_text(f'#!/bin/sh\nid -u >>{place}/uids\nexec {shutil.which("git")} "$@"\n')
        said.chmod(0o755)
        for one in (theirs.parent, theirs, *theirs.rglob("*")):
            os.chown(one, 4321, -1, follow_symlinks=False)
        monkeypatch.setenv("PATH", f"{place}:{os.environ['PATH']}")

        tree = copy_tree(theirs, tmp_path / "cache")

        assert set((theirs.parent / "uids").read_text().split()) == {"4321"}
    assert (names(tree), bool(tree.version)) == ([".gitignore", "link", "run", "src/a.c"], True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others")
def test_a_repository_of_another_user_is_rejected(project: Path, tmp_path: Path):
    for one in (project / ".git", *(project / ".git").rglob("*")):
        os.chown(one, 4321, -1)

    with pytest.raises(BadTree, match="belongs to another user"):
        copy_tree(project, tmp_path / "cache")


def test_a_repository_that_the_environment_names_is_another(project: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path))

    assert "a.o" not in names(copy_tree(project, tmp_path / "cache"))


def test_a_nested_repository_is_copied_without_its_ignored_files(project: Path, tmp_path: Path):
    inner = project / "inner"
    inner.mkdir()
    (inner / ".gitignore").write_text("x\n")
    (inner / "x").write_text("")
    (inner / "y").write_text("")
    git(inner, "init", "-q")
    git(inner, "add", "-A")
    git(inner, "commit", "-q", "-m", "one")

    assert [name for name in names(copy_tree(project, tmp_path / "cache")) if "inner" in name] == [
        "inner/.gitignore",
        "inner/y",
    ]


def test_the_version_is_that_of_git_describe(project: Path, tmp_path: Path):
    git(project, "tag", "v2")
    clean = copy_tree(project, tmp_path / "cache").version
    (project / "run").write_text("#")

    assert (clean, copy_tree(project, tmp_path / "cache").version) == ("v2", "v2-dirty")
