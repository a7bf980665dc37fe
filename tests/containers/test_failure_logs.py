# SPDX-License-Identifier: GPL-2.0-or-later
"""The log of a build that failed stays, as its build directory does not: also on a host that keeps no logs."""

import re
from pathlib import Path

from conftest import Ended, Run
from helpers.containers import some

from gentoomuch_portage.demo_host import Host

_EBUILD = """EAPI=8
DESCRIPTION="ends as its version says"
SLOT=0
LICENSE="GPL-2+"
KEYWORDS="amd64 arm64 ppc64 riscv"
S="${WORKDIR}"
src_compile() { echo "reason number ${PV}"; [[ ${PV} == 1 ]] || die; }
src_install() { insinto /usr/share/ends; newins - file <<< text; }
"""


def test_the_log_of_a_failed_build_is_in_portage_logdir(host: Host, on: Run) -> None:
    kind = some()
    for version in (1, 2):
        ebuild = host.repository / f"app-demo/ends/ends-{version}.ebuild"
        ebuild.parent.mkdir(parents=True, exist_ok=True)
        ebuild.write_text(_EBUILD)
    config = host.etc / "make.conf"
    config.write_text(re.sub("^PORTAGE_LOGDIR=.*$", "", config.read_text(), flags=re.MULTILINE))
    host.profile("router", "")
    logs = host.eprefix / "var/cache/gentoomuch/logs/router"

    def build(version: int) -> Ended:
        return on("gm-emerge", "--gm-profile=router", f"--gm-isolation={kind}", "-B", f"=app-demo/ends-{version}")

    worked, failed = build(1), build(2)

    assert worked.status == 0, worked.out + worked.err
    assert failed.status == 1
    [log] = logs.glob("*.log")
    assert "reason number 2" in log.read_text()
    named = re.search(r"build log is located at\s+(?:\S+ \* )?'([^']+)'", failed.out + failed.err)
    assert named, failed.out + failed.err
    assert Path(named[1]) == log
