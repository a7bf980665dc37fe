# SPDX-License-Identifier: GPL-2.0-or-later
"""Isolation kinds: the one list of them, and how a value of ``isolation`` is resolved."""

import ast
import os
import re
from pathlib import Path

import pytest
from helpers.errors import raises

import gentoomuch_portage
from gentoomuch_portage import process
from gentoomuch_portage.config import isolation_kinds, schema
from gentoomuch_portage.config import profile as config_profile
from gentoomuch_portage.config.isolation_kinds import AUTOMATIC, BUILT_IN, CHOICES, DOCKER
from gentoomuch_portage.containers import backends, detect, linux
from gentoomuch_portage.errors import NoPrivilege
from gentoomuch_portage.plan.request import Request

TOP = Path(next(iter(gentoomuch_portage.__path__)))
NO_KINDS = {("containers/linux.py", "unshare"), ("roots/oci.py", "docker")}
"""File and string of uses that name no kind: a system call, an archive format."""
NEED_ROOT = [kind.name for kind in BUILT_IN.values() if kind.needs_root]


def _literals() -> set[tuple[str, str]]:
    """File and value of each string in the package that is the name of a kind."""
    names = {*BUILT_IN, DOCKER}
    return {
        (str(path.relative_to(TOP)), node.value)
        for path in TOP.rglob("*.py")
        if path != Path(isolation_kinds.__file__)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in names
    }


def test_only_the_list_names_kinds_as_string_literals() -> None:
    assert _literals() <= NO_KINDS


def test_schema_template_and_backends_have_the_kinds_of_the_list() -> None:
    assert tuple(schema.ISOLATION) == CHOICES
    [line] = [line for line in config_profile.text("router").splitlines() if line.startswith("# isolation = ")]
    assert [kind for kind in CHOICES if not re.search(rf"\b{kind}\b", line)] == []
    assert set(backends.ARGV) <= {*BUILT_IN}
    assert [kind for kind in AUTOMATIC if not BUILT_IN[kind].program] == [isolation_kinds.UNSHARE.name]


COMPLETIONS = (
    "share/bash-completion/completions/gentoomuch",
    "share/fish/vendor_completions.d/gentoomuch.fish",
    "share/zsh/site-functions/_gentoomuch",
)


@pytest.mark.parametrize("page", ["docs/keys.md", "docs/isolation.md", "docs/reference.md", *COMPLETIONS])
def test_docs_and_completions_name_each_kind(page: str) -> None:
    text = (TOP.parent / page).read_text(encoding="utf-8")
    assert [kind for kind in CHOICES if not re.search(rf"\b{kind}\b", text)] == []


def test_docker_is_rejected_with_podman_as_hint(tmp_path: Path) -> None:
    with raises("no-docker") as caught:
        detect.resolve(DOCKER, tmp_path)
    assert isolation_kinds.PODMAN.name in caught.value.hint


def test_docker_is_accepted_by_the_schema_but_not_listed(tmp_path: Path) -> None:
    (tmp_path / "router.toml").write_text('isolation = "docker"\n')

    assert schema.load(tmp_path / "router.toml", schema.PROFILE)["isolation"] == DOCKER
    assert Request.parse(["--gm-isolation=docker"], {}).options == {"isolation": DOCKER}
    assert DOCKER not in list(schema.ISOLATION)


def test_an_unknown_kind_is_rejected_with_the_known_ones(tmp_path: Path) -> None:
    with raises("missing-container") as caught:
        detect.resolve("lxc", tmp_path)
    assert [kind for kind in CHOICES if kind not in caught.value.message] == []


def test_a_named_kind_is_resolved_without_a_probe(tmp_path: Path) -> None:
    names = ["unshare", "vm", "none"]
    assert [detect.resolve(name, tmp_path) for name in names] == names
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", NEED_ROOT)
def test_kinds_that_need_root_are_rejected_for_other_users(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detect.os, "geteuid", lambda: 1000)

    with pytest.raises(NoPrivilege) as caught:
        detect.resolve(kind, tmp_path)
    assert f"--gm-isolation={kind}" in caught.value.hint
    assert not detect.probe(kind, tmp_path).works


def test_a_probe_that_fails_reports_the_kernels_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refuse(_flags: int) -> None:
        raise PermissionError(1, "unshare: Operation not permitted")

    monkeypatch.setattr(linux, "unshare", refuse)
    os.waitpid(linux.fork(lambda: None, flags=linux.NEWNS), 0)
    errors = capfd.readouterr().err
    monkeypatch.setattr(detect.lifecycle, "start", lambda *_, **__: process.Ran(70, "", errors))

    assert errors.splitlines()[-1] == "gentoomuch:     hint: gentoomuch doctor"
    assert "unshare: Operation not permitted" in detect.probe("unshare", tmp_path).reason
