# SPDX-License-Identifier: GPL-2.0-or-later
"""The units of systemd and the file of cron in etc/: systemd accepts them, and their command lines are valid."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from gentoomuch_portage.cli import commands
from gentoomuch_portage.cli.parser import build_parser

TOP = Path(__file__).parents[2]
ETC = TOP / "etc"
UNITS = sorted(path.name for path in (ETC / "systemd").iterdir())
EBUILD = TOP / "app-portage/gentoomuch-portage/gentoomuch-portage-9999.ebuild"


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_accepts_the_unit(unit: str, tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    program = shutil.which("true") or ""
    for file in (ETC / "systemd").iterdir():  # the program is not installed here
        (tmp_path / file.name).write_text(file.read_text().replace("/usr/bin/gentoomuch", program))

    words = [analyze, "verify", "--man=no", "--recursive-errors=no", str(tmp_path / unit)]
    ended = subprocess.run(words, capture_output=True, text=True, check=False)

    messages = [line for line in (ended.stdout + ended.stderr).splitlines() if unit in line]
    assert messages == []


def read_update_commands() -> list[list[str]]:
    """Return the arguments of gentoomuch in the service and in the file of cron."""
    service = (ETC / "systemd/gentoomuch-update.service").read_text()
    options = re.search(r'^Environment="GM_UPDATE_OPTS=(.*)"$', service, re.MULTILINE)[1]
    line = re.search(r"^ExecStart=/usr/bin/gentoomuch (.*)$", service, re.MULTILINE)[1]
    cron = re.search(r"root  gentoomuch (.*)$", (ETC / "cron/gentoomuch-update").read_text(), re.MULTILINE)[1]
    return [shlex.split(line.replace("$GM_UPDATE_OPTS", options)), shlex.split(cron)]


def test_service_and_cron_update_all_profiles_and_continue_after_failures() -> None:
    for words in read_update_commands():
        args = build_parser(commands.load_own_commands()).parse_args(words)
        assert (args.command, args.all, args.keep_going, args.quiet) == ("update", True, True, True)


@pytest.mark.skipif(not EBUILD.exists(), reason="a release has no overlay")
def test_the_ebuild_installs_every_unit() -> None:
    text = EBUILD.read_text()
    installed = set()
    for line in re.findall(r"systemd_dounit etc/systemd/(\S+)", text):
        stem, _, suffixes = line.partition("{")
        installed |= {f"{stem}{suffix}" for suffix in suffixes.rstrip("}").split(",")}

    assert installed == set(UNITS)
    assert "etc/cron/gentoomuch-update" in text
