# SPDX-License-Identifier: GPL-2.0-or-later
"""Each thing that could be understood in two ways: what it means, or the error with its file and line."""

from pathlib import Path

import pytest
from helpers.dotgentoo import AT, EBUILD, written
from helpers.errors import raises

from gentoomuch_portage.dotgentoo.id import build_stream, compute_id
from gentoomuch_portage.dotgentoo.load import load_folder

Files = dict[str, str | bytes]


def said(kind: str, folder: Path) -> list[str]:
    """The lines of one section of the stream."""
    return build_stream(load_folder(folder)).split(f"#{kind}\n")[1].split("#")[0].splitlines()


DEFINED = {
    "values are sorted": ("use", {"package.use": "a/b c a\n"}, ["a/b a c"]),
    "entries are sorted": ("mask", {"package.mask": "b/b\na/b\n"}, ["a/b", "b/b"]),
    "sections are sorted by code point": (
        "overlays",
        {"overlays/o": "[b]\n[B]\n[_]\n"},
        ["[B]", "[_]", "[b]"],
    ),
    "keys are sorted and in lower case": ("overlays", {"overlays/o": "[b]\nZ=1\na:2\n"}, ["[b]", "a = 2", "z = 1"]),
    "a value may hold what parts keys": (
        "overlays",
        {"overlays/o": "[b]\nu: git://x?a=b\n"},
        ["[b]", "u = git://x?a=b"],
    ),
    "an empty value is one": ("overlays", {"overlays/o": "[b]\nu =\n"}, ["[b]", "u = "]),
    "several files are one": ("use", {"package.use/1": "a/b c\n", "package.use/2": "a/b d\n"}, ["a/b c d"]),
    "a file stands for a directory": ("use", {"package.use": "a/b c\n"}, ["a/b c"]),
    "directories may be nested": ("use", {"package.use/x/y": "a/b c\n"}, ["a/b c"]),
    "a dot or a tilde hides": ("use", {"package.use/.x": "a/b c\n", "package.use/x~": "a/b d\n"}, []),
    "the last line needs no end": ("use", {"package.use": "a/b c"}, ["a/b c"]),
    "lines may end as on Windows": ("use", {"package.use": "a/b c\r\na/c d\r\n"}, ["a/b c", "a/c d"]),
    "a word with # begins a comment": ("use", {"package.use": "a/b c #d\na/c d # e\n"}, ["a/b c", "a/c d"]),
    "both names of keywords are one": (
        "keywords",
        {"package.keywords": "a/b ~arm\n", "package.accept_keywords": "a/b ~x86\n"},
        ["a/b ~arm ~x86"],
    ),
    "what stands before -* counts for nothing": ("use", {"package.use": "a/b c -* d\n"}, ["a/b -* d"]),
    "-* stands first": ("use", {"package.use": "a/b -* x c\n"}, ["a/b -* c x"]),
    "-* clears keywords": ("keywords", {"package.keywords": "a/b ~arm -* ~x86\n"}, ["a/b -* ~x86"]),
    "a block belongs to its variable": (
        "use",
        {"package.use": "a/b z VIDEO_CARDS: nv -amd L10N: de\n"},
        ["a/b -video_cards_amd l10n_de video_cards_nv z"],
    ),
    "-* in a block clears that variable": (
        "use",
        {"package.use": "a/b video_cards_x z VIDEO_CARDS: -* nv\n"},
        ["a/b -video_cards_* video_cards_nv z"],
    ),
    "a block ends with its line": ("use", {"package.use": "a/b L10N: de\na/b fr\n"}, ["a/b fr l10n_de"]),
    "a line that stands twice is one": ("mask", {"package.mask/1": "a/b\n", "package.mask/2": "a/b\n"}, ["a/b"]),
    "order matters where a licence is taken away": (
        "license",
        {"package.license": "a/b @FREE -MIT\n"},
        ["a/b @FREE -MIT"],
    ),
    "order matters among files of env": (
        "env",
        {"package.env": "a/b z a\n", "env/z": "", "env/a": ""},
        ["a/b z a"],
    ),
}


@pytest.mark.parametrize(("kind", "files", "lines"), DEFINED.values(), ids=DEFINED)
def test_it_is_defined_that(kind: str, files: Files, lines: list[str], tmp_path: Path):
    assert said(kind, written(tmp_path, files)) == lines


REJECTED = {
    "a byte order mark": ({"package.use/u": b"\xef\xbb\xbfa/b c\n"}, "package.use/u:1: .*byte order mark"),
    "one in the ebuild": ({AT: b"\xef\xbb\xbfEAPI=8\n"}, "99999.ebuild:1: .*byte order mark"),
    "no UTF-8": ({"package.use/u": b"a/b c\na/c \xff\n"}, "package.use/u:2: .*UTF-8"),
    "no UTF-8 in the ebuild": ({AT: b"EAPI=8\n# \xff\n"}, "99999.ebuild:2: .*UTF-8"),
    "a carriage return alone": ({"package.use": "a/b c\rd\n"}, "package.use:1: .*carriage return"),
    "an ebuild of Windows": ({AT: "EAPI=8\nA=1\r\n"}, "line 2 .*carriage return"),
    "a NUL": ({"package.mask": b"a/b\n\0\n"}, "package.mask:2: .*NUL"),
    "a space that is none": ({"package.use": "a/b c\u00a0d\n"}, "package.use:1: .*U\\+00A0"),
    "text turned around": ({"package.use": "a/b c\u202ed\n"}, "U\\+202E"),
    "a value behind a mask": ({"package.mask": "\na/b c/d\n"}, "package.mask:2: 'c/d'"),
    "a flag both ways": ({"package.use": "a/b c\na/c d\na/b -c\n"}, "package.use:3: 'c'"),
    "a keyword both ways": ({"package.keywords": "a/b ~x -~x\n"}, "package.keywords:1: '~x'"),
    "a mask both ways": (
        {"package.mask/1": "a/b\n", "package.mask/2": "-a/b\n"},
        "package.mask/2:1: a/b",
    ),
    "-* on one of two lines": (
        {"package.use": "a/b -* c\na/b d\n"},
        "package.use:2: a/b .*package.use:1",
    ),
    "two lines of licences": ({"package.license": "a/b X\na/b Y\n"}, "package.license:2: a/b .*:1"),
    "a block without values": ({"package.use": "a/b L10N:\n"}, "package.use:1: .*'L10N:'"),
    "a block before a block": ({"package.use": "a/b L10N: X: y\n"}, "package.use:1: .*'L10N:'"),
    "[DEFAULT]": ({"overlays/o": "[DEFAULT]\nmain-repo = x\n"}, "overlays/o:1: \\[DEFAULT\\]"),
    "interpolation": ({"overlays/o": "[a]\nx = %(y)s\n"}, "overlays/o:2: %"),
    "a key twice": ({"overlays/o": "[a]\nx = 1\nX: 2\n"}, "overlays/o:3: x .*overlays/o:2"),
    "a section twice": ({"overlays/o": "[a]\n\n[a]\n"}, "overlays/o:3: \\[a\\] .*overlays/o:1"),
    "a section in two files": (
        {"overlays/o": "[a]\n", "overlays/p": "[a]\n"},
        "overlays/p:1: \\[a\\] .*/o:1",
    ),
    "an indented line": ({"overlays/o": "[a]\nx = 1\n  y = 2\n"}, "overlays/o:3: .*indented"),
    "a comment behind a value": ({"overlays/o": "[a]\nx = 1 # one\n"}, "overlays/o:2: .*comment"),
    "a comment for a value": ({"overlays/o": "[a]\nx = ; one\n"}, "overlays/o:2: .*comment"),
    "a key in no section": ({"overlays/o": "x = 1\n"}, "overlays/o:1: .*section"),
    "a key without a value": ({"overlays/o": "[a]\nx\n"}, "overlays/o:2: "),
    "a section with a path": ({"overlays/o": "[../a]\n"}, "overlays/o:1: .*'../a'"),
    "something behind a section": ({"overlays/o": "[a] # b\n"}, "overlays/o:1: .*section"),
    "hello-1.ebuild, .*hello-99999": ({"app-misc/b/b-99999.ebuild": EBUILD}, "app-misc/b/.*, app-misc/hello"),
    "two versions": ({"app-misc/hello/hello-1.ebuild": EBUILD}, "hello-1.ebuild, .*hello-99999"),
    "a name that means nothing": ({"package.keyword": "a/b\n"}, "package.keyword: "),
    "a directory in env": ({"env/a/b": ""}, "env/a/b: "),
    "a file of env that is not there": ({"package.env": "a/b ../x\n"}, "package.env:1: env/../x"),
}


@pytest.mark.parametrize(("files", "told"), REJECTED.values(), ids=REJECTED)
def test_loading_rejects(files: Files, told: str, tmp_path: Path):
    folder = written(tmp_path, files)

    with raises("bad-dotgentoo", match=told):
        load_folder(folder)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("app-misc/hello/hello-1.0.ebuild", "hello-99999.ebuild"),
        ("app-misc/hello/other-99999.ebuild", "hello-99999.ebuild"),
        ("app-misc/hello-2/hello-2-99999.ebuild", "'hello-2'"),
        ("+x/hello/hello-99999.ebuild", "'\\+x'"),
        ("metadata/hello/hello-99999.ebuild", "no ebuild"),
        ("hello-99999.ebuild", "no ebuild"),
    ],
)
def test_the_path_of_the_ebuild_must_match_its_name(name: str, told: str, tmp_path: Path):
    folder = written(tmp_path, {name: EBUILD}, ebuild=False)

    with raises("bad-dotgentoo", match=told):
        load_folder(folder)


def test_an_ebuild_without_a_last_line_end_is_the_one_with_it(tmp_path: Path):
    first = written(tmp_path / "1", {AT: EBUILD})
    second = written(tmp_path / "2", {AT: EBUILD.removesuffix("\n")})

    assert compute_id(load_folder(first)) == compute_id(load_folder(second))


def test_an_ebuild_with_text_like_sections_has_another_id(tmp_path: Path):
    text = "#overlays\n[a]\n#keywords\n#mask\n#unmask\n#use\n"
    first = written(tmp_path / "1", {AT: f"{EBUILD}{text}"})
    second = written(tmp_path / "2", {"overlays/o": "[a]\n"})

    assert compute_id(load_folder(first)) != compute_id(load_folder(second))
