# SPDX-License-Identifier: GPL-2.0-or-later
"""The main job, with real Portage at its end."""

import pytest

from gentoomuch_portage.demo_host import Host


@pytest.mark.slow
def test_a_profile_builds_with_its_own_flags(host: Host, on):
    host.profile("router", 'cpu = "x86-64"\nlayers = ["small"]\n', {"small/make.conf": 'CFLAGS="-Os"\n'})

    ended = on("gm-emerge", "--gm-profile=router", "--quiet", "gm-hello")

    assert ended.status == 0, ended.err
    assert "built with -Os -march=x86-64" in on(host.eprefix / "usr/bin/gm-hello").out
