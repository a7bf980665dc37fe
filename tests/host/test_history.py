"""What a run leaves in the record: packages, where from, how long, what was refused and unmasked."""

import json
from pathlib import Path

import pytest

from gentoomuch_portage import history
from gentoomuch_portage.embedded import Host


@pytest.fixture
def state(host: Host) -> Path:
    return host.eprefix / "var/lib/gentoomuch"


def test_a_run_leaves_what_it_merged_from_where_and_how_long_each_phase_took(host: Host, on, state: Path):
    host.profile("new", 'cpu = "x86-64-v3"\n')
    host.profile("old", 'cpu = "x86-64"\n')
    assert on("gm-emerge", "--gm-profile=new", "-q", "--buildpkgonly", "dev-demo/libgreet").status == 0
    assert on("gm-emerge", "--gm-profile=old", "-q", "--oneshot", "dev-demo/libgreet").status == 0
    assert on("gm-emerge", "--gm-profile=old", "-q", "--oneshot", "dev-demo/libgreet").status == 0
    assert on("gm-emerge", "--gm-profile=old", "-pq", "dev-demo/libgreet").status == 0

    [only] = history.runs(state, "new")
    built, taken, pretended = history.runs(state, "old")

    assert (only.goal, built.goal, taken.goal, pretended.goal) == ("build", "merge", "merge", "")
    [package] = built.packages
    assert (package["source"], package["status"]) == ("ebuild", 0)
    assert package["where"] == str(host.repository / "dev-demo/libgreet/libgreet-1.0.ebuild")
    assert {"unpack", "compile", "install", "package", "merge"} <= package["phases"].keys()
    assert 0 < package["phases"]["compile"] < package["seconds"] < built.seconds
    assert "avx2" in built.refused["dev-demo/libgreet-1.0-1"]
    [package] = taken.packages
    assert (package["source"], package["build_id"]) == ("binpkg", 2)
    assert package["where"].startswith(str(host.pkgdir))
    assert "compile" not in package["phases"]
    assert pretended.status == 0


def test_a_run_that_fails_is_recorded_with_what_failed_and_what_was_unmasked_for_it(
    host: Host, on, state: Path, tmp_path: Path
):
    host.profile("a", "[unmask]\nkeywords = true\n")
    ebuild = host.repository / "dev-demo/libgreet/libgreet-1.0.ebuild"
    text = ebuild.read_text() + '\npkg_setup() { die "no"; }\n'
    keywords = next(line for line in text.splitlines() if line.startswith("KEYWORDS="))
    ebuild.write_text(text.replace(keywords, keywords.replace('"', '"~', 1).replace(" ", " ~")))

    told = on("gm-emerge", "--gm-profile=a", f"--gm-json={tmp_path}/events", "-q", "--digest", "app-demo/gm-hello")

    [run] = history.runs(state, "a")
    assert (run.status, told.status) == (1, 1)
    assert [(one["atom"], one["kind"]) for one in run.unmasked] == [("=dev-demo/libgreet-1.0", "keywords")]
    assert run.planned == ("dev-demo/libgreet-1.0", "app-demo/gm-hello-1.0")
    assert [(one["cpv"], one["status"]) for one in run.packages] == [("dev-demo/libgreet-1.0", 1)]
    events = [json.loads(line) for line in (tmp_path / "events").read_text().splitlines()]
    assert {(event["run"], event["profile"]) for event in events} == {(run.run, "a")}
    kinds = [event["event"] for event in events]
    assert kinds[:3] == ["begun", "unmasked", "resolved"]
    assert kinds[-2:] == ["package", "ended"]
    assert {"entered", "left"} == {*kinds[3:-2]}
