# SPDX-License-Identifier: GPL-2.0-or-later
"""S3: git on the host runs nothing that a repository configures, wherever it can be configured.

Seen failing on dfeccc0: filters with a ``=`` in their name in copies of work trees and by ``gm-emerge -p``, as root and
for the tree of a user; filters, monitors, includes and submodules of ebuild repositories (``mounted``, ``frozen``);
filters of the user on the files of an overlay.
"""

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attacks import hostile_git
from attacks.hostile_git import WAYS, git
from conftest import Run

from gentoomuch_portage.containers import host_paths
from gentoomuch_portage.demo_host import Host
from gentoomuch_portage.dotgentoo import worktree
from gentoomuch_portage.dotgentoo.overlays import Overlay
from gentoomuch_portage.dotgentoo.repository import fetch_overlay
from gentoomuch_portage.dotgentoo.safe_read import Line
from gentoomuch_portage.freeze import repo_revisions
from gentoomuch_portage.git import init_repository
from gentoomuch_portage.git_reader import BadTree
from gentoomuch_portage.patches.save import make_patches
from gentoomuch_portage.patches.worktree import PatchTree

USER = 4321
"""A number of a user without a name."""


class Place:
    """A directory that everybody reaches, a marker that a program leaves in it, and the command that leaves it."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.marker = top / "marks"
        self.marker.mkdir()
        self.marker.chmod(0o777)
        self.command = f"touch {self.marker}/ran; cat"

    @property
    def ran(self) -> bool:
        return any(self.marker.iterdir())

    def project(self, way: str, owner: str = "root") -> Path:
        """A hostile work tree."""
        return self.hostile(hostile_git.start(self.top / "project=a.b"), way, owner)

    def hostile(self, tree: Path, way: str, owner: str) -> Path:
        """Make a work tree hostile, and forget what that ran by itself."""
        if owner == "user" and os.geteuid():
            pytest.skip("only root gives files to others")
        WAYS[way](tree, self.command)
        if owner == "user":
            for path in (tree, *tree.rglob("*")):
                os.chown(path, USER, USER, follow_symlinks=False)
        hostile_git.make_racy(tree)
        for one in self.marker.iterdir():
            one.unlink()
        return tree


@pytest.fixture
def place() -> Iterator[Place]:
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="gm-attack-") as made:
        Path(made).chmod(0o755)
        yield Place(Path(made))


READERS: dict[str, Callable[[Path, Path], object]] = {
    "copied": lambda tree, cache: worktree.copy_tree(tree, cache),
    "mounted": lambda tree, cache: host_paths.revision(tree),
    "frozen": lambda tree, cache: repo_revisions.read_revision(tree),
}
"""Who asks git about a repository that we did not make."""


@pytest.mark.parametrize("owner", ["root", "user"])
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("way", WAYS)
def test_no_program_runs_that_a_repository_configures(way: str, reader: str, owner: str, place: Place, tmp_path: Path):
    """S3: each way to configure a program, read by everybody who reads a repository on the host."""
    tree = place.project(way, owner)

    try:
        READERS[reader](tree, tmp_path / "cache")
    except BadTree:
        assert way == "missing-objects"
        assert reader == "frozen"

    assert not place.ran


@pytest.mark.parametrize(
    ("way", "command"),
    [
        ("filters", ("diff-index", "--name-only", "HEAD")), ("includes", ("diff-index", "--name-only", "HEAD")),
        ("attributes", ("diff-index", "--name-only", "HEAD")), ("elsewhere", ("diff-index", "--name-only", "HEAD")),
        ("monitors", ("status",)), ("worktree-config", ("status",)), ("submodule", ("status",)),
        ("drivers", ("diff", "HEAD")), ("all", ("status",)),
    ],
)  # fmt: skip
def test_git_itself_would_run_them(way: str, command: tuple[str, ...], place: Place):
    """The control: the repositories of this table are as hostile as they claim."""
    tree = place.project(way)

    subprocess.run(["git", "-C", tree, *command], capture_output=True, check=False)

    assert place.ran


def project_on(host: Host, place: Place) -> Path:
    tree = hostile_git.start(place.top / "project=a.b")
    ebuild = 'EAPI=8\nDESCRIPTION="x"\nSLOT="0"\nLICENSE="GPL-2+"\nKEYWORDS=""\nS="${WORKDIR}"\n'
    file = tree / ".gentoo/app-misc/greet/greet-99999.ebuild"
    file.parent.mkdir(parents=True)
    file.write_text(ebuild)
    (host.etc / "package.accept_keywords").write_text("app-misc/greet **\n")
    return tree


@pytest.mark.parametrize("allowed", ["allowed", "untrusted"])
@pytest.mark.parametrize("owner", ["root", "user"])
def test_pretend_for_a_project_runs_no_code_of_its_repository(
    owner: str, allowed: str, place: Place, host: Host, on: Run
):
    """S3: ``gm-emerge -p .``, which is done to look at something before it is trusted."""
    tree = place.hostile(project_on(host, place), "all", owner)
    identity = on("gentoomuch", "dotgentoo", "id", tree).out.strip()
    trust = [f"--gm-trust={identity}"] if allowed == "allowed" else []

    ended = on("gm-emerge", *trust, "-p", ".", cwd=tree)

    assert not place.ran
    assert ended.status == (0 if trust else 77), ended.err


def overlay_of(uri: str) -> Overlay:
    return Overlay("more", (("sync-type", "git"), ("sync-uri", uri)), Line("overlays/more.conf", 1, "[more]"))


def repository(tree: Path) -> None:
    (tree / "profiles").mkdir()
    (tree / "profiles/repo_name").write_text("more\n")
    git(tree, "add", "-A", "-f")
    git(tree, "commit", "-q", "-m", "two")


@pytest.mark.parametrize("scheme", ["path", "file"])
@pytest.mark.parametrize("way", ["filters", "monitors", "helpers", "includes", "remotes"])
def test_fetching_an_overlay_runs_nothing_that_it_configures(way: str, scheme: str, place: Place, tmp_path: Path):
    """S3: the repository is fetched from a directory whose configuration is hostile."""
    tree = hostile_git.start(place.top / "project")
    repository(tree)
    place.hostile(tree, way, "root")

    got = fetch_overlay(overlay_of(str(tree) if scheme == "path" else tree.as_uri()), tmp_path / "cache")

    assert not place.ran
    assert (got / "src/a.c").read_text() == "a\n"
    assert not (got / ".git").exists()


def test_fetching_an_overlay_runs_no_filter_of_the_user_on_its_files(place: Place, tmp_path: Path, monkeypatch):
    """S3: .gitattributes of an overlay name what a user's own ~/.gitconfig has, as git-lfs is for most."""
    tree = hostile_git.start(place.top / "project")
    repository(tree)
    (tree / ".gitattributes").write_text("* filter=lfs diff=lfs merge=lfs\n")
    git(tree, "add", "-A")
    git(tree, "commit", "-q", "-m", "three")
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(f'[filter "lfs"]\n\tsmudge = "{place.command}"\n\tprocess = "{place.command}"\n')
    monkeypatch.setenv("HOME", str(home))

    got = fetch_overlay(overlay_of(tree.as_uri()), tmp_path / "cache")

    assert not place.ran
    assert (got / "src/a.c").read_text() == "a\n"


def test_names_that_the_owner_ignores_everywhere_stay_out_of_a_copy(place: Place, tmp_path: Path, monkeypatch):
    """The user's own core.excludesFile is read though nothing else of their configuration is."""
    tree = hostile_git.start(place.top / "project")
    (tree / "notes~").write_text("")
    home = tmp_path / "home=a.b"
    home.mkdir()
    (home / ".gitconfig").write_text("[core]\n\texcludesFile = ~/ignored\n")
    (home / "ignored").write_text("*~\n")
    monkeypatch.setenv("HOME", str(home))

    copy = worktree.copy_tree(tree, tmp_path / "cache")

    assert not (copy.path / "notes~").exists()
    assert (copy.path / "src/a.c").exists()


@pytest.mark.parametrize("kind", ["sha256", "packed", "split-index", "linked-worktree", "sparse", "shared-objects"])
def test_repositories_of_all_forms_are_read_as_git_reads_them(kind: str, place: Place, tmp_path: Path):
    """What is read without the configuration is the same as with it."""
    tree = place.top / "project"
    if kind == "sha256":
        tree.mkdir()
        git(tree, "init", "-q", "--object-format=sha256")
    hostile_git.start(tree)
    git(tree, "tag", "v1.0")
    match kind:
        case "packed":
            git(tree, "gc", "-q", "--aggressive")
        case "split-index":
            git(tree, "update-index", "--split-index")
            (tree / "new").write_text("")
            git(tree, "add", "new")
        case "linked-worktree":
            git(tree, "worktree", "add", "-q", place.top / "linked")
            tree = place.top / "linked"
        case "sparse":
            (tree / "out").mkdir()
            (tree / "out/x").write_text("")
            git(tree, "add", "-A")
            git(tree, "commit", "-q", "-m", "two")
            git(tree, "sparse-checkout", "set", "--cone", "--sparse-index", "src")
        case "shared-objects":
            git(place.top, "clone", "-q", "--shared", tree, place.top / "shared")
            tree = place.top / "shared"
    listed = {name for name in git(tree, "ls-files", "-zco", "--exclude-standard").split("\0") if name}
    expected = {name for name in listed if (tree / name).exists()}

    copy = worktree.copy_tree(tree, tmp_path / "cache")

    assert {str(one.relative_to(copy.path)) for one in copy.path.rglob("*") if one.is_file()} == expected
    assert copy.version == git(tree, "describe", "--tags", "--dirty").strip()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root writes as somebody else")
def test_root_writes_through_no_link_in_the_git_of_a_users_work_tree(place: Place):
    """S3: patch save by root in a work tree of whoever called sudo; it overwrote what a link led to."""
    tree = place.top / "project"
    tree.mkdir()
    (tree / "a").write_text("a\n")
    os.chown(tree, USER, USER)
    os.chown(tree / "a", USER, USER)
    init_repository(tree, "one")
    theirs = place.top / "secret"
    theirs.write_text("root's\n")
    bench = PatchTree(
        tree=tree, set="s", cpv="a/b-1", slot="0", repository="r", target="b",
        base=git(tree, "rev-parse", "HEAD", GIT_CONFIG_COUNT="1", GIT_CONFIG_KEY_0="safe.directory",
                 GIT_CONFIG_VALUE_0="*").strip(),
        inside=".", patches=(),
    )  # fmt: skip
    (tree / "a").write_text("b\n")
    for name in ("gentoomuch.json", "gentoomuch.patch", "gentoomuch-index"):
        (tree / ".git" / name).unlink(missing_ok=True)
        (tree / ".git" / name).symlink_to(theirs)

    bench.save()
    make_patches(bench)

    assert theirs.read_text() == "root's\n"
    assert theirs.stat().st_uid == 0
