# SPDX-License-Identifier: GPL-2.0-or-later
"""The roots of profiles: listed, removed, taken elsewhere."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import BIN, Run

from gentoomuch_portage.containers import root_lock
from gentoomuch_portage.demo_host import Host
from gentoomuch_portage.demo_host.host import write


@pytest.fixture
def root(host: Host, tmp_path: Path) -> Path:
    """The root of the profile ``router``, with something in it."""
    host.profile("router", f'root = "{tmp_path / "roots/router"}"\n')
    write(host.eroot(tmp_path / "roots/router") / "etc/motd", "hello")
    (host.eroot(tmp_path / "roots/router") / "var/db/pkg").mkdir(parents=True)
    return tmp_path / "roots/router"


def test_roots_are_listed_with_their_state(host: Host, on: Run, root: Path) -> None:
    host.profile("laptop", "")
    host.profile("tv", 'root = "/nowhere/tv"\n')
    (host.eprefix / "var/lib/gentoomuch/laptop/roots/lab").mkdir(parents=True)

    told = {one["profile"]: one for one in json.loads(on("gentoomuch", "root", "ls", "--json").out)}

    assert {name: one["state"] for name, one in told.items()} == {
        "laptop": "partial",
        "router": "partial",
        "tv": "missing",
    }
    assert told["laptop"]["fresh_roots"] == ["lab"]


def test_a_root_is_not_removed_unless_somebody_agrees(on: Run, root: Path) -> None:
    refused = on("gentoomuch", "root", "rm", "router")
    there = root.is_dir()
    removed = on("gentoomuch", "root", "rm", "router", "--yes")

    assert refused.status == 64
    assert there
    assert removed.status == 0
    assert not root.exists()
    assert root.parent.is_dir()


def test_the_hosts_own_root_is_never_removed(host: Host, on: Run) -> None:
    host.profile("laptop", "")

    assert on("gentoomuch", "root", "rm", "laptop", "--yes").status == 78


def test_a_saved_fresh_root_is_removed_by_its_name(host: Host, on: Run, root: Path) -> None:
    fresh = host.eprefix / "var/lib/gentoomuch/router/roots/lab"
    fresh.mkdir(parents=True)

    ended = on("gentoomuch", "root", "rm", "router", "--fresh", "lab", "--yes")

    assert ended.status == 0
    assert not fresh.exists()
    assert root.is_dir()


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="only root mounts")
def test_a_root_with_a_mount_is_not_removed(host: Host, on: Run, root: Path, tmp_path: Path) -> None:
    write(tmp_path / "home/letter", "dear")
    (root / "home").mkdir()
    words = f'mount --bind "{tmp_path}/home" "{root}/home" && "{BIN}/gentoomuch" root rm router --yes'

    ended = subprocess.run(["unshare", "-m", "sh", "-c", words], env=host.env(), capture_output=True, text=True)

    assert "[mounted-root]" in ended.stderr
    assert (tmp_path / "home/letter").read_text() == "dear"
    assert (host.eroot(root) / "etc/motd").exists()


def test_a_thin_export_has_the_libraries_that_its_programs_are_linked_with(host: Host, on: Run, root: Path) -> None:
    vdb = host.eroot(root) / "var/db/pkg"
    for cpv, told in (
        ("app-demo/tool-1", {"REQUIRES": "x86_64: libc.so.6 libnone.so.1"}),
        ("sys-demo/libc-9", {"PROVIDES": "x86_64: libc.so.6", "REQUIRES": "x86_64: ld.so.2"}),
        ("sys-demo/libc-10", {"PROVIDES": "x86_64: libc.so.6 ld.so.2", "SLOT": "10"}),
        ("sys-demo/libc-11", {"PROVIDES": "x86_32: libc.so.6", "SLOT": "11"}),
    ):
        named = {"PF": cpv.partition("/")[2], "CATEGORY": cpv.partition("/")[0], "EAPI": "8", "SLOT": "0"}
        for name, text in {**named, "CONTENTS": "", "repository": "gm-demo", **told}.items():
            write(vdb / cpv / name, f"{text}\n" if text else "")

    ended = on("gentoomuch", "root", "export", "router", "--packages", "tool", "-o", root.parent / "x.tar")

    assert ended.status == 0, ended.err
    assert "libnone.so.1 (app-demo/tool-1)" in ended.err
    listed = (root.parent / "x.tar.packages").read_text().splitlines()
    assert [line.split("\t")[0] for line in listed] == ["app-demo/tool-1", "sys-demo/libc-10"]


def test_a_package_that_is_not_in_the_root_cannot_be_exported(on: Run, root: Path) -> None:
    ended = on("gentoomuch", "root", "export", "router", "--packages", "app-demo/nothing", "-o", root.parent / "x.tar")

    assert ended.status == 64
    assert "app-demo/nothing" in ended.err
    assert not (root.parent / "x.tar").exists()


@pytest.mark.parametrize(("name", "why"), [("../x.tar.bz2", "unknown suffix"), ("x.tar", "is inside the root")])
def test_export_rejects_unknown_suffixes_and_files_inside_the_root(on: Run, root: Path, name: str, why: str) -> None:
    ended = on("gentoomuch", "root", "export", "router", "-o", name, cwd=root)

    assert (ended.status, why in ended.err) == (64, True), ended.err
    assert [one.name for one in root.parent.iterdir()] == ["router"]
    assert not (root / "x.tar").exists()


@pytest.mark.parametrize("words", [("rm", "router", "--yes"), ("export", "router", "-o")])
def test_a_root_in_use_is_not_removed(on: Run, root: Path, words: tuple[str, ...]) -> None:
    out = [str(root.parent / "router.tar")] if words[-1] == "-o" else []

    with root_lock.shared(root):
        ended = on("gentoomuch", "root", *words, *out)

    assert ended.status == 75
    assert f"{root} is in use by" in ended.err
    assert [one.name for one in root.parent.iterdir()] == ["router"]
