# SPDX-License-Identifier: GPL-2.0-or-later
"""What a patch touches, what its head says, and which patches a package gets."""

import hashlib
from pathlib import Path

import pytest

from gentoomuch_portage.binpkg_filter import user_patches
from gentoomuch_portage.patches import parse
from gentoomuch_portage.portage_adapter.patch_digest import Package, digest, find_applied

HELLO = Package(category="app-misc", name="hello", version="2.0", revision="r1", slot="0")

UNIFIED = (
    b"words\n--- a/src/x.c\t2026-01-01\n+++ b/src/x.c\t2026-01-02\n@@ -1,2 +1,2 @@\n"
    b"--- no header\n+++ no header\n same\n"
)
CONTEXT = b"*** a/x.c 2026-01-01 00:00:00\n--- b/x.c 2026-01-02 00:00:00\n***************\n*** 1,2 ****\n--- 1,2 ----\n"
RENAME = b"diff --git a/old name b/new\nsimilarity index 90%\nrename from old name\nrename to new\n"
QUOTED = b'diff --git "a/t\\303\\244b\\tc" "b/t\\303\\244b\\tc"\nold mode 100644\nnew mode 100755\n'
SPACES = b"diff --git a/a b b/a b\nnew file mode 100644\n"
BINARY = b"diff --git a/x b/x\nindex 1..2\nGIT binary patch\nliteral 1\n"
DIFFER = b"Binary files a/x and b/x differ\n"


@pytest.mark.parametrize(
    ("patch", "names", "line"),
    [
        (UNIFIED, [("a/src/x.c", "b/src/x.c")], 2),
        (UNIFIED.replace(b"\n", b"\r\n"), [("a/src/x.c", "b/src/x.c")], 2),
        (CONTEXT, [("a/x.c", "b/x.c")], 1),
        (RENAME, [("a/old name", "b/new")], 1),
        (QUOTED, [("a/täb\tc", "b/täb\tc")], 1),
        (SPACES, [("a/a b", "b/a b")], 1),
        (BINARY, [("a/x", "b/x")], 1),
        (DIFFER, [("a/x", "b/x")], 1),
        (b"nothing\nof the kind\n", [], 0),
        (b"", [], 0),
    ],
)
def test_the_files_of_a_patch(patch: bytes, names: list[tuple[str, str]], line: int):
    found = parse.find_touched(patch)

    assert [(one.old, one.new) for one in found] == names
    assert [one.line for one in found] == [line for _ in names]


def test_two_files_and_the_lines_of_their_hunks():
    found = parse.find_touched(UNIFIED + UNIFIED)

    assert [(one.line, one.hunks) for one in found] == [(2, (4,)), (9, (11,))]


@pytest.mark.parametrize("patch", [BINARY, DIFFER])
def test_a_binary_is_seen(patch: bytes):
    assert parse.find_touched(patch)[0].binary


def laid(folder: Path, *names: str) -> Path:
    for name in names:
        file = folder / "app-misc" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("" if "empty" in name else name)
    return folder


def test_patches_of_all_directories_are_sorted_by_name(tmp_path: Path):
    laid(tmp_path, "hello/c.patch", "hello-2.0/b.diff", "hello-2.0-r1:0/a.patch", "hello:1/no.patch", "hello/no.txt")

    assert list(find_applied(tmp_path, HELLO)) == ["a.patch", "b.diff", "c.patch"]


@pytest.mark.parametrize("better", ["hello:0", "hello-2.0", "hello-2.0:0", "hello-2.0-r1", "hello-2.0-r1:0"])
def test_the_more_specific_directory_wins_for_equal_names(tmp_path: Path, better: str):
    laid(tmp_path, "hello/a.patch", f"{better}/a.patch")

    assert find_applied(tmp_path, HELLO)["a.patch"].parent.name == better


def test_an_empty_file_negates(tmp_path: Path):
    laid(tmp_path, "hello/a.patch")
    (tmp_path / "app-misc/hello:0").mkdir()
    (tmp_path / "app-misc/hello:0/a.patch").touch()

    assert find_applied(tmp_path, HELLO) == {}
    assert digest(find_applied(tmp_path, HELLO)) == ""


def test_the_digest_is_portages(tmp_path: Path):
    laid(tmp_path, "hello/b.patch", "hello-2.0/a.patch")
    each = [hashlib.sha256(one.encode()).hexdigest() for one in ("hello-2.0/a.patch", "hello/b.patch")]

    assert digest(find_applied(tmp_path, HELLO)) == hashlib.sha256("".join(each).encode()).hexdigest()


def test_the_head_of_git_is_read():
    patch = (
        b"From 1234567890123456789012345678901234567890 Mon Sep 17 00:00:00 2001\nFrom: =?UTF-8?q?J=C3=B6?= <j@x>\n"
        b"Date: Fri, 2 Jan 2026 03:04:05 +0000\nSubject: [PATCH 2/3] Mend\n it\n\nBecause.\n\nMade for: a/b-1::r\n---\n"
    )

    found = parse.parse_header(patch + UNIFIED, "0002-mend.patch")

    assert (found.name, found.address, found.subject) == ("Jö", "j@x", "Mend it")
    assert (found.body, found.made_for) == ("Because.", "a/b-1::r")


def test_a_patch_without_a_head_is_named_by_its_file():
    found = parse.parse_header(UNIFIED, "0010-mend-the-build.patch")

    assert (found.subject, found.name, found.body) == ("mend the build", "", "")


def test_text_that_looks_like_a_diff_is_indented():
    said = parse.Header(
        name="a", address="a@x", date="now", subject="s", body="--- a/x\n1d0\nfine", made_for="c/p-1::r"
    )

    assert parse.find_touched(said.text.encode()) == ()
    assert "> --- a/x\n> 1d0\nfine\n" in said.text


@pytest.mark.parametrize(
    ("words", "lifted"),
    [
        (("-k", "--binpkg-respect-user-patches=n", "x"), True),
        (("--binpkg-respect-user-patches", "n", "x"), True),
        (("--binpkg-respect-user-patches=y", "x"), False),
        (("--binpkg-respect-user-patches", "y", "n"), False),
        (("x", "n"), False),
        ((), False),
    ],
)
def test_binpkg_respect_user_patches_disables_the_check(words: tuple[str, ...], lifted: bool):
    assert user_patches.is_disabled(words) is lifted


@pytest.mark.parametrize(
    ("theirs", "told", "ours", "reason"),
    [
        ("", {}, {"1": "a"}, "was built without the user patches of profile p: a"),
        ("x" * 64, {"1": "a"}, {}, "was built with user patches that profile p does not have: a"),
        ("x" * 64, {}, {}, "was built with user patches that profile p does not have: of digest xxxxxxxxxxxx"),
        (
            "x",
            {"2": "b", "1": "a"},
            {"1": "a", "2": "b"},
            "was built with the user patches of profile p in another order",
        ),
        ("x", {"2": "b"}, {"1": "a"}, "was built with other user patches (b) than those of profile p (a)"),
    ],
)
def test_the_reject_reason_names_the_patch(theirs: str, told: dict[str, str], ours: dict[str, str], reason: str):
    assert user_patches.reason(theirs, told, ours, "p") == reason
