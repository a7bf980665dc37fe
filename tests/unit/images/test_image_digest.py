# SPDX-License-Identifier: GPL-2.0-or-later
"""The inputs of an image, its record, and the parameters of its containers."""

from dataclasses import replace
from pathlib import Path

import pytest

from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.images import digest, outputs
from gentoomuch_portage.images.digest import RECORD, BuiltLayer, ImagePackage, Record
from gentoomuch_portage.images.plan import ContainerSettings, ImagePlan

PACKAGE = ImagePackage(cpv="a/b-1", build_id=2, slot="0", path="/x", built=5, sha256="aa")


@pytest.fixture
def plan(tmp_path: Path) -> ImagePlan:
    (tmp_path / "files/etc").mkdir(parents=True)
    (tmp_path / "files/etc/motd").write_text("hello")
    (tmp_path / "finish").write_text("#!/bin/sh\n")
    return ImagePlan(name="web", formats=("oci",), files=(tmp_path / "files",), run=(tmp_path / "finish",))


def inputs(plan: ImagePlan, *packages: ImagePackage, parent: str = "") -> dict[str, str]:
    return dict(digest.find_inputs(plan, packages, parent=parent, architecture="amd64", masks=()))


def changes(plan: ImagePlan, before: dict[str, str], *packages: ImagePackage, parent: str = "") -> list[str]:
    return list(digest.find_changes(before, inputs(plan, *packages, parent=parent)))


def test_each_change_of_an_input_is_named(plan: ImagePlan, tmp_path: Path) -> None:
    before = inputs(plan, PACKAGE, parent="11")
    other = replace(plan, remove=("/x",), container=ContainerSettings(cmd=("/a",)))

    assert changes(plan, before, PACKAGE, parent="11") == []
    assert changes(plan, before, PACKAGE, parent="22") == ["parent: changed"]
    assert changes(plan, before, replace(PACKAGE, sha256="bb"), parent="11") == ["package a/b-1-2: changed"]
    assert changes(plan, before, parent="11") == ["package a/b-1-2: removed"]
    assert changes(other, before, PACKAGE, parent="11") == ["cmd: added", "remove: added"]
    (tmp_path / "finish").write_text("#!/bin/sh\ntrue\n")
    (tmp_path / "files/etc/motd").chmod(0o600)
    assert changes(plan, before, PACKAGE, parent="11") == ["files 1 files: changed", "run 1 finish: changed"]


def test_a_package_that_only_the_installation_needs_is_no_input(plan: ImagePlan) -> None:
    assert changes(plan, inputs(plan), replace(PACKAGE, target=False)) == []


def test_a_record_without_its_files_does_not_count(tmp_path: Path) -> None:
    settings = Settings.load({"GM_CONFIG": str(tmp_path / "config"), "GM_CACHE": str(tmp_path)})
    folder = digest.image_folder(settings, "web")
    folder.mkdir(parents=True)
    layer = BuiltLayer(file="layer", digest="1", inner="2", size=3, epoch=4)
    record = Record(inputs={"a": "b"}, digest="c", layer=layer, files={"oci": "web.oci.tar"})
    (folder / RECORD).write_text(digest.format_record(record))
    (folder / "layer").write_text("123")

    assert digest.load_record(settings, "web") is None

    (folder / "web.oci.tar").touch()

    assert digest.load_record(settings, "web") == record


@pytest.mark.parametrize("damage", ["cut", "missing", "directory", "loop"])
def test_a_record_with_a_damaged_layer_does_not_count(tmp_path: Path, damage: str) -> None:
    settings = Settings.load({"GM_CONFIG": str(tmp_path / "config"), "GM_CACHE": str(tmp_path)})
    folder = digest.image_folder(settings, "web")
    folder.mkdir(parents=True)
    layer = BuiltLayer(file="layer", digest="1", inner="2", size=3, epoch=4)
    (folder / RECORD).write_text(digest.format_record(Record(inputs={}, digest="c", layer=layer, files={})))
    (folder / "layer").write_text("123")
    before = digest.load_record(settings, "web")
    (folder / "layer").unlink()
    {
        "cut": lambda place: place.write_text("12"),
        "missing": lambda place: None,
        "directory": lambda place: place.mkdir(),
        "loop": lambda place: place.symlink_to(place.name),
    }[damage](folder / "layer")

    assert before is not None
    assert digest.load_record(settings, "web") is None


@pytest.mark.parametrize(
    ("target", "is_built"),
    [(".web-abcdefgh.done", True), ("../elsewhere", False), (".web-linked__.done", False), ("web", False)],
)
def test_only_a_directory_of_the_image_is_replaced_by_the_next_one(tmp_path: Path, target: str, is_built: bool) -> None:
    """Seen failing: where a damaged link led to was removed; a loop of links was a traceback."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "images/.web-abcdefgh.done").mkdir(parents=True)
    (tmp_path / "images/.web-linked__.done").symlink_to("../elsewhere")
    link = tmp_path / "images/web"
    link.symlink_to(target)

    assert digest.find_built(link) == (tmp_path / "images" / target if is_built else None)


def test_the_parameters_of_a_container_are_those_of_the_image() -> None:
    container = ContainerSettings(
        entrypoint=("/init",), env=("A=b=c",), ports=("80", "53/udp"), labels=("x=y",), user="web", healthcheck="true"
    )

    assert outputs.format_config(container) == {
        "Entrypoint": ["/init"],
        "Env": [outputs.DEFAULT_PATH, "A=b=c"],
        "ExposedPorts": {"53/udp": {}, "80/tcp": {}},
        "Healthcheck": {"Test": ["CMD-SHELL", "true"]},
        "Labels": {"x": "y"},
        "User": "web",
    }
    assert outputs.format_config(ContainerSettings(env=("PATH=/bin",))) == {"Env": ["PATH=/bin"]}
