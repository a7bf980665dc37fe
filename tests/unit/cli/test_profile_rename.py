# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch profile rename``: all that has the name of a profile is renamed, or nothing."""

import json
import os
from pathlib import Path

import pytest

from gentoomuch_portage import history
from gentoomuch_portage.cli.commands import run_command_line
from gentoomuch_portage.containers import root_lock


@pytest.fixture
def bin_(tmp_path: Path) -> Path:
    """A directory in PATH with gm-emerge, a link of the profile, and a program of somebody else."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "gm-emerge").write_text("")
    (folder / "lab-emerge").symlink_to("gm-emerge")
    return folder


@pytest.fixture(autouse=True)
def lab(monkeypatch, settings, write, bin_: Path) -> Path:
    """The file of a profile ``lab``, which is active and has a ledger and a history; beside it a profile ``lib``."""
    for name in ("config", "state", "cache"):
        monkeypatch.setenv(f"GM_{name.upper()}", str(getattr(settings, name)))
    monkeypatch.setenv("PORTAGE_CONFIGROOT", str(settings.host.parent.parent))
    monkeypatch.setenv("PATH", str(bin_), prepend=os.pathsep)
    (settings.state / "lab/roots/old").mkdir(parents=True)
    (settings.state / "lab/unmask.json").write_text("[]")
    (settings.state / "profile").write_text("lab\n")
    (settings.cache / "logs/lab").mkdir(parents=True)
    write("profiles/lib.toml", "")
    return write("profiles/lab.toml", "# mine\n")


def paths(*folders: Path) -> dict[str, str]:
    """All paths below directories, with the content of files and the targets of links."""
    return {
        str(path): os.readlink(path) if path.is_symlink() else path.read_text() if path.is_file() else ""
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if not path.name.endswith(".lock")
    }


def test_the_file_the_state_the_caches_and_the_links_have_the_new_name(lab: Path, settings, bin_: Path):
    folders = (settings.config, settings.state, settings.cache / "logs", bin_)
    before = paths(*folders)

    assert run_command_line(["profile", "rename", "lab", "attic"]) == 0

    renamed = {name.replace("/lab", "/attic"): "attic\n" if text == "lab\n" else text for name, text in before.items()}
    assert paths(*folders) == renamed


def test_the_history_shows_the_new_name(settings, capsys):
    package = {"cpv": "a/b-1", "status": 0, "seconds": 1, "source": "ebuild", "build_id": "", "phases": {}}
    event = {"event": "package", "at": 1, "run": "1", "profile": "lab", "merge": True, **package}
    history.append(settings.state, "lab", event)
    run_command_line(["profile", "rename", "lab", "attic"])
    capsys.readouterr()

    assert run_command_line(["history", "b", "--json"]) == 0
    assert [build["profile"] for build in json.loads(capsys.readouterr().out)] == ["attic"]


@pytest.mark.parametrize("locked", ["lab", "lab/roots/old"])
def test_a_profile_in_use_is_not_renamed(locked: str, settings, bin_: Path, capsys):
    before = paths(settings.config, settings.state, bin_)

    with root_lock.shared(settings.state / locked):
        assert run_command_line(["profile", "rename", "lab", "attic"]) == 75

    assert "[busy]" in capsys.readouterr().err
    assert paths(settings.config, settings.state, bin_) == before


@pytest.mark.parametrize(
    ("new", "status", "code"),
    [("lib", 64, "profile-exists"), ("lab", 64, "profile-exists"), ("gone", 64, "name-in-use"),
     ("../x", 78, "bad-name"), ("hooks", 78, "taken-name")],
)  # fmt: skip
def test_a_name_that_cannot_be_used_changes_nothing(new: str, status: int, code: str, settings, bin_: Path, capsys):
    (settings.state / "gone").mkdir()  # of a removed profile
    before = paths(settings.config, settings.state, bin_)

    assert run_command_line(["profile", "rename", "lab", new]) == status
    assert (paths(settings.config, settings.state, bin_), f"[{code}]" in capsys.readouterr().err) == (before, True)


def test_an_error_undoes_the_renaming(settings, bin_: Path, capsys):
    """The file and the state can have the new name, but the link NEW-emerge cannot: a name has at most 255 bytes."""
    before = paths(settings.config, settings.state, settings.cache / "logs", bin_)

    assert run_command_line(["profile", "rename", "lab", "x" * 250]) == 77

    assert "lab-emerge" in capsys.readouterr().err
    assert paths(settings.config, settings.state, settings.cache / "logs", bin_) == before


@pytest.mark.parametrize("renamed_state", [False, True])
def test_the_same_command_completes_an_interrupted_renaming(lab: Path, settings, bin_: Path, renamed_state: bool):
    os.link(lab, lab.with_name("attic.toml"))
    if renamed_state:
        (settings.state / "lab").rename(settings.state / "attic")

    assert run_command_line(["profile", "rename", "lab", "attic"]) == 0
    assert not lab.exists()
    assert (settings.state / "attic/unmask.json").exists()
    assert (settings.state / "profile").read_text() == "attic\n"
    assert (bin_ / "attic-emerge").is_symlink()


def test_the_program_of_another_project_is_not_renamed(bin_: Path):
    (bin_ / "lab-emerge").unlink()
    (bin_ / "lab-emerge").write_text("of crossdev")

    assert run_command_line(["profile", "rename", "lab", "attic"]) == 0
    assert (bin_ / "lab-emerge").read_text() == "of crossdev"
