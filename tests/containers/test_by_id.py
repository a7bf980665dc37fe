"""Roots by ID: what a project needs for building is installed once."""

from pathlib import Path

import pytest
from boxing import some
from greeting import EBUILD, Project, built, says

from gentoomuch_portage.dotgentoo import trust
from gentoomuch_portage.embedded import Host

WHERE = "src_compile() {\n\tcat /proc/sys/kernel/hostname > where || die\n"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """It needs libgreet for building, and installs the name of the machine that it was built on."""
    made = Project(tmp_path / "project")
    text = EBUILD.replace("src_compile() {\n", WHERE).replace("dobin greet", "dobin greet\n\tdodoc where")
    made.write(".gentoo/app-misc/greet/greet-99999.ebuild", f'{text}\nDEPEND="dev-demo/libgreet"\n')
    return made


@pytest.fixture
def allowed(project: Project, host: Host, on) -> str:
    """The ID of the project's folder, which somebody has said yes to."""
    identity = on("gentoomuch", "dotgentoo", "id", project.path).out.strip()
    state = host.eprefix / "var/lib/gentoomuch"
    trust.keep(state, trust.Trusted(identity, "2026-01-01", str(project.path)))
    return identity


def test_its_root_and_its_package_are_used_again(project: Project, host: Host, on, allowed: str):
    some()
    first = on("gm-emerge", ".", cwd=project.path)
    project.edit("two")
    edited = on("gm-emerge", ".", cwd=project.path)
    assert says(host, on) == "hello two"
    assert on("gm-emerge", "--unmerge", "app-misc/greet").status == 0
    again = on("gm-emerge", ".", cwd=project.path)
    counts = [built(one.out) for one in (first, edited, again)]
    assert counts == [2, 1, 0], first.err + edited.err + again.err
    assert says(host, on) == "hello two"
