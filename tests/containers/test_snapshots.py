# SPDX-License-Identifier: GPL-2.0-or-later
"""What containers see of a repository while it is synced, and after a sync that failed."""

import os
from pathlib import Path

import pytest
from conftest import Run
from helpers.sync import upstream

from gentoomuch_portage.demo_host import Host


@pytest.mark.skipif(os.geteuid() != 0 or not Path("/dev/loop-control").exists(), reason="only root mounts images")
def test_a_container_sees_the_last_good_snapshot_of_a_sync_that_failed(kind: str, host: Host, on: Run) -> None:
    origin = upstream(host)
    host.profile("router", "")
    ebuild = host.repository / "app-demo/gm-hello/gm-hello-1.0.ebuild"
    fresh = ("gentoomuch", "freshroot", "router", "--isolation", kind, "--")
    assert on("gentoomuch", "sync").status == 0
    origin.folder.rename(origin.folder.with_name("away"))
    assert on("gentoomuch", "sync").status == 1
    ebuild.unlink()

    seen = on(*fresh, "sh", "-c", f'test -f "{ebuild}" && ! touch "{ebuild}" && stat -f -c %T "{ebuild}"')

    assert (seen.status, seen.out.split()[-1]) == (0, "squashfs"), seen.err
    assert not [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(host.folder) in line]


def test_a_container_sees_changes_in_a_repository_after_its_snapshot(kind: str, host: Host, on: Run) -> None:
    upstream(host)
    host.profile("router", "")
    assert on("gentoomuch", "sync").status == 0
    (host.repository / "newer").touch()

    seen = on("gentoomuch", "freshroot", "router", "--isolation", kind, "--", "test", "-f", host.repository / "newer")

    assert seen.status == 0, seen.err
