# SPDX-License-Identifier: GPL-2.0-or-later
"""A profile is not renamed while a run uses it."""

import shutil
from pathlib import Path

import pytest
from conftest import Run

from gentoomuch_portage.demo_host import Host
from gentoomuch_portage.demo_host.host import write

_RENAMES = """EAPI=8
DESCRIPTION="Records whether another process could lock the state of its profile"
SLOT="0"
LICENSE="GPL-2+"
KEYWORDS="amd64 arm64 ppc64 riscv"
S="${WORKDIR}"
pkg_preinst() {
	flock --nonblock "STATE" true
	echo $? >"${ED}/status" || die
}
"""


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("flock"), reason="flock of util-linux is not installed")
def test_a_run_holds_the_state_of_its_profile_from_its_first_run_on(host: Host, on: Run, tmp_path: Path) -> None:
    """The first run created the directory of the state only at its end."""
    host.profile("router", f'root = "{tmp_path / "roots/router"}"\n')
    state = host.eprefix / "var/lib/gentoomuch/router"
    write(host.repository / "app-demo/renames/renames-1.ebuild", _RENAMES.replace("STATE", str(state)))

    ended = on("gm-emerge", "--gm-profile=router", "-1q", "renames")

    assert ended.status == 0, ended.err + ended.out
    assert (host.eroot(tmp_path / "roots/router") / "status").read_text() == "1\n"
    assert on("gentoomuch", "profile", "rename", "router", "gateway").status == 0
    assert on("gentoomuch", "history", "renames", "--profile", "gateway").status == 0
