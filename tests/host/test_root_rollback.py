# SPDX-License-Identifier: GPL-2.0-or-later
"""A root of its own is saved before each run that changes it, and returns to what it was."""

import json
import os
import signal
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest
from conftest import BIN, Run
from helpers.snapshots import describe
from helpers.waiting import wait_for

from gentoomuch_portage.containers import root_lock
from gentoomuch_portage.demo_host import Host
from gentoomuch_portage.demo_host.host import write
from gentoomuch_portage.errors import Busy

_EBUILD = """EAPI=8
DESCRIPTION="A library"
SLOT="0"
LICENSE="GPL-2+"
KEYWORDS="amd64 arm64 ppc64 riscv"
S="${WORKDIR}"
src_install() {
	echo "library ${PV}" > libthing.so || die
	insinto /usr/lib
	doins libthing.so
}
pkg_postinst() {
	%s
}
"""
_UPDATE = ("gm-emerge", "--gm-profile=router", "-1uq", "thing")


@pytest.fixture
def root(host: Host, on: Run, tmp_path: Path) -> Path:
    """A root that has version 1 of a library; version 2 is in the repository."""
    root = tmp_path / "roots/router"
    write(host.repository / "app-demo/thing/thing-1.ebuild", _EBUILD % "true")
    host.profile("router", f'root = "{root}"\n')
    assert on("gm-emerge", "--gm-profile=router", "-1q", "thing").status == 0
    host.profile("router", f'root = "{root}"\nsnapshots = 2\n')
    write(host.repository / "app-demo/thing/thing-2.ebuild", _EBUILD % "true")
    return root


@pytest.fixture
def plain_root(host: Host, tmp_path: Path) -> Path:
    """A root without packages."""
    root = tmp_path / "roots/router"
    (host.eroot(root) / "var/db/pkg").mkdir(parents=True)
    write(root / "etc/motd", "hello")
    host.profile("router", f'root = "{root}"\nsnapshots = 2\n')
    return root


def test_an_update_that_broke_a_library_is_rolled_back(host: Host, on: Run, root: Path) -> None:
    library = host.eroot(root) / "usr/lib/libthing.so"
    before = describe(root)

    updated = on(*_UPDATE)
    text = library.read_text()
    listed = json.loads(on("gentoomuch", "root", "history", "router", "--json").out)
    ended = on("gentoomuch", "root", "rollback", "router")
    recorded = json.loads(on("gentoomuch", "history", "--json").out)

    assert (updated.status, text) == (0, "library 2\n"), updated.err
    assert [(row["generation"], row["reason"], row["before"]) for row in listed] == [
        (1, "update", ["gm-emerge", "-1uq", "thing"])
    ]
    assert ended.status == 0, ended.err
    assert describe(root) == before
    assert (recorded[-1]["goal"], recorded[-1]["status"]) == ("rollback", 0)


def test_an_update_that_was_killed_is_rolled_back(host: Host, on: Run, root: Path, tmp_path: Path) -> None:
    mark = tmp_path / "merging"
    wait = f'touch "{mark}"; while [[ -e "{mark}" ]]; do sleep 0.1; done'
    write(host.repository / "app-demo/thing/thing-2.ebuild", _EBUILD % wait)
    before = describe(root)

    with ExitStack() as stack:
        stack.callback(mark.unlink, missing_ok=True)
        argv = [BIN / _UPDATE[0], *_UPDATE[1:]]
        run = stack.enter_context(subprocess.Popen(argv, env=host.env(), stdout=-1, stderr=-1, start_new_session=True))
        wait_for(mark.exists, "version 2 is merged")
        os.killpg(run.pid, signal.SIGKILL)
    wait_for(lambda: _is_free(root), "no process of the run is left")
    changed = describe(root)
    ended = on("gentoomuch", "root", "rollback", "router")

    assert changed != before
    assert ended.status == 0, ended.err
    assert describe(root) == before
    assert on("gm-emerge", "--gm-profile=router", "-pq", "thing").status == 0


def _is_free(root: Path) -> bool:
    try:
        with root_lock.exclusive(root):
            return True
    except Busy:
        return False


@pytest.mark.usefixtures("plain_root")
def test_a_run_that_merges_nothing_leaves_no_snapshot(host: Host, on: Run) -> None:
    write(host.repository / "app-demo/thing/thing-1.ebuild", _EBUILD.replace("doins", "die #") % "true")

    failed = on(*_UPDATE)
    pretended = on("gm-emerge", "--gm-profile=router", "-1pq", "thing")

    assert (failed.status, pretended.status) == (1, 0)
    assert on("gentoomuch", "root", "history", "router", "--json").out == "[]\n"


def test_a_run_that_needs_a_snapshot_rejects_a_root_in_use(on: Run, plain_root: Path) -> None:
    before = describe(plain_root)

    with root_lock.shared(plain_root):
        ended = on("gm-emerge", "--gm-profile=router", "-1q", "libgreet")

    assert ended.status == 75
    assert describe(plain_root) == before


def test_the_root_of_the_host_is_neither_saved_nor_rolled_back(host: Host, on: Run) -> None:
    host.profile("laptop", "snapshots = 1\n")

    ended = [on("gentoomuch", "root", verb, "laptop") for verb in ("snapshot", "rollback", "history")]
    run = on("gm-emerge", "--gm-profile=laptop", "-1q", "libgreet")
    pretended = on("gm-emerge", "--gm-profile=laptop", "-1pq", "libgreet")
    fetched = on("gm-emerge", "--gm-profile=laptop", "--fetchonly", "-1q", "libgreet")

    assert [(one.status, "[root-is-host]" in one.err) for one in ended] == [(78, True)] * 3
    assert (run.status, "[no-host-snapshot]" in run.err) == (78, True)
    assert (pretended.status, fetched.status) == (0, 0)


def test_a_snapshot_is_removed_only_if_that_is_confirmed(on: Run, plain_root: Path) -> None:
    assert on("gentoomuch", "root", "snapshot", "router").status == 0

    refused = on("gentoomuch", "root", "rm", "router", "--generation", "1")
    removed = on("gentoomuch", "root", "rm", "router", "--generation", "1", "--yes")
    again = on("gentoomuch", "root", "rm", "router", "--generation", "1", "--yes")

    assert (refused.status, removed.status, again.status) == (64, 0, 70)
    assert plain_root.is_dir()


def test_a_root_that_was_removed_returns(on: Run, plain_root: Path) -> None:
    before = describe(plain_root)
    for words in (("snapshot", "router"), ("rm", "router", "--yes"), ("rollback", "router")):
        assert on("gentoomuch", "root", *words).status == 0

    assert describe(plain_root) == before


def test_a_root_with_a_mount_is_neither_saved_nor_rolled_back(host: Host, on: Run, plain_root: Path) -> None:
    if os.geteuid():
        pytest.skip("only root mounts")
    assert on("gentoomuch", "root", "snapshot", "router").status == 0
    (plain_root / "proc").mkdir(exist_ok=True)
    words = f'mount -t tmpfs none "{plain_root}/proc" && for verb in snapshot rollback; do "$0" root $verb router; done'

    argv = ["unshare", "-m", "sh", "-c", words, BIN / "gentoomuch"]
    ended = subprocess.run(argv, env=host.env(), capture_output=True, text=True, check=False)

    assert ended.stderr.count("[mounted-root]") == 2, ended.stderr
    assert (plain_root / "proc").is_dir()
