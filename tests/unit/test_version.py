# SPDX-License-Identifier: GPL-2.0-or-later
"""The version and its commit."""

import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from gentoomuch_portage import __version__, version

TOP = Path(__file__).parents[2]
GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main")

needs_git = pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")


def git(folder: Path, *argv: str) -> str:
    return subprocess.run([*GIT, "-C", folder, *argv], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository with the file that names the commit."""
    package = tmp_path / "gentoomuch_portage"
    package.mkdir()
    (package / "commit").write_text((TOP / "gentoomuch_portage/commit").read_text())
    (tmp_path / ".gitattributes").write_text((TOP / ".gitattributes").read_text())
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "first")
    monkeypatch.setattr(version, "_COMMIT", package / "commit")
    return tmp_path


@needs_git
@pytest.mark.parametrize("state", [(), ("pack-refs", "--all"), ("checkout", "--quiet", "--detach")])
def test_the_version_of_a_checkout_has_its_commit(checkout: Path, state: tuple[str, ...]):
    if state:
        git(checkout, *state)

    assert version.find_commit() == git(checkout, "rev-parse", "HEAD")
    assert version.describe() == f"{__version__}+{git(checkout, 'rev-parse', 'HEAD')[:10]}"


@needs_git
def test_an_archive_of_a_commit_has_its_id(checkout: Path):
    git(checkout, "archive", "--output", str(checkout / "made.tar"), "HEAD")
    with tarfile.open(checkout / "made.tar") as archive:
        member = archive.extractfile("gentoomuch_portage/commit")
        text = member.read().decode().strip() if member else ""

    assert text == git(checkout, "rev-parse", "HEAD")


def test_without_a_repository_the_version_has_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(version, "_COMMIT", tmp_path / "gentoomuch_portage/commit")

    assert version.describe() == __version__


@pytest.mark.skipif(not (TOP / "app-portage").is_dir(), reason="an sdist or a release has no overlay")
@needs_git
def test_the_manifest_equals_the_output_of_the_release_script(tmp_path: Path):
    package = TOP / "app-portage/gentoomuch-portage"
    ebuilds = [path for path in package.glob("*.ebuild") if "9999" not in path.name]
    for ebuild in ebuilds:
        (commit,) = re.findall(r"^\t# Commit: ([0-9a-f]{40})$", ebuild.read_text(), re.MULTILINE)
        if subprocess.run([*GIT, "-C", TOP, "cat-file", "-e", commit], check=False, capture_output=True).returncode:
            pytest.skip("this clone does not have the commit of the release")
        script = [TOP / "tools/release", "--tarball", commit, tmp_path]

        made = subprocess.run(script, check=True, capture_output=True, text=True).stdout

        assert made.strip() in (package / "Manifest").read_text().splitlines()


@pytest.mark.skipif(
    ".dev" not in __version__ or not (TOP / ".git").exists(), reason="no checkout of a development version"
)
@needs_git
def test_a_development_version_cannot_be_released():
    ended = subprocess.run([TOP / "tools/release"], check=False, capture_output=True, text=True)

    assert ended.returncode == 64
