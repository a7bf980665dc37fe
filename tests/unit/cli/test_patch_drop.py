# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch patch drop``: what ends the work trees of a set."""

import json
import os
from pathlib import Path

import pytest
from helpers.errors import raises

from gentoomuch_portage import git
from gentoomuch_portage.cli.commands import run_command_line
from gentoomuch_portage.patches.worktree import PatchTree, load_set


@pytest.fixture
def tree(monkeypatch, settings, tmp_path: Path) -> Path:
    """The work tree of a package in the set ``musl``, as it was unpacked."""
    for name in ("config", "state", "cache"):
        monkeypatch.setenv(f"GM_{name.upper()}", str(getattr(settings, name)))
    monkeypatch.setenv("PORTAGE_CONFIGROOT", str(settings.host.parent.parent))
    tree = settings.cache / "patching/musl/app-misc/hello-1"
    tree.mkdir(parents=True)
    (tree / "hello.c").write_text("int main;\n")
    git.init_repository(tree, "as it came")
    base = git.run_git(tree, "rev-parse", "HEAD").out.strip()
    PatchTree(
        tree=tree, set="musl", cpv="app-misc/hello-1", slot="0", repository="gentoo",
        target="hello", base=base, inside=".", patches=(),
    ).save()  # fmt: skip
    return tree


def test_a_note_of_version_01_is_read_by_its_old_names(tree: Path, settings):
    note = tree / ".git/gentoomuch.json"
    content = json.loads(note.read_text())
    del content["patches"]
    note.write_text(json.dumps({**content, "taken": ["app-misc/hello/old.patch"]}))

    (read,) = load_set(settings, "musl")

    assert read.patches == ("app-misc/hello/old.patch",)


def test_an_unchanged_work_tree_is_dropped_without_a_question(tree: Path, settings):
    assert run_command_line(["patch", "drop", "musl"]) == 0
    assert not (settings.cache / "patching/musl").exists()
    assert run_command_line(["patch", "drop", "musl"]) == 64


@pytest.mark.parametrize("committed", [False, True])
def test_a_changed_work_tree_is_dropped_only_after_confirmation(tree: Path, capsys, committed: bool):
    (tree / "hello.c").write_text("int main(void);\n")
    if committed:
        git.commit(tree, "mine")

    assert run_command_line(["patch", "drop", "musl"]) == 64
    assert str(tree) in capsys.readouterr().err
    assert tree.is_dir()
    assert run_command_line(["patch", "drop", "musl", "--yes"]) == 0
    assert not tree.exists()


@pytest.mark.parametrize("name", ["HEAD", "refs/heads/work", "objects/pack/one.idx"])
def test_a_pipe_in_the_repository_of_a_work_tree_is_an_error_before_git_waits_for_it(tree: Path, settings, name: str):
    """S11: ``gentoomuch patch save`` did not end."""
    file = tree / ".git" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    os.mkfifo(file)

    with raises("bad-file") as caught:
        load_set(settings, "musl")

    assert caught.value.path == str(file)
    assert str(tree) in caught.value.hint
