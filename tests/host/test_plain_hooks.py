# SPDX-License-Identifier: GPL-2.0-or-later
"""Hooks for plain emerge: what each does there, what is left when it is switched off, and when gentoomuch is gone."""

import json
from pathlib import Path

import pytest

from gentoomuch_portage.demo_host import Host

PKG = "dev-demo/libgreet"
PATCH = "--- /dev/null\n+++ b/more.txt\n@@ -0,0 +1 @@\n+more\n"


def tree(host: Host) -> dict[str, bytes]:
    """All files of the host's configuration and of its usr/local, and all folders."""
    tops = (host.etc, host.eprefix / "usr/local")
    paths = [path for top in tops for path in (top, *top.rglob("*")) if path.exists()]
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in paths}


@pytest.fixture
def gentoomuch(on):
    """Run ``gentoomuch hooks``; it has to end well."""

    def run(*words: str):
        ended = on("gentoomuch", "hooks", *words)
        assert ended.status == 0, ended.err
        return ended

    return run


def test_disable_restores_the_state_before_enable(host: Host, gentoomuch):
    before = tree(host)
    gentoomuch("enable", "filter", "unmask", "record", "bashrc", "refresh", "snapshot")
    enabled = {one["name"] for one in json.loads(gentoomuch("ls", "--json").out) if one["state"] == "enabled"}

    gentoomuch("disable", "snapshot", "refresh", "bashrc", "record", "unmask", "filter")

    assert enabled == {"filter", "unmask", "record", "bashrc", "refresh", "snapshot"}
    assert tree(host) == before


def test_a_file_of_the_users_own_is_neither_overwritten_nor_removed(host: Host, on, gentoomuch):
    bashrc = host.write("bashrc", "# mine\n")
    ended = on("gentoomuch", "hooks", "enable", "bashrc", "--json")
    gentoomuch("enable", "filter")
    conf = host.etc / "sets.conf/gentoomuch.conf"
    conf.write_text(f"{conf.read_text()}cpu = haswell\n")

    refused = on("gentoomuch", "hooks", "disable", "filter", "--json")

    assert (ended.status, json.loads(ended.out)["error"]) == (78, "hook-taken")
    assert bashrc.read_text() == "# mine\n"
    assert (refused.status, json.loads(refused.out)["error"]) == (78, "hook-changed")
    assert conf.read_text().endswith("cpu = haswell\n")


@pytest.fixture
def mixed(host: Host, on) -> Host:
    """A host of x86-64 whose PKGDIR holds a package built for x86-64-v3, and with a patch for that package."""
    host.profile("here", 'cpu = "x86-64"\n')
    host.profile("new", 'cpu = "x86-64-v3"\n')
    assert on("gm-emerge", "--gm-profile=new", "-q", "--buildpkgonly", PKG).status == 0
    make_conf = host.etc / "make.conf"
    make_conf.write_text(make_conf.read_text() + 'CFLAGS="-O2 -march=x86-64"\nFEATURES="${FEATURES} buildpkg"\n')
    return host


def test_with_hooks_plain_emerge_rejects_and_records(mixed: Host, on, gentoomuch):
    gentoomuch("enable", "filter", "record", "--profile", "here")
    refused = on("emerge", "-pK", PKG)
    mixed.write(f"patches/{PKG}/say-more.patch", PATCH)

    built = on("emerge", "-q", PKG)

    assert refused.status == 1
    assert "have been ignored due to CPU features" in refused.err
    assert built.status == 0, built.out + built.err
    assert '"description": "-march=x86-64"' in gentoomuch("query", "requires", f"{PKG}-1.0").out
    assert gentoomuch("query", "patches", f"{PKG}-1.0").out.endswith(" say-more.patch\n")
    ran = on("gentoomuch", "binpkg", "ls", "--profile", "here", "--json")
    assert [bool(one["runs_on"]) for one in sorted(json.loads(ran.out), key=lambda one: one["build_id"])] == [
        False,
        True,
    ]


@pytest.mark.parametrize("hook", ["record", "bashrc"])
def test_ebuild_records_without_importing_gentoomuch(host: Host, on, gentoomuch, hook):
    host.profile("here", 'cpu = "x86-64"\n')
    gentoomuch("enable", hook, "--profile", "here")
    (ebuild,) = (host.repository / PKG).glob("*-1.0.ebuild")

    ended = on("ebuild", ebuild, "merge", CFLAGS="-O2 -march=x86-64")

    assert ended.status == 0, ended.out + ended.err
    assert '"description": "-march=x86-64"' in gentoomuch("query", "requires", f"{PKG}-1.0").out
    assert gentoomuch("query", "profile", f"{PKG}-1.0").out == "here\n"
    assert gentoomuch("query", "profile", PKG.partition("/")[2]).out == "here\n"
    assert "is not installed" in on("gentoomuch", "hooks", "query", "profile", "gm-hello").err


@pytest.mark.parametrize(
    "hooks",
    [
        ("filter", "unmask", "record", "bashrc", "refresh", "snapshot"),
        pytest.param(("unmask", "record", "refresh", "snapshot"), marks=pytest.mark.slow),
        pytest.param(("filter", "bashrc"), marks=pytest.mark.slow),
        pytest.param(("record",), marks=pytest.mark.slow),
    ],
    ids="-".join,
)
def test_emerge_works_with_one_warning_if_only_the_hooks_are_left(host: Host, on, gentoomuch, hooks: tuple[str, ...]):
    gentoomuch("enable", *hooks)
    for file in (host.etc, host.eprefix / "usr/local"):
        for path in (one for one in file.rglob("*gentoomuch*") if one.is_file()):
            _gone(path)
    if (host.etc / "bashrc").exists():
        _gone(host.etc / "bashrc")

    ended = on("emerge", "-q1", PKG)
    after = ";".join(f"test ! -e {one} || {one} gm-demo x y" for one in host.etc.glob("*postsync.d/gentoomuch"))
    synced = on("sh", "-c", after or ":")

    said = [line for line in (ended.out + ended.err).splitlines() if "gentoomuch" in line]
    assert ended.status == 0
    assert len(said) == 1, said
    assert (synced.status, synced.out + synced.err) == (0, "")


@pytest.mark.slow
def test_a_sync_writes_masks_again(host: Host, on, gentoomuch):
    host.profile("old", 'cpu = "x86-64"\n')
    host.profile("new", 'cpu = "x86-64-v3"\n')
    masks = host.etc / "package.mask/gentoomuch-cpu"
    assert on("gentoomuch", "binpkg", "mask", "--profile=old", "--write", masks).status == 0
    before = masks.read_text()
    assert on("gm-emerge", "--gm-profile=new", "-q", "--buildpkgonly", PKG).status == 0
    gentoomuch("enable", "refresh", "--profile", "old")

    ended = on(host.etc / "postsync.d/gentoomuch")
    again = on("gentoomuch", "hooks", "refresh")

    assert ended.status == 0, ended.err
    assert f"={PKG}-1.0-1" not in before
    assert f"={PKG}-1.0-1" in masks.read_text()
    assert again.out == ""


def _gone(file: Path) -> None:
    """What a hook finds once gentoomuch was uninstalled: no program, no module."""
    text = file.read_text().replace("gentoomuch_portage.", "gentoomuch_gone.")
    file.write_text(text.replace("/bin/gentoomuch", "/bin/gone-gentoomuch"))
