# SPDX-License-Identifier: GPL-2.0-or-later
"""gentoomuch dotgentoo check: findings by file and line."""

import json
import re
from pathlib import Path

import pytest
from helpers.dotgentoo import AT, EBUILD, written

from gentoomuch_portage.cli.commands import run_command_line

FINDINGS = {
    "a malformed atom": ({"package.mask": "# c\nhello\n"}, 1, "package.mask:2: error: 'hello'"),
    "a malformed atom with a minus": ({"package.mask": "-hello\n"}, 1, "package.mask:1: error: '-hello'"),
    "a malformed flag": ({"package.use": "a/b c\na/c +x\n"}, 1, "package.use:2: error: '\\+x'"),
    "a malformed keyword": ({"package.keywords": "a/b ~a!\n"}, 1, "package.keywords:1: error: '~a!'"),
    "a malformed licence": ({"package.license": "a/b (MIT)\n"}, 1, "package.license:1: error: '\\(MIT\\)'"),
    "no EAPI": ({AT: '# c\nDESCRIPTION=""\nSLOT=0\n'}, 1, "hello-99999.ebuild:2: error: .*EAPI=8"),
    "an old EAPI": ({AT: EBUILD.replace("8", "5")}, 0, "hello-99999.ebuild:1: note: EAPI 5"),
    "no SLOT": ({AT: 'EAPI=8\nDESCRIPTION="x"\n'}, 1, "hello-99999.ebuild: error: SLOT"),
    "no flags": ({"package.use": "a/b\n"}, 0, "package.use:1: note: .*a/b"),
    "a sync-type other than git": ({"overlays/o": "[a]\nsync-uri=x\nsync-type=cvs\n"}, 0, "overlays/o:1: note: .*cvs"),
    "a malformed priority": ({"overlays/o": "[a]\npriority=high\n"}, 1, "overlays/o:1: error: .*'high'"),
    "an unused key": ({"overlays/o": "[a]\neclass-overrides=x\n"}, 0, "overlays/o:1: note: .*eclass-overrides"),
    "a file that is not read": ({"install.sh": ""}, 0, "install.sh: note: "),
    "an unused file of env": ({"env/e": ""}, 0, "env/e: note: .*package.env"),
}


@pytest.mark.parametrize(("files", "status", "line"), FINDINGS.values(), ids=FINDINGS)
def test_dotgentoo_check_reports(files: dict[str, str | bytes], status: int, line: str, tmp_path: Path, capsys):
    folder = written(tmp_path, files)

    ended = run_command_line(["dotgentoo", "check", str(folder)])

    assert ended == status
    output = capsys.readouterr().out
    assert re.search(f"^{re.escape(str(folder))}/.*{line}", output, re.M), output


def test_dotgentoo_check_reports_nothing_about_a_valid_directory(tmp_path: Path, capsys):
    folder = written(tmp_path, {"package.use": "*/* VIDEO_CARDS: -* intel\n", "package.unmask": ">=a/b-1:0::x\n"})

    assert run_command_line(["dotgentoo", "check", str(folder)]) == 0
    assert capsys.readouterr().out == ""


def test_dotgentoo_check_prints_findings_as_json(tmp_path: Path, capsys):
    folder = written(tmp_path, {"package.mask": "hello\n"})

    assert run_command_line(["dotgentoo", "check", "--json", str(folder)]) == 1
    [finding] = json.loads(capsys.readouterr().out)
    text = finding.pop("text")
    assert finding == {"file": f"{folder}/package.mask", "line": 1, "wrong": True}
    assert text.startswith("'hello' ")
