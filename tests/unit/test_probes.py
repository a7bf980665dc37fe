"""Kinds of containers by their words."""

from pathlib import Path

import pytest

from gentoomuch_portage import tables
from gentoomuch_portage.containers import probes
from gentoomuch_portage.errors import MissingContainer
from gentoomuch_portage.request import Request


def test_docker_is_refused_with_the_reason_and_what_to_take(tmp_path: Path) -> None:
    with pytest.raises(probes.NoDocker, match="daemon does not see the mounts") as caught:
        probes.chosen("docker", tmp_path)
    assert "podman" in caught.value.remedy


def test_docker_is_offered_nowhere_and_yet_no_slip(tmp_path: Path) -> None:
    (tmp_path / "router.toml").write_text('isolation = "docker"\n')

    assert tables.load(tmp_path / "router.toml", tables.PROFILE) == {"isolation": "docker"}
    assert Request.of(["--gm-isolation=docker"], {}).said == {"isolation": "docker"}
    assert "docker" not in list(tables.PROFILE["isolation"])


def test_what_is_no_kind_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(MissingContainer, match=r"bwrap, .*vm"):
        probes.chosen("lxc", tmp_path)


def test_a_kind_that_is_named_is_taken_untried(tmp_path: Path) -> None:
    assert [probes.chosen(word, tmp_path) for word in ("podman", "vm", "none")] == ["podman", "vm", "none"]
    assert not list(tmp_path.iterdir())
