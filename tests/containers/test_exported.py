# SPDX-License-Identifier: GPL-2.0-or-later
"""What comes of exported roots: thin ones, and images that podman runs."""

import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Run
from helpers.waiting import HANG

from gentoomuch_portage import process
from gentoomuch_portage.demo_host import Host
from gentoomuch_portage.demo_host.host import write
from gentoomuch_portage.portage_adapter.config import Arrangement
from gentoomuch_portage.roots import export, install, oci
from gentoomuch_portage.roots.export import Export

_HELLO = """#include <stdio.h>
int main(void) { return puts("hello from the image") < 0; }
"""


def test_an_export_of_packages_has_only_their_run_time_dependencies(host: Host, on: Run, tmp_path: Path) -> None:
    root = tmp_path / "roots/router"
    host.profile("router", f'root = "{root}"\n')
    write(host.eroot(root) / "etc/motd", "hello")
    filled = on("gm-emerge", "--gm-profile=router", "--quiet", "gm-hello", ROOT=str(root))
    out = root.parent / "thin.tar"

    ended = on("gentoomuch", "root", "export", "router", "--packages", "gm-hello", "-o", out)

    assert (filled.status, ended.status) == (0, 0), filled.err + ended.err
    with tarfile.open(out) as tar:
        names = {one.removeprefix(f".{host.eprefix}/") for one in tar.getnames()}
    assert {"usr/bin/gm-hello", "usr/lib64/libgreet.so.1"} <= names
    assert not {"etc/motd", "var/db/pkg/app-demo"} & names
    listed = (root.parent / "thin.tar.packages").read_text().splitlines()
    assert [line.split("\t")[0] for line in listed] == ["app-demo/gm-hello-1.0", "dev-demo/libgreet-1.0"]


@pytest.fixture
def podman() -> Iterator[list[str]]:
    """podman with a store of its own, below a path that it takes."""
    if os.geteuid() or not (process.find_program("podman") and process.find_program("runc")):
        pytest.skip("podman with runc, as root, is not here")
    with tempfile.TemporaryDirectory(prefix="gm-") as folder:
        yield [
            "podman", "--root", f"{folder}/store", "--runroot", f"{folder}/run", "--tmpdir", f"{folder}/tmp",
            "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--events-backend", "file", "--runtime", "runc",
        ]  # fmt: skip


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A root of one program that needs nothing else."""
    program = tmp_path / "root/usr/bin/hello"
    program.parent.mkdir(parents=True)
    argv = ["gcc", "-static", "-x", "c", "-", "-o", str(program)]
    if not shutil.which("gcc") or subprocess.run(argv, input=_HELLO, text=True, capture_output=True).returncode:
        pytest.skip("no static program can be compiled here")
    return tmp_path / "root"


def _run(*words: str) -> str:
    ended = subprocess.run(words, capture_output=True, text=True, timeout=HANG)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_podman_loads_an_exported_image_runs_it_and_gives_it_back(podman: list[str], small: Path) -> None:
    what = Export(
        root=small, top=small, name="router", packages=(), arrangement=Arrangement(True, ("lib",)), thin=False
    )
    limits = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4000:4000")
    top = small.parent
    export.export(what, "oci", top / "router.oci")

    _run(*podman, "load", "--quiet", "--input", f"{top}/router.oci")
    said = _run(*podman, "run", "--rm", "--network", "none", *limits, "router", "hello")
    _run(*podman, "save", "--format", "oci-archive", "--output", f"{top}/oci.tar", "router")
    _run(*podman, "save", "--format", "docker-archive", "--output", f"{top}/docker.tar", "router")
    for form in ("oci", "docker"):
        install.install(oci.layers(top / f"{form}.tar"), top / form, quiet=True)

    assert said == "hello from the image\n"
    content = (small / "usr/bin/hello").read_bytes()
    assert [(top / form / "usr/bin/hello").read_bytes() == content for form in ("oci", "docker")] == [True, True]
