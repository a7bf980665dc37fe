"""Kinds of containers by their words."""

from pathlib import Path

import pytest

from gentoomuch_portage.containers import probes
from gentoomuch_portage.errors import MissingContainer


def test_docker_is_refused_with_the_reason_and_what_to_take(tmp_path: Path) -> None:
    with pytest.raises(probes.NoDocker, match="daemon does not see the mounts") as caught:
        probes.chosen("docker", tmp_path)
    assert "podman" in caught.value.remedy


def test_what_is_no_kind_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(MissingContainer, match=r"bwrap, .*vm"):
        probes.chosen("lxc", tmp_path)


def test_a_kind_that_is_named_is_taken_untried(tmp_path: Path) -> None:
    assert [probes.chosen(word, tmp_path) for word in ("podman", "vm", "none")] == ["podman", "vm", "none"]
    assert not list(tmp_path.iterdir())
