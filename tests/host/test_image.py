# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch image``: images of real packages, built in real containers."""

import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import pytest
from conftest import Ended, Run
from helpers.containers import need, some

from gentoomuch_portage.demo_host import Host

_PROGRAM = """#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
int main(void) {{ {} }}
"""
_MAKE = 'return close(open("/made", O_CREAT | O_WRONLY, 0644));'
_PRINT = 'puts("hello from the image"); return 0;'
_PASS = 'return access("/made", R_OK) || access("/etc/motd", R_OK) || close(open("/tested", O_CREAT | O_WRONLY, 0644));'


def _write_program(host: Host, name: str, body: str) -> None:
    """Write a program that runs in an image without a C library."""
    file = host.config / "images" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    argv = ["gcc", "-static", "-o", str(file), "-x", "c", "-"]
    ended = subprocess.run(argv, input=_PROGRAM.format(body), text=True, capture_output=True, check=False)
    if ended.returncode:
        pytest.skip(f"no static program can be linked: {ended.stderr.strip().splitlines()[-1]}")


def _data(ended: Ended) -> Any:
    assert ended.status == 0, ended.out + ended.err
    return json.loads(ended.out)


def _build(on: Run, *words: str) -> dict[str, str]:
    return {row["name"]: row["result"] for row in _data(on("gentoomuch", "image", "build", "--json", *words))}


def _folder(host: Host, name: str) -> Path:
    return host.eprefix / "var/cache/gentoomuch/images" / name


def _bytes(host: Host, *names: str) -> dict[str, bytes]:
    files = (file for name in names for file in _folder(host, name).resolve().rglob("*") if file.is_file())
    return {f"{file.parent.name.partition('-')[0]}/{file.name}": file.read_bytes() for file in files}


def test_an_invalid_profile_and_missing_packages_concern_only_their_image(host: Host, on: Run) -> None:
    host.profile("bad", "[image]\nformats = 3\n")
    host.profile("web", '[image]\nformats = ["tar"]\npackages = ["app-demo/gm-hello"]\n')
    host.profile("empty", '[image]\nformats = ["tar"]\nparent = "base"\n')
    host.profile("base", '[image]\nformats = ["tar"]\nparent = ""\npackages = ["@machine"]\n')
    host.profile("plain", "")

    rows = {row["name"]: row for row in _data(on("gentoomuch", "image", "ls", "--json"))}
    ended = on("gentoomuch", "image", "build", "web")

    assert {name: row["state"] for name, row in rows.items()} == dict.fromkeys(
        ("bad", "base", "empty", "web"), "invalid"
    )
    assert rows["bad"]["code"] == "bad-setting"
    assert rows["base"]["code"] == rows["empty"]["code"] == rows["web"]["code"] == "missing-image-packages"
    assert (ended.status, "[missing-image-packages]" in ended.err) == (70, True), ended.err
    assert not _folder(host, "web").exists()
    assert not list(Path(host.eprefix / "var/cache/gentoomuch").glob("images/*"))


def test_why_without_an_image_names_those_that_exist(host: Host, on: Run) -> None:
    host.profile("plain", "")
    host.profile("web", '[image]\nformats = ["tar"]\n')

    ended = on("gentoomuch", "image", "why", "plain")

    assert (ended.status, "[no-image]" in ended.err, "available: web" in ended.err) == (64, True, True), ended.err


def test_the_graph_has_each_image_and_its_parent(host: Host, on: Run) -> None:
    host.profile("base", '[image]\nformats = ["tar"]\n')
    host.profile("web", '[image]\nformats = ["tar"]\nparent = "base"\n')

    assert on("gentoomuch", "image", "graph").out.splitlines() == [
        "digraph images {", '  "base";', '  "web";', '  "base" -> "web";', "}",
    ]  # fmt: skip


@pytest.fixture
def images(host: Host, on: Run) -> Host:
    """Two images: ``base`` with a library, and ``web`` on it with a program and files."""
    some()
    need("unshare")
    _write_program(host, "make", _MAKE)
    _write_program(host, "check", _PASS)
    _write_program(host, "server/hello", _PRINT)
    motd = host.config / "images/server/etc/motd"
    motd.parent.mkdir()
    motd.write_text("welcome\n")
    host.profile(
        "base", 'packages = ["dev-demo/libgreet"]\n[image]\nformats = ["oci", "tar"]\npackages = ["@machine"]\n'
    )
    host.profile(
        "web",
        '[image]\nformats = ["oci", "oci-dir", "tar"]\nparent = "base"\npackages = ["app-demo/gm-hello"]\n'
        'files = ["server"]\nrun = ["make"]\ntest = ["check"]\nremove = ["*/greet.h"]\ncmd = ["/hello"]\n'
        'tags = ["gm-test/web:1"]\n',
    )
    ended = on("gm-emerge", "--gm-profile=base", "-1q", "app-demo/gm-hello")
    assert ended.status == 0, ended.out + ended.err
    return host


@pytest.mark.slow
def test_an_image_is_built_again_only_after_a_change_and_with_equal_bytes(images: Host, on: Run) -> None:
    first = _build(on, "web")
    before = _bytes(images, "base", "web")
    again = _build(on, "--all")
    forced = _build(on, "--all", "--force")
    with tarfile.open(_folder(images, "web") / "layer.tar.gz") as tar:
        names = {Path(name).name: name for name in tar.getnames()}

    assert first == {"base": "built", "web": "built"}
    assert again == {"base": "current", "web": "current"}
    assert forced == {"base": "built", "web": "built"}
    assert _bytes(images, "base", "web") == before
    assert {"gm-hello", "made", "motd", ".wh.greet.h"} <= names.keys()
    assert not {"libgreet.so.1", "tested"} & names.keys()
    assert "dev-demo/libgreet-1.0" in (_folder(images, "web") / "web.packages").read_text()
    assert json.loads((_folder(images, "web") / "web.cdx.json").read_text())["bomFormat"] == "CycloneDX"
    assert on("gentoomuch", "image", "why", "web").status == 0

    _write_program(images, "make", _MAKE.replace("0644", "0600"))
    why = on("gentoomuch", "image", "why", "web")

    assert (why.status, why.out.strip()) == (1, "run 1 make: changed")
    assert _build(on, "--all", "--pretend") == {"base": "current", "web": "to build"}
    assert _build(on, "--all") == {"base": "current", "web": "built"}


@pytest.mark.slow
def test_a_failed_test_leaves_the_old_image(images: Host, on: Run) -> None:
    _build(on, "web")
    before = _bytes(images, "web")
    _write_program(images, "check", "return 3;")

    ended = on("gentoomuch", "image", "build", "web")

    assert (ended.status, "[image-test-failed]" in ended.err) == (70, True), ended.err
    assert "check ended with 3" in ended.err
    assert _bytes(images, "web") == before
    assert not list((images.eprefix / "var/tmp").glob("gentoomuch-image-*"))
    assert len(list(_folder(images, "web").parent.glob(".web-*"))) == 1


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("podman"), reason="podman as root is needed")
def test_podman_runs_the_image(images: Host, on: Run) -> None:
    _build(on, "web")
    archive, layout = _folder(images, "web") / "web.oci.tar", _folder(images, "web") / "web.oci"
    with tempfile.TemporaryDirectory(prefix="gm-") as place:  # podman accepts only short names
        store = ["podman", "--root", f"{place}/store", "--runroot", f"{place}/run", "--storage-driver", "vfs"]
        store += ["--cgroup-manager", "cgroupfs", "--events-backend", "file"]

        def podman(*words: str | Path) -> subprocess.CompletedProcess[str]:
            return subprocess.run([*store, *map(str, words)], capture_output=True, text=True, check=False)

        limits = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4000:4000")  # not more than in a container
        loaded = podman("load", "-i", archive)
        ran = podman("run", "--rm", "--network", "none", *limits, "localhost/gm-test/web:1")
        copied = podman("pull", f"oci:{layout}:gm-test/web:1")

    assert loaded.returncode == 0, loaded.stderr
    assert "gm-test/web:1" in loaded.stdout
    assert (ran.returncode, ran.stdout) == (0, "hello from the image\n"), ran.stderr
    assert copied.returncode == 0, copied.stderr
