"""Kinds of containers by their words."""

import os
from pathlib import Path

import pytest

from gentoomuch_portage import process
from gentoomuch_portage.config import schema
from gentoomuch_portage.containers import detect, linux
from gentoomuch_portage.errors import MissingContainer, NoPrivilege
from gentoomuch_portage.plan.request import Request


def test_docker_is_refused_with_the_reason_and_what_to_take(tmp_path: Path) -> None:
    with pytest.raises(detect.NoDocker, match="daemon does not see the mounts") as caught:
        detect.chosen("docker", tmp_path)
    assert "podman" in caught.value.remedy


def test_docker_is_offered_nowhere_and_yet_no_slip(tmp_path: Path) -> None:
    (tmp_path / "router.toml").write_text('isolation = "docker"\n')

    assert schema.load(tmp_path / "router.toml", schema.PROFILE) == {"isolation": "docker"}
    assert Request.of(["--gm-isolation=docker"], {}).said == {"isolation": "docker"}
    assert "docker" not in list(schema.PROFILE["isolation"])


def test_what_is_no_kind_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(MissingContainer, match=r"bwrap, .*vm"):
        detect.chosen("lxc", tmp_path)


def test_a_kind_that_is_named_is_taken_untried(tmp_path: Path) -> None:
    assert [detect.chosen(word, tmp_path) for word in ("unshare", "vm", "none")] == ["unshare", "vm", "none"]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["nspawn", "podman"])
def test_a_kind_for_root_is_refused_to_others_with_what_to_take(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detect.os, "geteuid", lambda: 1000)

    with pytest.raises(NoPrivilege, match=f"{kind} needs root") as caught:
        detect.chosen(kind, tmp_path)
    assert "bwrap or unshare" in caught.value.remedy


def test_a_box_that_cannot_be_made_says_why_and_where_to_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refused(_flags: int) -> None:
        raise PermissionError(1, "unshare: Operation not permitted")

    monkeypatch.setattr(linux, "unshare", refused)
    os.waitpid(linux.fork(lambda: None, flags=linux.NEWNS), 0)
    said = capfd.readouterr().err
    monkeypatch.setattr(detect.lifecycle, "start", lambda *_, **__: process.Ran(70, "", said))

    assert said.splitlines()[-1] == "gentoomuch:     try: gentoomuch doctor"
    assert "unshare: Operation not permitted" in detect.probe("unshare", tmp_path).why
