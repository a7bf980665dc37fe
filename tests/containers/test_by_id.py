# SPDX-License-Identifier: GPL-2.0-or-later
"""Roots by ID: what a project needs for building is installed once."""

from pathlib import Path

from helpers.container_project import allow, made
from helpers.containers import some
from helpers.project import built, says

from gentoomuch_portage.demo_host import Host


def test_the_root_and_the_package_of_a_project_are_used_again(host: Host, on, tmp_path: Path):
    some()
    project = made(tmp_path / "project")
    allow(project, host, on)

    first = on("gm-emerge", ".", cwd=project.path)
    project.edit("two")
    edited = on("gm-emerge", ".", cwd=project.path)
    assert says(host, on) == "hello two"
    assert on("gm-emerge", "--unmerge", "app-misc/greet").status == 0
    again = on("gm-emerge", ".", cwd=project.path)

    assert [built(one.out) for one in (first, edited, again)] == [2, 1, 0], first.err + edited.err + again.err
    assert says(host, on) == "hello two"
