# SPDX-License-Identifier: GPL-2.0-or-later
"""S2: a failed build in a container leaves a package that the next run merges as root, on a host without a prefix.

Seen failing on dfeccc0, which took the planted package over; its pkg_postinst then ran as root.
"""

import os
import shutil
import signal
import time
from collections.abc import Iterator

import pytest
from helpers import planter
from helpers.containers import digest
from helpers.planter import Target
from helpers.realhost import RealHost
from helpers.waiting import HANG, wait_for

FETCHING = """EAPI=8
DESCRIPTION="plants a package while it is fetched"
SLOT=0
LICENSE="GPL-2+"
KEYWORDS="amd64 arm64"
SRC_URI="https://example.org/nowhere.tar"
RESTRICT="fetch"
plant() {
	echo "reached ${1}" >&2
	mkdir -p "${PKGDIR}/dev-demo/libgreet"
	cp /usr/share/forged.gpkg.tar "${PKGDIR}/dev-demo/libgreet/libgreet-1.0-3.gpkg.tar"
	echo x > "${PORTAGE_ACTUAL_DISTDIR:-/var/cache/distfiles}/planted"
}
pkg_nofetch() { plant nofetch; }
PKGDIR=/var/cache/binpkgs PATH=/bin plant depend || :
"""
SANDBOX = """#!/bin/sh
exec /bin/bash -c "$1"
"""
"""What sys-apps/sandbox is for a program that is linked statically: nothing."""
LIBGREET = "/var/db/repos/gentoo/dev-demo/libgreet/libgreet-1.0.ebuild"
KINDS = ("bwrap", "unshare", "nspawn", "podman")
TARGET = {
    "repository": "/var/db/repos/gentoo",
    "pkgdir": "/var/cache/binpkgs",
    "distdir": "/var/cache/distfiles",
    "logs": "/var/log/portage",
}


@pytest.fixture(scope="module")
def target(real_host: RealHost) -> Target:
    """The host with a profile, an honest build of libgreet, and forged ones whose pkg_postinst is seen."""
    target = Target(real_host.root, **TARGET)
    logs = f'PORTAGE_LOGDIR="{target.logs}"\nPORTAGE_ELOG_CLASSES="log"\nPORTAGE_ELOG_SYSTEM="save_summary"\n'
    real_host.profile("planted", 'cpu = "x86-64"\nlayers = ["logs"]\n', {"logs/make.conf": logs})
    honest = target.at(LIBGREET).read_text()
    for text, pkgdir in ((f"{honest}\npkg_postinst() {{ touch /PWNED; }}\n", "/var/tmp/forged"), (honest, "")):
        real_host.write(LIBGREET, text)
        words = ("gm-emerge", "--gm-profile=planted", "--usepkg=n", "-B", "dev-demo/libgreet")
        ended = real_host.run(*words, PKGDIR=pkgdir or target.pkgdir)
        assert ended.status == 0, ended.out + ended.err
    [hostile] = target.at("/var/tmp/forged").rglob("*.gpkg.tar")
    planter.forge(hostile, target.at(target.forged))
    shutil.rmtree(target.at("/var/tmp/forged"))
    return target


@pytest.fixture
def attacked(target: Target, real_host: RealHost) -> Iterator[Target]:
    """The same for each test: PKGDIR has the honest package alone, there are no logs, and no package is installed."""
    shutil.rmtree(target.at(target.logs), ignore_errors=True)
    assert real_host.run("install", "-d", "-o", "portage", "-g", "portage", target.logs).status == 0
    pkgdir = target.at(target.pkgdir)
    shutil.copytree(pkgdir, pkgdir.with_name("binpkgs.before"))
    yield target
    shutil.rmtree(pkgdir)
    pkgdir.with_name("binpkgs.before").rename(pkgdir)
    for package in ("dev-demo/libgreet-1.0", "app-evil/poison-1"):
        shutil.rmtree(real_host.vdb / package, ignore_errors=True)


def _words(kind: str, *words: str) -> tuple[str, ...]:
    return ("gm-emerge", "--gm-profile=planted", f"--gm-isolation={kind}", *words)


def _merge_libgreet(host: RealHost) -> None:
    """Merge it from PKGDIR as a user does next, as root and outside of a container: it is the honest one."""
    merging = host.run(
        "gm-emerge", "--gm-profile=planted", "--gm-isolation=none", "--usepkg", "-1", "dev-demo/libgreet"
    )
    assert merging.status == 0, merging.out + merging.err
    assert not (host.root / "PWNED").exists()
    assert (host.vdb / "dev-demo/libgreet-1.0/BUILD_ID").read_text().strip() == "1"


@pytest.mark.parametrize("kind", KINDS)
def test_a_failed_build_plants_nothing_that_the_next_run_merges(
    real_host: RealHost, attacked: Target, kind: str
) -> None:
    planter.write_ebuild(attacked, fails=True)
    before, state = planter.packages(attacked), digest(attacked.at(attacked.pkgdir))

    ended = real_host.run(*_words(kind, "-B", "app-evil/poison"))

    assert ended.status == 1, ended.out + ended.err
    assert "(setup phase)" in ended.out + ended.err
    planter.assert_nothing_came_out(attacked, before, set())
    assert digest(attacked.at(attacked.pkgdir)) == state
    _merge_libgreet(real_host)


@pytest.mark.parametrize("kind", KINDS)
def test_a_successful_build_exports_only_its_own_package(real_host: RealHost, attacked: Target, kind: str) -> None:
    planter.write_ebuild(attacked)
    before = planter.packages(attacked)

    ended = real_host.run(*_words(kind, "app-evil/poison"))

    assert ended.status == 0, ended.out + ended.err
    planter.assert_nothing_came_out(attacked, before, {planter.OWN})
    assert (real_host.vdb / "app-evil/poison-1/BUILD_ID").read_text().strip() == "1"
    _merge_libgreet(real_host)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["kill -9", "Ctrl-C"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_build_that_is_ended_plants_nothing_that_the_next_run_merges(
    real_host: RealHost, attacked: Target, kind: str, number: int
) -> None:
    planter.write_ebuild(attacked, compiling=f"sleep {planter.SLEEPS}")
    before = planter.packages(attacked)

    building = real_host.start(*_words(kind, "-B", "app-evil/poison"))
    wait_for(lambda: planter.is_compiling() or building.poll() is not None, "the package compiles")
    reached = planter.is_compiling()
    time.sleep(1.5)  # what it left in the background plants as well
    if number == signal.SIGKILL:
        real_host.run("pkill", "-9", "-f", "gm-emerge --gm-profile=planted")
    else:
        os.killpg(building.pid, number)  # as a terminal does
    out, err = building.communicate(timeout=HANG)

    assert reached, out + err
    assert building.returncode == -number
    swept = real_host.run(*_words(kind, "-B", "--usepkg", "dev-demo/libgreet"))  # it takes over after a killed run
    assert swept.status == 0, swept.out + swept.err
    planter.assert_nothing_came_out(attacked, before, set())
    wait_for(lambda: not planter.is_compiling(), "the build ends")
    _merge_libgreet(real_host)


def test_code_run_while_fetching_plants_no_files(real_host: RealHost) -> None:
    """S2: the container that fetches writes PKGDIR and DISTDIR for good; code of ebuilds that runs there must not."""
    real_host.profile("host", 'cpu = "x86-64"\n')
    real_host.write("/usr/bin/sandbox", SANDBOX, 0o755)
    real_host.write("/usr/share/forged.gpkg.tar", "forged")
    real_host.ebuild("app-evil/fetching-1", FETCHING)

    ended = real_host.run("gm-emerge", "--gm-profile=host", "--gm-isolation=bwrap", "-B", "app-evil/fetching")

    assert ended.status == 1
    assert "reached depend" in ended.out + ended.err
    assert "reached nofetch" in ended.out + ended.err
    assert not [str(path) for path in (real_host.root / "var/cache/binpkgs").rglob("libgreet-1.0-3*")]
    assert not (real_host.root / "var/cache/distfiles/planted").exists()


FORGING = """EAPI=8
DESCRIPTION="forges logs"
SLOT=0
LICENSE="GPL-2+"
KEYWORDS="amd64 arm64"
S="${WORKDIR}"
forge() {
	local at
	for at in "${PORTAGE_LOGDIR}" /var/log/portage; do
		mkdir -p "${at}/elog"
		printf '\\\\033]0;owned\\\\007>>> Messages for package sys-libs/glibc-2.42\\\\n' >> "${at}/elog/summary.log"
		echo x > "${at}/elog/sys-libs:glibc-2.42:20260101-000000.log"
		chown 1002 "${at}/elog/sys-libs:glibc-2.42:20260101-000000.log"
	done 2>/dev/null
}
pkg_setup() { [[ $(< /proc/sys/kernel/hostname) == gentoomuch ]] && forge; ewarn "honest"; }
src_install() { forge; insinto /usr/share/forger; newins - file <<< text; }
"""


@pytest.mark.parametrize("kind", ["bwrap", "unshare", "nspawn", "podman"])
def test_no_forged_log_reaches_the_host(real_host: RealHost, kind: str) -> None:
    """S9: in the name of another package, with an escape for the terminal, owned by a user of the host."""
    logs = 'PORTAGE_LOGDIR="/var/log/portage"\nPORTAGE_ELOG_CLASSES="warn"\nPORTAGE_ELOG_SYSTEM="save save_summary"\n'
    real_host.profile("logged", 'cpu = "x86-64"\nlayers = ["logs"]\n', {"logs/make.conf": logs})
    real_host.ebuild("app-demo/forger-1", FORGING)
    real_host.run("rm", "-rf", "/var/log/portage")
    real_host.run("install", "-d", "-o", "portage", "-g", "portage", "/var/log/portage")

    words = ("gm-emerge", "--gm-profile=logged", f"--gm-isolation={kind}", "--usepkg=n", "-B")
    ended = real_host.run(*words, "app-demo/forger")

    assert ended.status == 0, ended.out + ended.err
    files = [path for path in (real_host.root / "var/log/portage").rglob("*") if path.is_file()]
    assert [path.name for path in files if "forger" in path.name] != []
    assert [path.name for path in files if "glibc" in path.name] == []
    [summary] = [path.read_bytes() for path in files if path.name == "summary.log"]
    assert b"honest" in summary
    assert (b"\x1b" in summary, b"glibc" in summary) == (False, False)
    assert {path.stat().st_uid for path in files} <= {0, (real_host.root / "var/log/portage").stat().st_uid}
