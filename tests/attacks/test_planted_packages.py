# SPDX-License-Identifier: GPL-2.0-or-later
"""S2, S9: a build in a container plants packages and logs; none of it comes out, however the build ends.

Seen failing on dfeccc0: the planted package was taken over as finished, and the next run merged it as root.
"""

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from conftest import BIN, Ended, Run
from helpers import planter
from helpers.containers import digest, need, some
from helpers.planter import Target
from helpers.waiting import HANG, wait_for

from gentoomuch_portage import demo_host
from gentoomuch_portage.config import isolation_kinds
from gentoomuch_portage.demo_host import Host


@pytest.fixture(params=isolation_kinds.AUTOMATIC)
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of container that works here."""
    need(request.param)
    return str(request.param)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PKGDIR with an honest build of libgreet, and beside it others that are forged of it."""
    host = demo_host.make(tmp_path_factory.mktemp("honest") / "host")
    subprocess.run([BIN / "gm-emerge", "-B", "libgreet"], env=host.env(), check=True, capture_output=True)
    (honest,) = host.pkgdir.glob("dev-demo/libgreet/*.gpkg.tar")
    planter.forge(honest, host.pkgdir.parent / "forged")
    return host.pkgdir


@pytest.fixture
def attacked(host: Host, packages: Path) -> Host:
    """A host with a profile, an honest build of libgreet, and forged ones where an ebuild can read them."""
    host.profile("router", 'cpu = "x86-64-v2"\n')
    shutil.copytree(packages, host.pkgdir, dirs_exist_ok=True)
    shutil.copytree(packages.parent / "forged", _target(host).forged)
    return host


def _target(host: Host) -> Target:
    distdir, logs = host.eprefix / "var/cache/distfiles", host.eprefix / "var/log"
    return Target(Path("/"), *map(str, (host.repository, host.pkgdir, distdir, logs)))


def _assert_next_run_ignores_it(host: Host, on: Run) -> None:
    offered = on("gm-emerge", "--gm-profile=router", "-pK", "libgreet", NO_COLOR="1")
    assert "libgreet-1.0-9" not in offered.out
    assert "libgreet-1.0-1" in offered.out, offered.err


def _build(on: Run, kind: str, *words: str) -> Ended:
    return on("gm-emerge", "--gm-profile=router", f"--gm-isolation={kind}", *words, "app-evil/poison")


def test_a_failed_build_plants_nothing(kind: str, attacked: Host, on: Run) -> None:
    planter.write_ebuild(_target(attacked), fails=True)
    before, state = planter.packages(_target(attacked)), digest(attacked.pkgdir)
    ended = _build(on, kind, "-B")
    assert ended.status == 1, ended.err
    assert "(setup phase)" in ended.out + ended.err
    planter.assert_nothing_came_out(_target(attacked), before, set())
    assert digest(attacked.pkgdir) == state
    _assert_next_run_ignores_it(attacked, on)


def test_a_successful_build_exports_only_its_own_package(kind: str, attacked: Host, on: Run) -> None:
    planter.write_ebuild(_target(attacked))
    before = planter.packages(_target(attacked))
    ended = _build(on, kind)
    assert ended.status == 0, ended.err + ended.out
    planter.assert_nothing_came_out(_target(attacked), before, {planter.OWN})
    _assert_next_run_ignores_it(attacked, on)


def test_a_build_that_is_killed_plants_nothing(kind: str, attacked: Host, on: Run) -> None:
    _assert_ended_build_plants_nothing(kind, attacked, on, signal.SIGKILL)


def test_a_build_that_its_user_interrupts_plants_nothing(kind: str, attacked: Host, on: Run) -> None:
    _assert_ended_build_plants_nothing(kind, attacked, on, signal.SIGINT)


def _assert_ended_build_plants_nothing(kind: str, host: Host, on: Run, number: signal.Signals) -> None:
    planter.write_ebuild(_target(host), compiling=f"sleep {planter.SLEEPS}")
    before = planter.packages(_target(host))
    words = [str(BIN / "gm-emerge"), "--gm-profile=router", f"--gm-isolation={kind}", "-B", "app-evil/poison"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(words, env=host.env(), start_new_session=True, **quiet) as run:
        wait_for(lambda: planter.is_compiling() or run.poll() is not None, "the package compiles")
        assert run.poll() is None, "it ended by itself"
        time.sleep(1.5)  # what it left in the background plants as well
        if number == signal.SIGKILL:
            run.kill()
        else:
            os.killpg(run.pid, number)  # as a terminal does
        run.wait(HANG)
    swept = on("gm-emerge", "--gm-profile=router", f"--gm-isolation={kind}", "-B", "--usepkg", "libgreet")
    assert swept.status == 0, swept.err
    planter.assert_nothing_came_out(_target(host), before, set())
    _assert_next_run_ignores_it(host, on)


def test_a_program_in_a_fresh_root_plants_nothing(attacked: Host, on: Run) -> None:
    before = planter.packages(_target(attacked))
    planter.write_ebuild(_target(attacked))
    own = attacked.pkgdir / "app-evil/poison"
    plant = f"mkdir -p {own} && cp {_target(attacked).forged}/poison-1-9.gpkg.tar {own}/"
    command = f"emerge --quiet --usepkg=n libgreet && {plant} && emerge --quiet -1 poison"
    ended = on("gentoomuch", "freshroot", "router", "--isolation", some(), "--", "sh", "-c", command)
    assert ended.status == 0, ended.err
    assert planter.packages(_target(attacked)) == {*before, "dev-demo/libgreet/libgreet-1.0-2.gpkg.tar"}
    named = re.findall(r"poison-1-\d+\.gpkg\.tar", ended.err)
    assert len(named) == 2, "what is rejected is named: the planted one, and that of the second emerge"
