"""Which state a repository is in, and what differs from the one that was frozen."""

import subprocess
from pathlib import Path

import pytest

from gentoomuch_portage import process
from gentoomuch_portage.freeze.repo_revisions import differences, revision


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
    if process.where("git") is None:
        pytest.skip("there is no git")
    folder = repository(tmp_path / "kept")
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "x")
    return folder


def test_a_repository_in_git_is_at_its_commit(kept):
    assert revision(kept) == {"commit": git(kept, "rev-parse", "HEAD")}


def test_what_is_not_committed_is_another_revision_and_a_cache_is_none(kept):
    repository(kept, **{"metadata_md5-cache": "made"})
    clean = revision(kept)
    repository(kept, a_new="1\n")
    first = revision(kept)
    repository(kept, a_new="2\n")

    assert "changed" not in clean
    assert clean["commit"] == first["commit"]
    assert first["changed"] != revision(kept)["changed"]


def test_equal_files_are_one_revision_wherever_they_lie(tmp_path):
    one, other = repository(tmp_path / "a", a_b="x"), repository(tmp_path / "c/d", a_b="x", local_y="mine")

    assert revision(one) == revision(other)
    assert revision(one) != revision(repository(other, a_b="y"))


def test_a_signed_tree_is_told_by_its_timestamp_and_its_top_manifest(tmp_path):
    tree = repository(tmp_path / "a", metadata_timestamp="Sat, 21 Nov 2026\n", a_b="x")
    (tree / "Manifest").write_text("MANIFEST a/Manifest 1 BLAKE2B 00\n")
    before = revision(tree)

    assert before["timestamp"] == "Sat, 21 Nov 2026"
    assert revision(repository(tree, a_b="y")) == before
    (tree / "Manifest").write_text("MANIFEST a/Manifest 1 BLAKE2B 01\n")
    assert revision(tree) != before


def test_each_repository_that_differs_is_named(tmp_path):
    here = repository(tmp_path / "a")

    told = differences({"gone": {"commit": "abc"}, "a": {"digest": "0" * 64}}, {"a": here})

    assert [line.partition(":")[0] for line in told] == ["a", "gone"]
    assert told[1] == "gone: it is not here; it was at commit abc"
