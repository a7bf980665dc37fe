# SPDX-License-Identifier: GPL-2.0-or-later
"""gm-emerge PATH in containers: where a folder that was allowed is built."""

from pathlib import Path

import pytest
from helpers.container_project import allow, made, where
from helpers.containers import some
from helpers.project import Project, says

from gentoomuch_portage.demo_host import Host


@pytest.fixture
def project(host: Host, on, tmp_path: Path) -> Project:
    """A project that somebody has said yes to."""
    project = made(tmp_path / "project")
    allow(project, host, on)
    return project


@pytest.mark.slow
def test_a_confirmed_project_is_built_in_a_container(project: Project, host: Host, on):
    some()
    ended = on("gm-emerge", ".", cwd=project.path)
    assert ended.status == 0, ended.err
    assert where(host) == "gentoomuch"
    assert says(host, on) == "hello one"
    assert [path.name for path in host.vdb.glob("dev-demo/*")] == [], "what building needs stays in the container"


@pytest.mark.slow
def test_a_fully_trusted_project_uses_the_isolation_of_the_profile(project: Project, host: Host, on):
    assert on("gentoomuch", "dotgentoo", "trust", project.path).status == 0
    ended = on("gm-emerge", ".", cwd=project.path)
    assert ended.status == 0, ended.err
    assert where(host) == Path("/proc/sys/kernel/hostname").read_text().strip()


def test_a_plan_shows_the_container_of_a_project(project: Project, host: Host, on):
    contained = on("gm-emerge", "--gm-explain", ".", cwd=project.path)
    here = on("gm-emerge", "--gm-explain", "--gm-isolation=none", ".", cwd=project.path)
    assert "isolation  auto" in contained.out
    assert "isolation  auto" not in here.out
