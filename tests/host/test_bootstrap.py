# SPDX-License-Identifier: GPL-2.0-or-later
"""Roots as the command makes them; those that are no roots of profiles are left alone."""

import lzma
import shutil
import tempfile
from pathlib import Path

import pytest
from conftest import Run
from helpers.stages import packed, signer

from gentoomuch_portage.demo_host import Host
from gentoomuch_portage.demo_host.host import find_arch, write
from gentoomuch_portage.portage_adapter.config import Arrangement
from gentoomuch_portage.roots import export
from gentoomuch_portage.roots.at_hand import Kind


def test_bootstrap_rejects_the_host_as_root(host: Host, on: Run) -> None:
    host.profile("router", "")

    ended = on("gentoomuch", "bootstrap", "router", "--from-host")

    assert ended.status == 78
    assert "[root-is-host]" in ended.err


def test_bootstrap_rejects_a_directory_with_other_files(host: Host, on: Run, tmp_path: Path) -> None:
    write(tmp_path / "home/letter", "dear")
    host.profile("router", f'root = "{tmp_path / "home"}"\n')

    ended = on("gentoomuch", "bootstrap", "router", "--from-host")

    assert ended.status == 70
    assert [one.name for one in (tmp_path / "home").iterdir()] == ["letter"]


@pytest.mark.skipif(not shutil.which("gpg"), reason="there is no gpg")
def test_an_own_stage3_requires_key_and_fingerprint(host: Host, on: Run, tmp_path: Path) -> None:
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


@pytest.mark.skipif(not shutil.which("gpg"), reason="there is no gpg")
def test_bootstrap_without_a_source_unpacks_the_newest_verified_stage3_of_distdir(
    host: Host, on: Run, tmp_path: Path
) -> None:
    arch = Kind.of_profile(find_arch()[1], None).arch
    root = tmp_path / "roots/router"
    host.profile("router", f'root = "{root}"\n')
    host.distdir.mkdir(parents=True, exist_ok=True)
    names = ("20260101", "openrc-20260301T170000Z", "20260401", "musl-20260501", "20260601")
    old, new, forged, musl, unsigned = (host.distdir / f"stage3-{arch}-{name}.tar.xz" for name in names)
    for stage in (old, new, forged, musl, unsigned):
        stage.write_bytes(lzma.compress(packed()))
    with tempfile.TemporaryDirectory(prefix="gm-") as folder:
        key = signer(Path(folder, "k"))
        for stage in (old, new, forged, musl):
            key.sign(stage)
        forged.write_bytes(b"changed")

        made = on("gentoomuch", "bootstrap", "router", "--key", key.public, "--fingerprint", key.fingerprint)

    assert made.status == 0, made.err
    assert f"bootstrap: from {new}, the newest verified stage3-{arch} in DISTDIR" in made.err
    assert f"{unsigned} is not used: signature of" in made.err
    assert f"{forged} is not used: cannot verify" in made.err
    assert str(musl) not in made.err
    assert (root / "usr/bin/sh").read_text() == "a shell"


def test_bootstrap_without_any_source_says_what_is_missing(host: Host, on: Run, tmp_path: Path) -> None:
    root = tmp_path / "roots/router"
    host.profile("router", f'root = "{root}"\n')

    ended = on("gentoomuch", "bootstrap", "router", "--isolation", "docker")

    assert ended.status == 70
    assert "[no-source]" in ended.err
    assert f"in {host.distdir}, and this host cannot install into it: docker is not supported" in ended.err
    assert "gentoomuch bootstrap router --stage3 FILE" in ended.err
    assert not root.exists()


def test_bootstrap_without_a_source_does_not_touch_a_finished_root(host: Host, on: Run, tmp_path: Path) -> None:
    root = tmp_path / "roots/router"
    host.eroot(root).joinpath("var/db/pkg/a/b-1").mkdir(parents=True)
    host.profile("router", f'root = "{root}"\n')

    ended = on("gentoomuch", "bootstrap", "router")

    assert (ended.status, "gentoomuch update router" in ended.err) == (70, True), ended.err


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
def test_docker_is_rejected_before_a_root_is_created(host: Host, on: Run, tmp_path: Path, said: dict[str, str]) -> None:
    root = tmp_path / "roots/router"
    host.profile("router", f'root = "{root}"\nisolation = "{said.get("isolation", "none")}"\n')
    words = [] if said else ["--isolation", "docker"]

    ended = on("gentoomuch", "bootstrap", "router", "--from-host", *words)

    assert (ended.status, "podman" in ended.err) == (69, True), ended.err
    assert not root.exists()


def test_bootstrap_rejects_options_of_another_source(host: Host, on: Run, tmp_path: Path) -> None:
    host.profile("router", f'root = "{tmp_path / "roots/router"}"\n')

    ended = on("gentoomuch", "bootstrap", "router", "--from-host", "--key", tmp_path / "key.asc")

    assert ended.status == 64
    assert "--key" in ended.err
