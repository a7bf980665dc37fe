"""gm-emerge PATH in containers: where a folder that was allowed is built, and in which root."""

from pathlib import Path

import pytest
from boxing import some
from greeting import EBUILD, Project, says

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


def where(host: Host) -> str:
    return (host.eprefix / "usr/share/doc/greet-99999/where").read_text().strip()


def test_a_folder_that_was_allowed_is_built_in_a_container(project: Project, host: Host, on, allowed: str):
    some()
    ended = on("gm-emerge", ".", cwd=project.path)
    assert ended.status == 0, ended.err
    assert where(host) == "gentoomuch"
    assert says(host, on) == "hello one"
    assert [path.name for path in host.vdb.glob("dev-demo/*")] == [], "what building needs stays in the container"


def test_who_trusts_a_folder_fully_has_it_built_as_the_profile_says(project: Project, host: Host, on, allowed: str):
    assert on("gentoomuch", "dotgentoo", "trust", project.path).status == 0
    ended = on("gm-emerge", ".", cwd=project.path)
    assert ended.status == 0, ended.err
    assert where(host) == Path("/proc/sys/kernel/hostname").read_text().strip()


def test_a_plan_says_that_a_folder_is_contained(project: Project, host: Host, on, allowed: str):
    contained = on("gm-emerge", "--gm-explain", ".", cwd=project.path)
    here = on("gm-emerge", "--gm-explain", "--gm-isolation=none", ".", cwd=project.path)
    assert "isolation  auto" in contained.out
    assert "isolation  auto" not in here.out
