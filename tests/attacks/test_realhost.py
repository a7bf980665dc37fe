# SPDX-License-Identifier: GPL-2.0-or-later
"""The host on which attacks are tried is one: Portage without a prefix, a compiler, containers, the project."""

import pytest
from helpers.realhost import RealHost

HELLO = "app-demo/gm-hello"


def test_portage_has_no_prefix(real_host: RealHost):
    assert real_host.run("portageq", "envvar", "EPREFIX").out.strip() == ""
    assert real_host.run("emerge", "--version").status == 0


def test_a_package_is_built_and_merged(real_host: RealHost):
    real_host.profile("here", 'cpu = "x86-64"\n')

    ended = real_host.run("gm-emerge", "--gm-profile=here", "--quiet", "--oneshot", HELLO)

    assert ended.status == 0, ended.out + ended.err
    assert real_host.run("gm-hello").status == 0


@pytest.mark.parametrize("kind", ["bwrap", "unshare", "nspawn", "podman"])
def test_each_kind_of_container_builds_on_it(real_host: RealHost, kind: str):
    real_host.profile("contained", 'cpu = "x86-64"\n')

    ended = real_host.run("gm-emerge", "--gm-profile=contained", f"--gm-isolation={kind}", "--usepkg=n", "-B", HELLO)

    assert ended.status == 0, ended.out + ended.err
