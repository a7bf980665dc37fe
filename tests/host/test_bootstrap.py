"""Roots as the command makes them; those that are no roots of profiles are left alone."""

import shutil
import tempfile
from pathlib import Path

import pytest
from conftest import Run
from stages import packed, signer

from gentoomuch_portage.demo_host import Host
from gentoomuch_portage.demo_host.host import write
from gentoomuch_portage.portage_adapter.config import Arrangement
from gentoomuch_portage.roots import export


def test_a_root_that_is_the_host_is_refused(host: Host, on: Run) -> None:
    host.profile("router", "")

    ended = on("gentoomuch", "bootstrap", "router", "--from-host")

    assert ended.status == 78
    assert "[root-is-host]" in ended.err


def test_a_folder_of_something_else_is_not_filled(host: Host, on: Run, tmp_path: Path) -> None:
    write(tmp_path / "home/letter", "dear")
    host.profile("router", f'root = "{tmp_path / "home"}"\n')

    ended = on("gentoomuch", "bootstrap", "router", "--from-host")

    assert ended.status == 70
    assert [one.name for one in (tmp_path / "home").iterdir()] == ["letter"]


@pytest.mark.skipif(not shutil.which("gpg"), reason="there is no gpg")
def test_a_stage3_of_ones_own_needs_its_key_and_its_fingerprint(host: Host, on: Run, tmp_path: Path) -> None:
    stage, root = tmp_path / "stage3.tar", tmp_path / "roots/router"
    stage.write_bytes(packed())
    host.profile("router", f'root = "{root}"\n')
    with tempfile.TemporaryDirectory(prefix="gm-") as folder:
        key = signer(Path(folder, "k"))
        key.sign(stage)
        words = ("gentoomuch", "bootstrap", "router", "--stage3", stage, "--key", key.public)

        refused = on(*words)
        absent = not root.exists()
        made = on(*words, "--fingerprint", key.fingerprint)

    assert refused.status == 70
    assert f"--fingerprint {key.fingerprint}" in refused.err
    assert absent
    assert made.status == 0, made.err
    assert (root / "usr/bin/sh").read_text() == "a shell"


def test_an_image_becomes_a_root(host: Host, on: Run, tmp_path: Path) -> None:
    write(tmp_path / "small/usr/bin/sh", "a shell")
    small, root = tmp_path / "small", tmp_path / "roots/router"
    told = {"packages": (), "arrangement": Arrangement(True, ("lib",)), "thin": False}
    export.export(export.Export(root=small, top=small, name="small", **told), "oci", tmp_path / "image")
    host.profile("router", f'root = "{root}"\n')

    made = on("gentoomuch", "bootstrap", "router", "--oci", tmp_path / "image")

    assert made.status == 0, made.err
    assert (root / "usr/bin/sh").read_text() == "a shell"


@pytest.mark.parametrize("said", [{"isolation": "docker"}, {}])
def test_docker_is_refused_before_a_root_is_begun(host: Host, on: Run, tmp_path: Path, said: dict[str, str]) -> None:
    root = tmp_path / "roots/router"
    host.profile("router", f'root = "{root}"\nisolation = "{said.get("isolation", "none")}"\n')
    words = [] if said else ["--isolation", "docker"]

    ended = on("gentoomuch", "bootstrap", "router", "--from-host", *words)

    assert (ended.status, "podman" in ended.err) == (69, True), ended.err
    assert not root.exists()


def test_options_of_another_way_are_refused(host: Host, on: Run, tmp_path: Path) -> None:
    host.profile("router", f'root = "{tmp_path / "roots/router"}"\n')

    ended = on("gentoomuch", "bootstrap", "router", "--from-host", "--key", tmp_path / "key.asc")

    assert ended.status == 64
    assert "--key" in ended.err
