# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch profile edit``, with shell scripts as editors."""

from pathlib import Path

import pytest

from gentoomuch_portage.cli.commands import run_command_line


@pytest.fixture(autouse=True)
def lab(monkeypatch: pytest.MonkeyPatch, settings, write) -> Path:
    """The file of the profile ``lab``."""
    for name in ("config", "state", "cache"):
        monkeypatch.setenv(f"GM_{name.upper()}", str(getattr(settings, name)))
    monkeypatch.setenv("PORTAGE_CONFIGROOT", str(settings.host.parent.parent))
    monkeypatch.delenv("VISUAL", raising=False)
    return write("profiles/lab.toml", 'base = "none"\nroot = "/srv/roots/lab"\n')


@pytest.fixture
def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a function that makes a script the editor; it gets an option, and the file as ``$2``."""

    def use(script: str) -> None:
        (tmp_path / "my editor").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "my editor").chmod(0o755)
        monkeypatch.setenv("EDITOR", f"'{tmp_path}/my editor' --wait")

    return use


def test_the_editor_gets_its_options_and_the_file(lab: Path, editor, tmp_path: Path):
    editor(f'printf "%s\\n" "$@" >"{tmp_path}/arguments"')

    run_command_line(["profile", "edit", "lab"])

    assert (tmp_path / "arguments").read_text().splitlines() == ["--wait", str(lab)]


def test_an_edited_profile_is_linted(editor, capsys):
    editor('echo "colour = 1" >>"$2"')

    assert run_command_line(["profile", "edit", "lab"]) == 78

    error = capsys.readouterr().err
    assert "[bad-setting]" in error
    assert "lab.toml:3" in error


def test_visual_is_preferred_to_editor(lab: Path, editor, monkeypatch: pytest.MonkeyPatch):
    editor("exit 1")
    monkeypatch.setenv("VISUAL", 'sh -c \'echo "# seen" >>"$0"\'')

    run_command_line(["profile", "edit", "lab"])

    assert lab.read_text().endswith("# seen\n")


@pytest.mark.parametrize(
    ("script", "name", "code", "status"),
    [("exit 3", "lab", "program-failed", 70), ("exit 0", "lba", "unknown-profile", 64), ("", "../x", "bad-name", 78)],
)
def test_a_file_that_cannot_be_edited_is_one_error(script: str, name: str, code: str, status: int, editor, capsys):
    editor(script)

    assert run_command_line(["profile", "edit", name]) == status
    assert f"[{code}]" in capsys.readouterr().err


def test_a_missing_editor_is_named(monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.setenv("EDITOR", "no-such-editor")

    assert run_command_line(["profile", "edit", "lab"]) == 69

    error = capsys.readouterr().err
    assert "[missing-program]" in error
    assert "no-such-editor" in error
