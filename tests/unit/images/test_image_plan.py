# SPDX-License-Identifier: GPL-2.0-or-later
"""Images as profiles declare them: their order, and errors that concern only one of them."""

from pathlib import Path

import pytest
from helpers.errors import raises

from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.images.plan import Images, load_images

OCI = '[image]\nformats = ["oci"]\n'


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration directory with a program and a directory of an image."""
    (tmp_path / "config/profiles").mkdir(parents=True)
    (tmp_path / "config/images/server").mkdir(parents=True)
    (tmp_path / "config/images/finish.sh").write_text("#!/bin/sh\n")
    (tmp_path / "config/images/finish.sh").chmod(0o755)
    (tmp_path / "config/images/notes").write_text("notes")
    return tmp_path / "config"


def load(config: Path, **profiles: str) -> Images:
    for name, text in profiles.items():
        (config / f"profiles/{name}.toml").write_text(text)
    return load_images(Settings.load({"GM_CONFIG": str(config), "GM_CACHE": str(config.parent / "cache")}))


def test_an_invalid_profile_concerns_only_itself_and_its_children(config: Path) -> None:
    images = load(config, bad="[image]\nformats = 3\n", child=f'{OCI}parent = "bad"\n', good=OCI)

    assert sorted(images.plans) == ["child", "good"]
    assert [plan.name for plan in images.order(["good"])] == ["good"]
    with raises("bad-setting"):
        images.order(["child"])


def test_parents_come_before_their_children(config: Path) -> None:
    images = load(config, a=f'{OCI}parent = "b"\n', b=f'{OCI}parent = "c"\n', c=OCI, plain="")

    assert [plan.name for plan in images.order(["a"])] == ["c", "b", "a"]
    assert [plan.name for plan in images.order(["b", "a"])] == ["c", "b", "a"]
    assert sorted(images.plans) == ["a", "b", "c"]


@pytest.mark.parametrize(("parent", "code"), [("plain", "no-parent"), ("ghost", "unknown-profile")])
def test_a_parent_without_an_image_is_an_error_of_the_child(config: Path, parent: str, code: str) -> None:
    images = load(config, child=f'{OCI}parent = "{parent}"\n', plain="", good=OCI)

    assert sorted(images.plans) == ["good"]
    with raises(code):
        images.order(["child"])


def test_images_that_are_their_own_parents_are_an_error(config: Path) -> None:
    images = load(config, a=f'{OCI}parent = "b"\n', b=f'{OCI}parent = "a"\n')

    with raises("parent-loop", match="a -> b -> a"):
        images.order(["a"])


def test_a_profile_without_an_image_is_an_error(config: Path) -> None:
    with raises("no-image", match=r"available: good"):
        load(config, plain="", good=OCI).order(["plain"])


@pytest.mark.parametrize(
    ("key", "name", "reason"),
    [
        ("run", "missing.sh", "missing"),
        ("run", "../profiles/web.toml", "outside"),
        ("run", "notes", "not an executable file"),
        ("test", "server", "not an executable file"),
        ("files", "notes", "not a directory"),
        ("files", ".", "outside"),
    ],
)
def test_a_path_that_an_image_cannot_use_is_named_with_its_line(config: Path, key: str, name: str, reason: str) -> None:
    images = load(config, web=f'{OCI}{key} = ["{name}"]\n')

    assert images.errors["web"].code == "bad-image-path"
    assert reason in str(images.errors["web"])
    assert f"{config}/profiles/web.toml:3: " in str(images.errors["web"])


def test_all_keys_are_read(config: Path) -> None:
    text = 'files = ["server"]\nrun = ["finish.sh"]\ntest = ["finish.sh"]\nremove = ["/usr/share/doc"]\nenv = ["A=b"]\n'
    plan = load(config, web=f'{OCI}{text}ports = ["80", "53/udp"]\n').plans["web"]

    assert plan.files == (config / "images/server",)
    assert plan.run == plan.test == (config / "images/finish.sh",)
    assert plan.remove == ("/usr/share/doc",)
    assert (plan.container.env, plan.container.ports) == (("A=b",), ("80", "53/udp"))
