# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch patch check``: what is wrong with patches, found without building."""

import bz2
import json
from pathlib import Path

import pytest
from helpers.patches import greeting, package, put

from gentoomuch_portage.demo_host import Host

LIB = "dev-demo/libgreet"
GOOD = greeting("hello", "good day")
FAR = GOOD.replace(" #else\n", " #elif 1\n")
HEAD = GOOD.index(" #else")
CRLF = GOOD[:HEAD] + GOOD[HEAD:].replace("\n", "\r\n")

BAD = {
    "a wrong -p level": (f"{LIB}/x.patch", greeting("hello", "x", before="", after=""), 1, "level", "-p0"),
    "a deeper -p level": (f"{LIB}/x.patch", greeting("hello", "x", before="a/b/", after="a/b/"), 1, "level", "-p2"),
    "fuzz": (f"{LIB}/x.patch", FAR, 3, "fuzz", "with fuzz"),
    "already upstream": (f"{LIB}/x.patch", greeting("bonjour", "hello"), 0, "upstream", "already in the sources"),
    "no longer applying": (f"{LIB}/x.patch", greeting("bonjour", "x"), 3, "stale", "greet.c: Hunk #1 FAILED"),
    "a wrong name": ("dev-demo/libgret/x.patch", GOOD, 0, "name", "dev-demo/libgret; libgreet ?"),
    "a wrong category": ("dev-dmo/libgreet/x.patch", GOOD, 0, "name", "dev-demo ?"),
    "a version that there is not": ("dev-demo/libgreet-0.9/x.patch", GOOD, 0, "version", "-1.0)"),
    "a wrong slot": (f"{LIB}:5/x.patch", GOOD, 0, "slot", "(there are: 0)"),
    "empty": (f"{LIB}/x.patch", "", 0, "empty", "no such patch"),
    "binary": (f"{LIB}/x.patch", "diff --git a/x b/x\nGIT binary patch\nliteral 1\nIcmZ\n", 1, "binary", "binary file"),
    "outside by ../": (f"{LIB}/x.patch", GOOD.replace("/greet.c", "/../../greet.c"), 1, "outside", "../greet.c"),
    "partly outside": (f"{LIB}/x.patch", GOOD.replace("b/greet.c", "b/../../greet.c"), 1, "outside", "../greet.c"),
    "the other ends of lines": (f"{LIB}/x.patch", CRLF, 3, "endings", "differ from those"),
    "backwards": (f"{LIB}/x.patch", greeting("good day", "hello"), 0, "upstream", "already in the sources"),
    "outside by a path": (f"{LIB}/x.patch", greeting("hello", "x", before="/e/", after="/e/"), 1, "outside", "/e/"),
    "no patch": (f"{LIB}/x.patch", "hello\n", 1, "no-patch", "no change that patch(1)"),
    "misplaced": ("dev-demo/x.patch", GOOD, 0, "place", "CAT/PACKAGE/NAME.patch"),
    "misnamed": (f"{LIB}/x.patch.txt", GOOD, 0, "place", "CAT/PACKAGE/NAME.patch"),
}  # fmt: skip
NEVER_APPLIED = {"name", "version", "slot", "empty", "place"}
"""What is wrong with a patch that Portage does not even read for any package."""


@pytest.fixture
def bad(host: Host) -> Host:
    """A profile whose one set has every bad patch, each in a package of its own that is libgreet's twin."""
    source = (host.repository / LIB / "libgreet-1.0.ebuild").read_text()
    for number, (name, text, *_) in enumerate(BAD.values()):
        twin = f"twin{number}"
        folder = host.repository / "dev-demo" / twin
        folder.mkdir()
        (folder / f"{twin}-1.0.ebuild").write_text(
            source.replace("${P}.tar.gz", "libgreet-1.0.tar.gz") + 'S="${WORKDIR}/libgreet-1.0"\n'
        )
        (folder / "Manifest").write_bytes((host.repository / LIB / "Manifest").read_bytes())
        put(host, f"bad/{name.replace('libgreet', twin)}".replace("/x.", f"/{number}-x."), text)
    host.profile("a", 'patches = ["bad"]\n')
    return host


def checked(on) -> list[dict]:
    ended = on("gentoomuch", "patch", "check", "--json")
    assert ended.err == ""
    found = json.loads(ended.out)
    assert ended.status == bool(found)
    return found


def told(found: list[dict]) -> list[tuple]:
    return [(Path(one["file"]).name, one["line"], one["kind"]) for one in found]


def test_good_patches_are_clean(host: Host, on):
    put(host, f"good/{LIB}/x.patch", GOOD)
    put(host, "good/dev-demo/libgreet-1.0:0/x.patch", "")
    put(host, "good/README", "what this is for\n")
    host.profile("a", 'patches = ["good"]\n')

    ended = on("gentoomuch", "patch", "check")

    assert (ended.status, ended.out) == (0, "")


@pytest.mark.slow
def test_each_bad_patch_has_its_finding(bad: Host, on):
    link = put(bad, "bad/dev-demo/twin0/out.patch", "")
    link.unlink()
    link.symlink_to(bad.etc / "make.conf")

    found = {Path(one["file"]).name: one for one in checked(on)}

    for number, (name, _, line, kind, text) in enumerate(BAD.values()):
        one = found.pop(f"{number}-{name.rpartition('/')[2]}")
        assert (one["line"], one["kind"]) == (line, kind), one
        assert text in one["text"]
    assert found.pop("out.patch")["kind"] == "link"
    assert found == {}


@pytest.mark.slow
def test_each_build_that_needs_a_bad_patch_stops_with_its_name(bad: Host, on):
    needed = [
        number
        for number, (name, (*_, kind, _)) in enumerate(BAD.items())
        if kind not in NEVER_APPLIED and name != "partly outside"  # patch(1) takes the other name
    ]

    ended = on("gm-emerge", "--gm-profile=a", "-B", "--keep-going", "-q", *(f"dev-demo/twin{one}" for one in needed))

    assert ended.status == 1
    assert len(needed) == 11
    report = ended.out + ended.err
    for number in needed:
        assert f"ERROR: dev-demo/twin{number}-1.0::gm-demo failed (prepare phase)" in report, number
        assert f"failed with '{bad.folder}" in report
        assert f"/patches/dev-demo/twin{number}/00-bad-{number}-x.patch'" in report, number
    assert not list(bad.pkgdir.glob("dev-demo/*/*"))


def test_patches_in_etc_portage_may_have_fuzz_and_packages_do_not_record_the_check(host: Host, on):
    put(host, f"good/{LIB}/x.patch", GOOD)
    mine = host.etc / "patches" / LIB / "1-mine.patch"
    mine.parent.mkdir(parents=True)
    mine.write_text(greeting("good day", "good night").replace(" #else\n", " #elif 1\n"))
    (host.etc / "profile").mkdir()
    (host.etc / "profile/profile.bashrc").write_text('einfo "mine is read"\n')
    host.profile("a", 'patches = ["good"]\n')

    ended = on("gm-emerge", "--gm-profile=a", LIB)

    assert ended.status == 0
    assert "with fuzz" in ended.out
    assert "mine is read" in ended.out
    kept = bz2.decompress((host.vdb / f"{LIB}-1.0/environment.bz2").read_bytes())
    assert b"fuzz" not in kept


def test_check_reports_a_conflict_between_sets(host: Host, on):
    one, two = (put(host, f"{name}/{LIB}/x.patch", greeting("hello", name)) for name in ("one", "two"))
    host.profile("a", 'patches = ["one", "two"]\n')

    [found] = checked(on)
    lint = on("gentoomuch", "profile", "lint", "a")

    assert (found["file"], found["line"], found["kind"], found["profiles"]) == (str(two), 3, "conflict", ["a"])
    assert "applies alone, but not after previous patches: greet.c: Hunk #1 FAILED" in found["text"]
    assert f"patch sets 'one' and 'two' both change greet.c of {LIB}" in lint.out
    assert f"{one}:1" in lint.out


@pytest.mark.slow
def test_check_reports_packages_installed_with_other_patches(host: Host, on):
    host.profile("a", "")
    assert on("gm-emerge", "--gm-profile=a", "-q", LIB).status == 0
    put(host, f"good/{LIB}/x.patch", GOOD)
    host.profile("a", 'patches = ["good"]\n')

    [found] = checked(on)

    assert (found["kind"], found["package"]) == ("changed", f"{LIB}-1.0")
    assert found["text"].endswith("was built without the user patches of profile a: 00-good-x.patch")


def test_check_reports_sources_that_cannot_be_prepared(host: Host, on):
    package(host, "dev-demo/dies-1.0", {"a.txt": "a\n"}, more='src_unpack() { die "no way"; }\n')
    package(host, "dev-demo/aged-1.0", {"a.txt": "a\n"}, eapi="5")
    put(host, "bad/dev-demo/dies/x.patch", "--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-a\n+b\n")
    put(host, "bad/dev-demo/aged/x.patch", "--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-a\n+b\n")
    host.profile("a", 'patches = ["bad"]\n')

    aged, dies = checked(on)

    assert (aged["kind"], dies["kind"]) == ("unprepared", "unprepared")
    assert "EAPI 5, which applies no user patches" in aged["text"]
    assert "no way" in dies["text"]


@pytest.mark.slow
def test_check_tests_all_visible_versions_or_only_the_named_one(host: Host, on):
    for version, line in (("1.0", "old"), ("1.1", "new"), ("1.2", "newer"), ("2.0", "new")):
        more = 'KEYWORDS="~amd64 ~arm64 ~ppc64 ~riscv"' if version == "2.0" else ""
        package(host, f"dev-demo/many-{version}", {"a.txt": f"{line}\n"}, more=more)
    change = "--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-{}\n+mended\n"
    put(host, "all/dev-demo/many/x.patch", change.format("new"))
    put(host, "named/dev-demo/many-1.0/y.patch", change.format("old"))
    host.profile("a", 'patches = ["all"]\n')
    host.profile("b", 'patches = ["named"]\n')

    found = checked(on)

    assert [(one["kind"], one["package"], one["profiles"]) for one in found] == [
        ("stale", "dev-demo/many-1.0", ["a"]),
        ("stale", "dev-demo/many-1.2", ["a"]),
    ]


def test_check_tests_the_best_version_if_all_are_masked(host: Host, on):
    for version in ("1.0", "2.0"):
        more = 'KEYWORDS="~amd64 ~arm64 ~ppc64 ~riscv"'
        package(host, f"dev-demo/many-{version}", {"a.txt": f"{version}\n"}, more=more)
    put(host, "all/dev-demo/many/x.patch", "--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-3.0\n+mended\n")
    host.profile("a", 'patches = ["all"]\n')

    assert [one["package"] for one in checked(on)] == ["dev-demo/many-2.0"]
