# SPDX-License-Identifier: GPL-2.0-or-later
"""``--resume`` where its list means what the CPU cannot run."""

import re

import pytest
from helpers.instances import FITS, PKG, REASONS, V4, refused
from helpers.repack import instance

from gentoomuch_portage.demo_host import Host


@pytest.fixture
def interrupted(host: Host, fill, emerge, built, form, on) -> None:
    """A list of --resume with a binary package on it that another one has taken the place of, for newer CPUs."""
    fill(host.pkgdir, (FITS,))
    stuck = host.repository / "app-demo/stuck/stuck-1.ebuild"
    stuck.parent.mkdir(parents=True)
    stuck.write_text(
        'EAPI=8\nSLOT=0\nKEYWORDS="amd64"\nsrc_unpack() { mkdir -p "${S}"; }\nsrc_compile() { die stuck; }\n'
    )
    status, said = emerge("--jobs=1", "-k", "app-demo/stuck", PKG, FEATURES="-buildpkg")
    assert status == 1, said
    instance(built[form], host.pkgdir, 1, V4)
    on("emaint", "binhost", "--fix")


def test_resume_fails_if_its_package_is_above_the_cpu(host: Host, interrupted, emerge):
    pretended, told = emerge("-pv", "--resume", "--skipfirst")
    status, said = emerge("--quiet", "--keep-going", "--resume", "--skipfirst")

    assert (pretended, status) == (1, 1), said
    assert not list(host.vdb.glob("dev-demo/libgreet-*"))
    assert re.search(REASONS[10], refused(said)[1])
    assert [text.count("have been ignored due to") for text in (told, said)] == [1, 1]


def test_resume_continues_with_another_usable_instance(host: Host, interrupted, emerge, built, form, on):
    instance(built[form], host.pkgdir, 2, FITS)
    on("emaint", "binhost", "--fix")

    status, said = emerge("--resume", "--skipfirst")

    assert status == 0, said
    assert (host.vdb / PKG).with_name("libgreet-1.0").joinpath("BUILD_ID").read_text().strip() == "2"
