# SPDX-License-Identifier: GPL-2.0-or-later
"""Files that the command line names, where the name is that of a pipe, or of something else."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gentoomuch_portage.cli.commands import run_command_line


@pytest.fixture
def pipe(monkeypatch, settings, write, tmp_path: Path) -> Iterator[Path]:
    """A pipe that somebody reads, and a profile ``lab`` with a root of its own."""
    for name in ("config", "state", "cache"):
        monkeypatch.setenv(f"GM_{name.upper()}", str(getattr(settings, name)))
    monkeypatch.setenv("PORTAGE_CONFIGROOT", str(settings.host.parent.parent))
    (tmp_path / "root").mkdir()
    write("profiles/lab.toml", f'base = "none"\nroot = "{tmp_path}/root"\n')
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    yield tmp_path / "pipe"
    os.close(reader)


@pytest.mark.parametrize("words", [("binpkg", "mask", "--profile", "lab", "--write"), ("fleet", "--quiet", "--html")])
def test_a_dash_writes_to_standard_output(words: tuple[str, ...], pipe: Path):
    status = run_command_line([*words, str(pipe)])

    assert (status, pipe.is_fifo()) == (0, True)


@pytest.mark.parametrize("words", [("binpkg", "mask", "--profile", "lab", "--write"), ("fleet", "--html")])
def test_a_dash_is_the_standard_output_and_no_file(words: tuple[str, ...], pipe: Path, capfd, monkeypatch):
    monkeypatch.chdir(pipe.parent)

    status = run_command_line([*words, "-"])

    assert (status, capfd.readouterr().out != "") == (0, True)
    assert not Path("-").exists()


@pytest.mark.parametrize("words", [("fleet", "--html"), ("binhost", "key", "--export"), ("freeze", "lab")])
def test_json_has_the_standard_output_for_itself(words: tuple[str, ...], pipe: Path, capfd):
    status = run_command_line([*words, "-", "--json"])

    assert (status, json.loads(capfd.readouterr().out)["error"]) == (64, "usage")


def test_a_root_export_cannot_be_written_to_standard_output(pipe: Path, capsys):
    status = run_command_line(["root", "export", "lab", "-o", str(pipe)])

    assert (status, "[usage]" in capsys.readouterr().err) == (64, True)
    assert sorted(one.name for one in pipe.parent.iterdir() if one.name.startswith("pipe")) == ["pipe"]


def test_freeze_does_not_treat_a_profile_as_its_file(pipe: Path, capsys, monkeypatch):
    monkeypatch.chdir(pipe.parent)

    status = run_command_line(["freeze", "--unsigned", "lab"])

    assert (status, "freeze --unsigned lab lab.tar" in capsys.readouterr().err) == (64, True)
    assert not (pipe.parent / "lab").exists()


def test_freeze_accepts_a_file_with_the_name_of_a_profile(pipe: Path, capsys, monkeypatch):
    monkeypatch.chdir(pipe.parent)

    run_command_line(["freeze", "--unsigned", "./lab"])

    assert "[no-profile]" in capsys.readouterr().err


def test_a_directory_is_not_an_archive(pipe: Path, capsys):
    status = run_command_line(["verify", str(pipe.parent)])

    assert status == 70
    assert "[bad-archive]" in capsys.readouterr().err
