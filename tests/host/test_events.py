# SPDX-License-Identifier: GPL-2.0-or-later
"""``--gm-json=FILE`` tells how a run went."""

import json
import sys
from pathlib import Path

from gentoomuch_portage.demo_host import Host

GM_EMERGE = Path(sys.executable).with_name("gm-emerge")


def test_events_report_start_rejected_packages_and_end(host: Host, on, tmp_path: Path):
    host.profile("new", 'cpu = "x86-64-v3"\n')
    host.profile("old", 'cpu = "x86-64"\n')
    listened = tmp_path / "events"
    assert on("gm-emerge", "--gm-profile=new", "-q", "--buildpkgonly", "dev-demo/libgreet").status == 0

    on("gm-emerge", "--gm-profile=old", f"--gm-json={listened}", "-pq", "dev-demo/libgreet")

    events = [json.loads(line) for line in listened.read_text().splitlines()]
    assert [event["event"] for event in events] == ["started", "rejected", "ended"]
    assert events[1]["binpkg"] == "dev-demo/libgreet-1.0-1"
    assert "avx2" in events[1]["reason"]
    assert events[2]["status"] == 0


def test_a_dash_writes_only_events_to_stdout(host: Host, on, tmp_path: Path):
    host.profile("new", "")

    ended = on("gm-emerge", "--gm-profile=new", "--gm-json=-", "-p", "dev-demo/libgreet", cwd=tmp_path)

    assert [json.loads(line)["event"] for line in ended.out.splitlines()] == ["started", "ended"], ended.err
    assert "dev-demo/libgreet-1.0" in ended.err
    assert not (tmp_path / "-").exists()


def test_a_run_for_a_profile_works_with_closed_streams(host: Host, on, tmp_path: Path):
    host.profile("new", "")
    told = tmp_path / "events"

    run = f"{GM_EMERGE} --gm-profile=new --gm-json={told} -p dev-demo/libgreet <&- >&- 2>&-"
    ended = on("sh", "-c", run)

    assert (ended.status, json.loads(told.read_text().splitlines()[-1])["status"]) == (0, 0)


def test_events_that_cannot_be_written_end_the_run_before_it_begins(host: Host, on):
    host.profile("new", "")

    ended = on("gm-emerge", "--gm-profile=new", "--gm-json=/proc/nothing/here", "-pq", "dev-demo/libgreet")

    assert ended.status == 77
    assert "/proc/nothing" in ended.err
    assert ended.out == ""


def test_a_full_disk_for_events_ends_the_run_at_its_start(host: Host, on):
    host.profile("new", "")

    ended = on("gm-emerge", "--gm-profile=new", "--gm-json=/dev/full", "-pq", "dev-demo/libgreet")

    assert ended.status == 69
    assert "[disk-full]" in ended.err
    assert ended.out == ""
