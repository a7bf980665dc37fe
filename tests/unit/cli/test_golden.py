# SPDX-License-Identifier: GPL-2.0-or-later
"""Wording: help and frequent messages of each command, compared with the files in tests/golden.

``GM_TEST_GOLDEN=write .venv/bin/python -m pytest tests/unit/cli/test_golden.py`` writes the files again.
"""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
from manual import command_tree

from gentoomuch_portage.cli import commands
from gentoomuch_portage.cli.commands import run_command_line

GOLDEN = Path(__file__).parents[2] / "golden"
WRITE = os.environ.get("GM_TEST_GOLDEN") == "write"
LAB = "profile add lab --root /srv/roots/lab"
SESSIONS: Mapping[str, tuple[str, ...]] = {
    "init": ("init 'a b'",),
    "profile": (
        "profile ls", "profile show", "profile set ghost", "profile lint", LAB, LAB, "profile ls", "profile set lab",
        "profile set lba", "profile ls --names", "profile add ../x --here", "profile add other", "profile rm lab",
        "profile rm lab --yes", "profile set --unset", "profile run -- true", "profile adopt TOP/missing lab",
        "profile shwo", LAB, "profile set-key lab isolation none", "profile set-key lab cpo x",
        "profile rename lab lib", "profile set-key lib root x", "profile rename lib lib",
    ),
    "config": ("config cpu", "config binpkg.ues", LAB, "config root --profile lab", "config root --profile lba"),
    "unmask": (
        LAB, "unmask ls", "unmask ls --profile lab", "unmask drop a/b --profile lab", "unmask why a/b --profile lba",
    ),
    "binpkg": ("binpkg ls", "binpkg why a/b", "binpkg audit --jobs 0", LAB, "binpkg why a/b --profile lba"),
    "binhost": (
        "binhost ls", "binhost client ftp://tower/x", "binhost client http://tower/x --fingerprint 12",
        "binhost client http://tower/x --remove",
        "binhost rollback TOP/missing", "binhost sign TOP/missing",
        "binhost serve TOP --bind :http",
    ),
    "patch": ("patch ls", "patch check", "patch drop musl", "patch save musl", "patch try musl"),
    "isa": ("isa check -O2", "isa check haswell --cpu znver4", "isa check --cpu znver4"),
    "dotgentoo": (
        "dotgentoo id TOP", "dotgentoo init hello TOP", "dotgentoo init app-misc/hello TOP", "dotgentoo check TOP",
    ),
    "farm": ("farm ls", "farm add ghost a/b", "farm cancel 00", "farm pause", "farm ls", "farm pause --off"),
    "freeze": ("freeze lab.tar", LAB, "freeze lab"),
    "verify": ("verify TOP/missing.tar",),
    "thaw": ("thaw TOP/missing.tar",),
    "sync": ("sync --profile ghost",),
    "build": ("build", LAB, "build a/b-1 --profile lba"),
    "bootstrap": ("bootstrap ghost", LAB, "bootstrap lab --oci TOP/x --set @world"),
    "root": (
        "root ls", LAB, "root ls", "root enter lab", "root history lab", "root rollback lab", "root rollback lab two",
        "root snapshot lab", "root rm lab", "root rm lab --fresh odl --yes",
        "root export lab -o TOP/lab.tar",
    ),
    "image": (
        "image ls", "image build", "image why ghost", LAB, "image why lab", "image build ghost", "image build --all",
        "image graph",
    ),
    "freshroot": ("freshroot ghost", LAB, "freshroot lab -- true"),
    "history": ("history", "history a/b", "history --since yesterday", "history --profile ghost"),
    "why": ("why a/b", "why a/b --profile ghost"),
    "fleet": ("fleet", LAB, "fleet lba"),
    "status": ("status", LAB, "status lba"),
    "update": ("update", LAB, "update lba", "update --all lab"),
    "hooks": ("hooks enable nosuch", "hooks query requires a/b"),
    "doctor": ("doctor --cleen",),
    "plugins": ("plugins --jsn",),
    "demo": ("demo TOP",),
    "help": ("help", "help profile", "help profile add", "help profle"),
    "version": (),
}  # fmt: skip
"""Command -> command lines to run one after the other. TOP is a directory that is not empty."""
GM_EMERGE = (
    "gm-emerge --gm-help", "gm-emerge --gm-foo", "gm-emerge --gm-proflie=lab", "gm-emerge --gm-isolation=foo",
    "gm-emerge --gm-unmask=all", "gm-emerge --gm-profile=ghost -p x", "gm-emerge --gm-no=nosuch -p x",
    "gm-emerge --gm-plan=TOP/missing",
)  # fmt: skip


@pytest.fixture
def top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings) -> Path:
    for name in ("config", "state", "cache"):
        monkeypatch.setenv(f"GM_{name.upper()}", str(getattr(settings, name)))
    monkeypatch.setenv("PORTAGE_CONFIGROOT", str(settings.host.parent.parent))
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("GM_PROFILE", "FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    settings.host.mkdir(parents=True)
    (tmp_path / "top").mkdir()
    (tmp_path / "top/Makefile").write_text("all:\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def paths(name: str) -> list[str]:
    """A command with all commands below it, as typed."""
    shape = next(shape for shape in command_tree.gentoomuch().below if shape.name == name)
    return [" ".join(command.path[1:]) for command in shape.walk()]


def compare(name: str, outputs: Iterable[tuple[str, int | str | None, str]], top: Path) -> None:
    """Compare command lines, exit statuses and outputs with a file; write it if asked to."""
    sections = []
    for line, status, output in outputs:
        text = output.replace(str(top / "top"), "TOP").replace(str(top), "DIR").rstrip("\n")
        sections.append(
            f"$ {line}\n{text}\n[exit status {status}]\n" if text else f"$ {line}\n[exit status {status}]\n"
        )
    file = GOLDEN / f"{name}.txt"
    if WRITE:
        file.write_text("\n".join(sections), encoding="utf-8")
    stored = file.read_text(encoding="utf-8").split("\n$ ")
    stored = [section if section.startswith("$ ") else f"$ {section}" for section in stored]
    if sys.version_info >= (3, 13):  # argparse lays help out in another way
        stored, sections = ([text for text in texts if "--help\n" not in text] for texts in (stored, sections))
    assert [section.rstrip("\n") for section in sections] == [section.rstrip("\n") for section in stored]


def test_each_command_has_a_session_and_a_file():
    assert SESSIONS.keys() == commands.MODULES.keys()
    assert {file.stem for file in GOLDEN.glob("*.txt")} == {*SESSIONS, "gm-emerge"}


@pytest.mark.parametrize("name", SESSIONS)
def test_help_and_messages_are_as_in_the_golden_file(name: str, top: Path, capsys: pytest.CaptureFixture[str]):
    outputs = []
    for line in (*(f"{path} --help" for path in paths(name)), *SESSIONS[name]):
        status: int | str | None
        try:
            status = run_command_line(shlex.split(line.replace("TOP", str(top / "top"))))
        except SystemExit as exit_:
            status = exit_.code
        output = capsys.readouterr()
        outputs.append((f"gentoomuch {line}", status, output.out + output.err))

    compare(name, outputs, top)


def test_own_options_and_messages_of_gm_emerge_are_as_in_the_golden_file(top: Path):
    outputs = []
    for line in GM_EMERGE:
        argv = [sys.executable, "-m", "gentoomuch_portage.emerge.main", *shlex.split(line.replace("TOP", str(top)))[1:]]
        ended = subprocess.run(argv, capture_output=True, text=True, check=False)
        outputs.append((line, ended.returncode, ended.stdout + ended.stderr))

    compare("gm-emerge", outputs, top)
