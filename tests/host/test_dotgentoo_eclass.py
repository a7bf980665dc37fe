# SPDX-License-Identifier: GPL-2.0-or-later
"""dotgentoo.eclass from a plain overlay, where there is no work tree."""

import shutil
from pathlib import Path

import pytest
from helpers.project import EBUILD, Project, says

from gentoomuch_portage.demo_host import Host, manifest

TOP = Path(__file__).parents[2]


@pytest.fixture
def in_overlay(host: Host):
    """Put an ebuild of app-misc/greet into the host's repository, with our eclass."""
    (host.repository / "eclass").mkdir(exist_ok=True)
    shutil.copy(TOP / "eclass/dotgentoo.eclass", host.repository / "eclass")
    categories = host.repository / "profiles/categories"
    categories.write_text(f"{categories.read_text()}app-misc\n")

    def put(text: str) -> Path:
        ebuild = host.repository / "app-misc/greet/greet-1.ebuild"
        ebuild.parent.mkdir(parents=True, exist_ok=True)
        ebuild.write_text(text.replace('IUSE="loud"', 'IUSE="loud"\nKEYWORDS="amd64 arm64 ppc64 riscv"'))
        return ebuild

    return put


def test_sources_of_src_uri_are_unpacked(in_overlay, host: Host, on, tmp_path: Path):
    project = Project(tmp_path / "greet-1")
    archive = shutil.make_archive(str(host.distdir / "greet-1"), "gztar", tmp_path, project.path.name)
    ebuild = in_overlay(EBUILD.replace("LICENSE=", f'SRC_URI="{Path(archive).name}"\nLICENSE='))
    manifest(ebuild.parent, [Path(archive)])

    ended = on("emerge", "app-misc/greet")

    assert ended.status == 0, ended.out[-2000:] + ended.err
    assert says(host, on) == "hello one"


def test_the_eclass_without_sources_reports_possible_sources(in_overlay, on):
    in_overlay(EBUILD)

    ended = on("emerge", "app-misc/greet")

    assert ended.status == 1
    assert "install it by gm-emerge PATH, or set EGIT_REPO_URI or SRC_URI" in ended.out + ended.err


def test_the_eclass_rejects_an_old_eapi(in_overlay, on):
    in_overlay(EBUILD.replace("EAPI=8", "EAPI=7"))

    ended = on("emerge", "-p", "app-misc/greet")

    assert ended.status == 1
    assert "EAPI 7 not supported" in ended.out + ended.err


def test_the_eclass_clones_egit_repo_uri_with_git_r3(in_overlay, host: Host, on):
    (host.repository / "eclass/git-r3.eclass").write_text('git-r3_src_unpack() { die "cloning ${EGIT_REPO_URI}"; }\n')
    in_overlay(EBUILD.replace("inherit", 'EGIT_REPO_URI="https://example.org/x.git"\ninherit'))

    ended = on("emerge", "app-misc/greet")

    assert ended.status == 1
    assert "cloning https://example.org/x.git" in ended.out + ended.err
