"""gentoomuch dotgentoo check: findings by file and line."""

import json
import re
from pathlib import Path

import pytest
from dotgentoos import AT, EBUILD, written

from gentoomuch_portage.cli.commands import enter

FOUND = {
    "an atom": ({"package.mask": "# c\nhello\n"}, 1, "package.mask:2: wrong: 'hello' is no atom"),
    "a taken away atom": ({"package.mask": "-hello\n"}, 1, "package.mask:1: wrong: '-hello' is no atom"),
    "a flag": ({"package.use": "a/b c\na/c +x\n"}, 1, "package.use:2: wrong: '\\+x' is no USE flag"),
    "a keyword": ({"package.keywords": "a/b ~a!\n"}, 1, "package.keywords:1: wrong: '~a!' is no keyword"),
    "a licence": ({"package.license": "a/b (MIT)\n"}, 1, "package.license:1: wrong: '\\(MIT\\)' is no licence"),
    "no EAPI": ({AT: '# c\nDESCRIPTION=""\nSLOT=0\n'}, 1, "hello-99999.ebuild:2: wrong: the first line"),
    "an old EAPI": ({AT: EBUILD.replace("8", "5")}, 0, "hello-99999.ebuild:1: note: EAPI 5 is old"),
    "no SLOT": ({AT: 'EAPI=8\nDESCRIPTION="x"\n'}, 1, "hello-99999.ebuild: wrong: there is no SLOT"),
    "no flag": ({"package.use": "a/b\n"}, 0, "package.use:1: note: nothing stands behind a/b"),
    "a way to fetch": ({"overlays/o": "[a]\nsync-uri=x\nsync-type=cvs\n"}, 0, "overlays/o:1: note: .*only git"),
    "a priority": ({"overlays/o": "[a]\npriority=high\n"}, 1, "overlays/o:1: wrong: .*which is no number"),
    "a key": (
        {"overlays/o": "[a]\neclass-overrides=x\n"},
        0,
        "overlays/o:1: note: .*eclass-overrides, which is not used",
    ),
    "what is not read": ({"install.sh": ""}, 0, "install.sh: note: this is not read"),
    "an env that nobody names": ({"env/e": ""}, 0, "env/e: note: package.env does not name it"),
}


@pytest.mark.parametrize(("files", "status", "told"), FOUND.values(), ids=FOUND)
def test_it_is_found(files: dict[str, str | bytes], status: int, told: str, tmp_path: Path, capsys):
    folder = written(tmp_path, files)

    ended = enter(["dotgentoo", "check", str(folder)])

    assert ended == status
    shown = capsys.readouterr().out
    assert re.search(f"^{re.escape(str(folder))}/.*{told}", shown, re.M), shown


def test_nothing_is_found_in_a_good_folder(tmp_path: Path, capsys):
    folder = written(tmp_path, {"package.use": "*/* VIDEO_CARDS: -* intel\n", "package.unmask": ">=a/b-1:0::x\n"})

    assert enter(["dotgentoo", "check", str(folder)]) == 0
    assert capsys.readouterr().out == ""


def test_scripts_get_the_findings_as_json(tmp_path: Path, capsys):
    folder = written(tmp_path, {"package.mask": "hello\n"})

    assert enter(["dotgentoo", "check", "--json", str(folder)]) == 1
    assert json.loads(capsys.readouterr().out) == [
        {"file": f"{folder}/package.mask", "line": 1, "wrong": True, "text": "'hello' is no atom"}
    ]
