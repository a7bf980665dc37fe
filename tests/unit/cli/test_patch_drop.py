"""``gentoomuch patch drop``: what ends the work trees of a set."""

from pathlib import Path

import pytest

from gentoomuch_portage import git
from gentoomuch_portage.cli.commands import enter
from gentoomuch_portage.patches.worktree import Bench


@pytest.fixture
def tree(monkeypatch, settings, tmp_path: Path) -> Path:
    """The work tree of a package in the set ``musl``, as it was unpacked."""
    for name in ("config", "state", "cache"):
        monkeypatch.setenv(f"GM_{name.upper()}", str(getattr(settings, name)))
    monkeypatch.setenv("PORTAGE_CONFIGROOT", str(settings.host.parent.parent))
    tree = settings.cache / "patching/musl/app-misc/hello-1"
    tree.mkdir(parents=True)
    (tree / "hello.c").write_text("int main;\n")
    git.begin(tree, "as it came")
    base = git.git(tree, "rev-parse", "HEAD").out.strip()
    Bench(
        tree=tree, set="musl", cpv="app-misc/hello-1", slot="0", repository="gentoo",
        target="hello", base=base, inside=".", taken=(),
    ).keep()  # fmt: skip
    return tree


def test_a_tree_without_changes_goes_unasked_with_the_empty_folders_above_it(tree: Path, settings):
    assert enter(["patch", "drop", "musl"]) == 0
    assert not (settings.cache / "patching/musl").exists()
    assert enter(["patch", "drop", "musl"]) == 64


@pytest.mark.parametrize("committed", [False, True])
def test_a_tree_with_changes_goes_only_where_somebody_agrees(tree: Path, capsys, committed: bool):
    (tree / "hello.c").write_text("int main(void);\n")
    if committed:
        git.commit(tree, "mine")

    assert enter(["patch", "drop", "musl"]) == 64
    assert str(tree) in capsys.readouterr().err
    assert tree.is_dir()
    assert enter(["patch", "drop", "musl", "--yes"]) == 0
    assert not tree.exists()
