# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch profile rm``."""

from pathlib import Path

import pytest

from gentoomuch_portage.cli.commands import run_command_line


@pytest.fixture(autouse=True)
def lab(monkeypatch, settings, write) -> Path:
    """The file of a profile ``lab``, which is set and has a ledger; beside it a profile ``lib``."""
    for name in ("config", "state", "cache"):
        monkeypatch.setenv(f"GM_{name.upper()}", str(getattr(settings, name)))
    monkeypatch.setenv("PORTAGE_CONFIGROOT", str(settings.host.parent.parent))
    (settings.state / "lab/roots/old").mkdir(parents=True)
    (settings.state / "lab/unmask.json").write_text("[]")
    (settings.state / "profile").write_text("lab\n")
    write("profiles/lib.toml", "")
    return write("profiles/lab.toml", "# mine\n")


def test_nothing_is_removed_without_confirmation(lab: Path, settings, capsys):
    status = run_command_line(["profile", "rm", "lab", "--with-state"])

    assert (status, "--yes" in capsys.readouterr().err) == (64, True)
    assert lab.exists()
    assert (settings.state / "lab/unmask.json").exists()


def test_the_file_is_put_aside_each_time_and_the_state_is_left_and_named(lab: Path, settings, capsys):
    for text in ("# mine\n", "# anew\n"):
        lab.write_text(text)
        assert run_command_line(["profile", "rm", "lab", "--yes"]) == 0

    said = capsys.readouterr().err
    assert [one.read_text() for one in sorted(lab.parent.glob("lab*"))] == ["# mine\n", "# anew\n"]
    assert f"{settings.state}/lab" in said
    assert "--with-state" in said
    assert (settings.state / "lab/unmask.json").exists()
    assert not (settings.state / "profile").exists()
    assert run_command_line(["profile", "ls", "--names"]) == 0
    assert capsys.readouterr().out == "lib\n"


def test_an_invalid_profile_is_removed_with_its_state(lab: Path, settings):
    lab.write_text("cpu = 1\n")

    assert run_command_line(["profile", "rm", "lab", "--yes", "--with-state"]) == 0
    assert not (settings.state / "lab").exists()
    assert not lab.exists()


def test_a_mistyped_name_is_answered_with_the_one_that_is_meant(capsys):
    assert (run_command_line(["profile", "rm", "lob", "--yes"]), "profile rm l" in capsys.readouterr().err) == (
        64,
        True,
    )


def test_profile_rm_reports_that_the_root_remains(lab: Path, tmp_path: Path, capsys):
    lab.write_text(f'root = "{tmp_path}"\n')

    assert run_command_line(["profile", "rm", "lab", "--yes"]) == 0
    assert f"{tmp_path} remains" in capsys.readouterr().err
