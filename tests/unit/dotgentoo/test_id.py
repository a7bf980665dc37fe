# SPDX-License-Identifier: GPL-2.0-or-later
"""IDs of .gentoo folders that are known: the vectors, and the test folders of the reference implementation."""

import hashlib
import json
from pathlib import Path

import pytest
from helpers.dotgentoo import written
from helpers.errors import raises

from gentoomuch_portage.cli.commands import run_command_line
from gentoomuch_portage.dotgentoo.id import build_stream, compute_gebuilder_id, compute_id
from gentoomuch_portage.dotgentoo.layout import read_layout
from gentoomuch_portage.dotgentoo.load import load_folder

VECTORS = json.loads((Path(__file__).parents[2] / "data/dotgentoo-vectors.json").read_text(encoding="utf-8"))["vectors"]
CASES = [
    pytest.param(one["files"], kind, told, id=f"{one['name']}-{kind}")
    for one in VECTORS
    for kind, told in one["ids"].items()
]


@pytest.mark.parametrize(("files", "kind", "told"), CASES)
def test_each_vector_has_its_digest(files: dict[str, str], kind: str, told: str, tmp_path: Path, capsys):
    written(tmp_path, files, ebuild=False)
    words = [] if kind == "normative" else [f"--compat={kind}"]

    status = run_command_line(["dotgentoo", "id", str(tmp_path), *words])

    assert (status, capsys.readouterr().out) == (0, f"{told}\n")


def test_the_vectors_are_all_there():
    assert [one["name"] for one in VECTORS] == ["M0", "M1", "M2"]
    assert len(CASES) == 8


def test_the_reference_gives_one_id_to_an_overlay_indented_or_not(tmp_path: Path):
    one = "[Doeme]\nlocation = /a\n\t#c\nsync-type = git   \t \n    sync-uri = https://example.org/o.git\n"
    one += "priority  =   9001\n"
    two = "[Doeme]\nlocation = /a\nsync-type = git\nsync-uri = https://example.org/o.git\npriority = 9001\n"
    first = written(tmp_path / "1", {"overlays/doeme": one, "package.mask/mask": "foo/bar\n"})
    second = written(tmp_path / "2", {"overlays/Doeme": two, "package.mask/m": "# c\nfoo/bar #and one here"})

    assert compute_gebuilder_id(read_layout(first)) == compute_gebuilder_id(read_layout(second))


def test_overlays_of_the_reference_have_a_blank_line_between_them(tmp_path: Path):
    text = "#ebuild\nE\n#overlays\n[a]\nx = 1\n\n[b]\ny = 2\n#accept_keywords\n#mask\n#unmask\n#use\n"
    folder = written(tmp_path, {"app-misc/hello/hello-99999.ebuild": "E\n", "overlays/o": "[b]\ny=2\n[a]\nx=1\n"})

    assert compute_gebuilder_id(read_layout(folder)) == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    "files",
    [
        {"overlays/o": "[a]\nx = 1\nx = 2\n"},
        {"overlays/o": "x = 1\n"},
        {"overlays/o": "[a]\nx = %(y)s\n"},
        {"package.use/u": "a/b x\na/b y\n"},
    ],
    ids=["two keys", "no section", "interpolation", "an atom twice"],
)
def test_input_that_crashes_gebuilder_is_rejected(files: dict[str, str], tmp_path: Path):
    folder = written(tmp_path, files)

    with raises("bad-dotgentoo", match="crashes"):
        compute_gebuilder_id(read_layout(folder))


def test_a_dotgentoo_directory_is_found_by_its_path_and_by_its_project(tmp_path: Path, capsys, monkeypatch):
    folder = written(tmp_path)
    monkeypatch.chdir(tmp_path)

    assert [run_command_line(["dotgentoo", "id", *at]) for at in ([], ["."], [".gentoo"], [str(folder)])] == [
        0,
        0,
        0,
        0,
    ]
    assert len(set(capsys.readouterr().out.split())) == 1


def test_a_missing_dotgentoo_directory_is_an_error_with_init_as_hint(tmp_path: Path, capsys):
    status = run_command_line(["dotgentoo", "id", str(tmp_path)])

    shown = capsys.readouterr()
    assert (status, shown.out) == (64, "")
    assert "[no-dotgentoo]" in shown.err
    assert "dotgentoo init" in shown.err


def test_additions_follow_the_sections_of_the_specification(tmp_path: Path):
    more = {
        "package.license": "a/b MIT\n",
        "package.env/e": "a/b debug.conf\n",
        "env/debug.conf": 'CFLAGS="-g"\n',
        "app-misc/hello/files/a.patch": "--- a\n",
        "app-misc/hello/Manifest": "EBUILD x 1\nDIST a.tar 1 BLAKE2B 00\n",
    }
    plain = build_stream(load_folder(written(tmp_path / "1")))

    found = build_stream(load_folder(written(tmp_path / "2", more)))

    assert found.startswith(plain)
    heads = [line for line in found.removeprefix(plain).split("\n") if line.startswith("#")]
    assert heads == ["#license", "#env", "#envfiles", "#manifest", "#files"]


@pytest.mark.parametrize("name", ["app-misc/hello/files/a.patch", "env/debug.conf", "app-misc/hello/Manifest"])
def test_all_files_that_a_build_can_use_are_part_of_the_id(name: str, tmp_path: Path):
    before = compute_id(load_folder(written(tmp_path, {name: "DIST a 1\n"})))

    assert compute_id(load_folder(written(tmp_path, {name: "DIST a 2\n"}))) != before


def test_comments_and_order_do_not_change_the_id(tmp_path: Path):
    before = compute_id(load_folder(written(tmp_path)))
    more = {
        "install.sh": "rm -rf /\n",
        "metadata/layout.conf": "masters = x\n",
        ".git/x": "",
        "app-misc/hello/metadata.xml": "",
    }

    assert compute_id(load_folder(written(tmp_path, more))) == before
