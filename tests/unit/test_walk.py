"""The walk of gm-emerge, as far as it goes without a host."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gentoomuch_portage.walk import walk


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A configuration and a state without anything in them."""
    for name in ("CONFIG", "STATE", "CACHE"):
        monkeypatch.setenv(f"GM_{name}", str(tmp_path / name.lower()))


@pytest.mark.parametrize(
    "word", ["--gm-isolation=bwrap", "--gm-locked", "--gm-json=events", "--gm-unmask=use", "--gm-no=foo"]
)
def test_a_word_that_plain_emerge_cannot_keep_is_refused(word: str, capsys: pytest.CaptureFixture[str]):
    status = walk("gm-emerge", ["--gm-explain", word, "foo"])

    err = capsys.readouterr().err
    assert status == 64
    assert f"{word.partition('=')[0]} needs a profile" in err
    assert "--gm-profile=NAME" in err


@pytest.mark.parametrize("word", ["--gm-locked", "--gm-unmask=use"])
def test_so_is_one_for_a_project_without_a_profile(word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / ".gentoo").mkdir()

    assert walk("gm-emerge", ["--gm-explain", word, str(tmp_path)]) == 64
    assert "needs a profile" in capsys.readouterr().err


def test_plain_emerge_is_no_container_and_explained_in_json_too(capsys: pytest.CaptureFixture[str]):
    status = walk("gm-emerge", ["--gm-explain=json", "--gm-isolation=none", "-p", "foo"])

    plan = json.loads(capsys.readouterr().out)
    assert (status, plan["profile"], plan["words"], plan["parts"]) == (0, "", ["-p", "foo"], [])


def test_a_profile_of_nothing_without_a_make_profile_is_refused_by_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "config/profiles").mkdir(parents=True)
    (tmp_path / "config/profiles/lab.toml").write_text('cpu = ""\nbase = "none"\n')

    assert walk("gm-emerge", ["--gm-profile=lab", "-p", "foo"]) == 78
    assert 'lab.toml:2: base = "none" needs a make_profile' in capsys.readouterr().err


def test_a_reader_that_has_gone_away_ends_it_without_a_traceback():
    unread, pipe = os.pipe()
    os.close(unread)

    argv = [sys.executable, "-m", "gentoomuch_portage.emerge", "--gm-help"]
    ended = subprocess.run(argv, stdout=pipe, stderr=subprocess.PIPE, check=False)

    os.close(pipe)
    assert (ended.returncode, ended.stderr) == (-signal.SIGPIPE, b"")
