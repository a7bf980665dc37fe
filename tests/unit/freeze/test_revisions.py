# SPDX-License-Identifier: GPL-2.0-or-later
"""Which state a repository is in, and what differs from the one that was frozen."""

import subprocess
from pathlib import Path

import pytest

from gentoomuch_portage import process
from gentoomuch_portage.freeze.repo_revisions import find_differences, read_revision


def repository(folder: Path, **files: str) -> Path:
    for name, text in {"profiles_repo_name": "x\n", **files}.items():
        path = folder / name.replace("_", "/", 1)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    return subprocess.check_output(["git", "-C", str(folder), *who, *words], text=True).strip()


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A repository in git."""
    if process.find_program("git") is None:
        pytest.skip("there is no git")
    folder = repository(tmp_path / "kept")
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "x")
    return folder


def test_a_repository_in_git_is_at_its_commit(kept):
    assert read_revision(kept) == {"commit": git(kept, "rev-parse", "HEAD")}


def test_uncommitted_changes_change_the_revision_and_caches_do_not(kept):
    repository(kept, **{"metadata_md5-cache": "made"})
    clean = read_revision(kept)
    repository(kept, a_new="1\n")
    first = read_revision(kept)
    repository(kept, a_new="2\n")

    assert "changed" not in clean
    assert clean["commit"] == first["commit"]
    assert first["changed"] != read_revision(kept)["changed"]


def test_equal_files_are_one_revision_wherever_they_lie(tmp_path):
    one, other = repository(tmp_path / "a", a_b="x"), repository(tmp_path / "c/d", a_b="x", local_y="mine")

    assert read_revision(one) == read_revision(other)
    assert read_revision(one) != read_revision(repository(other, a_b="y"))


def test_a_signed_tree_is_identified_by_timestamp_and_top_manifest(tmp_path):
    tree = repository(tmp_path / "a", metadata_timestamp="Sat, 21 Nov 2026\n", a_b="x")
    (tree / "Manifest").write_text("MANIFEST a/Manifest 1 BLAKE2B 00\n")
    before = read_revision(tree)

    assert before["timestamp"] == "Sat, 21 Nov 2026"
    assert read_revision(repository(tree, a_b="y")) == before
    (tree / "Manifest").write_text("MANIFEST a/Manifest 1 BLAKE2B 01\n")
    assert read_revision(tree) != before


def test_each_repository_that_differs_is_named(tmp_path):
    here = repository(tmp_path / "a")

    told = find_differences({"gone": {"commit": "abc"}, "a": {"digest": "0" * 64}}, {"a": here})

    assert [line.partition(":")[0] for line in told] == ["a", "gone"]
    assert told[1] == "gone: missing here; frozen at commit abc"
