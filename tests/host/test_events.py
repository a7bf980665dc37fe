"""``--gm-json=FILE`` tells how a run went."""

import json
import sys
from pathlib import Path

from gentoomuch_portage.demo_host import Host

GM_EMERGE = Path(sys.executable).with_name("gm-emerge")


def test_events_tell_how_a_run_began_what_was_refused_and_how_it_ended(host: Host, on, tmp_path: Path):
    host.profile("new", 'cpu = "x86-64-v3"\n')
    host.profile("old", 'cpu = "x86-64"\n')
    listened = tmp_path / "events"
    assert on("gm-emerge", "--gm-profile=new", "-q", "--buildpkgonly", "dev-demo/libgreet").status == 0

    on("gm-emerge", "--gm-profile=old", f"--gm-json={listened}", "-pq", "dev-demo/libgreet")

    events = [json.loads(line) for line in listened.read_text().splitlines()]
    assert [event["event"] for event in events] == ["begun", "refused", "ended"]
    assert events[1]["binpkg"] == "dev-demo/libgreet-1.0-1"
    assert "avx2" in events[1]["reason"]
    assert events[2]["status"] == 0


def test_a_dash_gives_events_the_standard_output_alone_and_makes_no_file(host: Host, on, tmp_path: Path):
    host.profile("new", "")

    ended = on("gm-emerge", "--gm-profile=new", "--gm-json=-", "-p", "dev-demo/libgreet", cwd=tmp_path)

    assert [json.loads(line)["event"] for line in ended.out.splitlines()] == ["begun", "ended"], ended.err
    assert "dev-demo/libgreet-1.0" in ended.err
    assert not (tmp_path / "-").exists()


def test_a_run_for_a_profile_goes_its_way_where_the_streams_are_closed(host: Host, on, tmp_path: Path):
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


def test_events_for_which_there_is_no_room_end_the_run_before_it_begins(host: Host, on):
    host.profile("new", "")

    ended = on("gm-emerge", "--gm-profile=new", "--gm-json=/dev/full", "-pq", "dev-demo/libgreet")

    assert ended.status == 77
    assert "No space left" in ended.err
    assert ended.out == ""
