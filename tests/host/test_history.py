"""What runs leave in the record, and what ``gentoomuch history`` and ``why`` tell of it."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gentoomuch_portage import demo_host, history
from gentoomuch_portage.demo_host import Host

BIN = Path(sys.executable).parent
PATCH = "--- a/greet.c\n+++ b/greet.c\n@@ -0,0 +1 @@\n+/* patched */\n"


def keyworded(host: Host, more: str = "") -> None:
    """Let libgreet be testing, and say more in its ebuild."""
    ebuild = host.repository / "dev-demo/libgreet/libgreet-1.0.ebuild"
    text = ebuild.read_text()
    keywords = next(line for line in text.splitlines() if line.startswith("KEYWORDS="))
    ebuild.write_text(text.replace(keywords, keywords.replace('"', '"~', 1).replace(" ", " ~")) + more)


@pytest.fixture(scope="module")
def lived(tmp_path_factory) -> Host:
    """A host on which ``new`` has built libgreet for AVX2, and ``old`` has built it anew, with a patch and a flag."""
    host = demo_host.make(tmp_path_factory.mktemp("lived") / "host")
    common = {"common/package.use/demo": "# ours\ndev-demo/libgreet shout\n"}
    host.profile("new", 'cpu = "x86-64-v3"\n')
    host.profile("old", 'cpu = "x86-64"\nlayers = ["common"]\npatches = ["ours"]\n', common)
    demo_host.write(host.config / "patches/ours/dev-demo/libgreet/hi.patch", PATCH)
    keyworded(host)
    words = ("-q", "--oneshot", "--digest", "dev-demo/libgreet")
    for profile, more in (("new", "--buildpkgonly"), ("old", "--nodeps"), ("old", "--pretend")):
        argv = [BIN / "gm-emerge", f"--gm-profile={profile}", more, *words]
        subprocess.run(argv, env=host.env(), check=True, capture_output=True, timeout=120)
    return host


@pytest.fixture
def said(lived: Host):
    """Run gentoomuch, and take its answer as data."""

    def run(*words: str):
        argv = [BIN / "gentoomuch", *words, "--json"]
        return json.loads(subprocess.run(argv, env=lived.env(), check=True, capture_output=True, timeout=60).stdout)

    return run


def test_a_run_leaves_what_it_merged_from_where_and_how_long_each_phase_took(lived: Host):
    state = lived.eprefix / "var/lib/gentoomuch"
    [only] = history.runs(state, "new")
    built, pretended = history.runs(state, "old")

    assert (only.goal, built.goal, pretended.goal) == ("build", "merge", "")
    assert (only.status, built.status, pretended.status) == (0, 0, 0)
    [package] = built.packages
    assert (package["source"], package["status"], package["use"]) == ("ebuild", 0, ["shout"])
    assert package["where"] == str(lived.repository / "dev-demo/libgreet/libgreet-1.0.ebuild")
    assert {"unpack", "compile", "install", "package", "merge"} <= package["phases"].keys()
    assert 0 < package["phases"]["compile"] < package["seconds"] < built.seconds
    assert package["patches"]
    assert "hi.patch" in built.refused["dev-demo/libgreet-1.0-1"]
    assert [(one["atom"], one["kind"]) for one in built.unmasked] == [("=dev-demo/libgreet-1.0", "keywords")]


def test_history_tells_runs_and_the_builds_of_a_package(said):
    runs, builds = said("history"), said("history", "libgreet", "--profile", "old")

    assert [(run["profile"], len(run["packages"])) for run in runs] == [("new", 1), ("old", 1)]
    assert ["--pretend" in run["words"] for run in said("history", "--all")] == [False, False, True]
    assert [one["cpv"] for one in builds] == ["dev-demo/libgreet-1.0"]
    assert said("history", "dev-demo/other") == []
    assert said("history", "--since", "2999-01-01") == []
    assert len(said("history", "--since", "1h")) == 2


def test_why_tells_on_one_page_all_that_is_decided_about_a_package(lived: Host, said):
    found = said("why", "libgreet", "--profile", "old")

    assert found["ebuilds"] == [
        {
            "cpv": "dev-demo/libgreet-1.0",
            "repository": "gm-demo",
            "visible": True,
            "where": str(lived.repository / "dev-demo/libgreet/libgreet-1.0.ebuild"),
            "masks": [],
        }
    ]
    [installed] = found["installed"]
    assert installed == {"cpv": "dev-demo/libgreet-1.0", "use": ["shout"], "built_with": "-march=x86-64"}
    verdicts = {
        one["name"]: (one["verdict"], [reason["code"] for reason in one["reasons"]]) for one in found["binpkgs"]
    }
    assert verdicts["dev-demo/libgreet-1.0-2"] == ("accept", [])
    assert verdicts["dev-demo/libgreet-1.0-1"][0] == "reject"
    assert {"cpu", "patches", "use"} <= {*verdicts["dev-demo/libgreet-1.0-1"][1]}
    assert [one["kind"] for one in found["unmasked"]] == ["keywords"]
    assert [one["file"] for one in found["patches"]] == [str(lived.config / "patches/ours/dev-demo/libgreet/hi.patch")]
    assert [one["where"] for one in found["lines"]] == [f"{lived.config}/layers/common/package.use/demo:2"]
    assert [one["status"] for one in found["builds"]] == [0]


def test_fleet_tells_what_each_profile_has_and_how_far_it_is_behind(lived: Host, said, tmp_path: Path):
    ebuild = lived.repository / "dev-demo/libgreet/libgreet-1.0.ebuild"
    ebuild.with_name("libgreet-1.1.ebuild").write_text(ebuild.read_text().replace('"~', '"').replace(" ~", " "))
    demo_host.write(lived.config / "profiles/broken.toml", "cpus = 1\n")
    argv = [BIN / "gentoomuch", "fleet", "--json", "--html", tmp_path / "fleet.html"]

    ended = subprocess.run(argv, env=lived.env(), capture_output=True, timeout=60)

    assert ended.returncode == 1, ended.stderr
    broken, _, old = json.loads(ended.stdout)
    assert "cpus" in broken["error"]
    assert old["outdated"] == [{"cpv": "dev-demo/libgreet-1.0", "newest": "dev-demo/libgreet-1.1", "behind": 1}]
    assert (old["installed"], old["offered"], old["refused"]) == (1, 2, 1)
    assert (old["built"], old["taken"], old["hit_rate"], old["unmasked"]) == (1, 0, 0.0, 1)
    page = (tmp_path / "fleet.html").read_text()
    assert page.count("<svg") == 3
    assert "dev-demo/libgreet-1.1" in page
    assert "<script" not in page
    assert not re.findall(r"""(?:src|href)=["'](?!#)""", page)


def test_why_of_a_package_that_nobody_has_is_one_error(on, host: Host):
    host.profile("a", "")

    ended = on("gentoomuch", "why", "dev-demo/nothing", "--profile", "a")

    assert (ended.status, ended.out) == (64, "")
    assert "[known-nowhere]" in ended.err


def test_a_run_that_fails_is_recorded_with_what_failed_and_told_event_by_event(host: Host, on, tmp_path: Path):
    host.profile("a", "[unmask]\nkeywords = true\n")
    keyworded(host, '\npkg_setup() { die "no"; }\n')

    told = on("gm-emerge", "--gm-profile=a", f"--gm-json={tmp_path}/events", "-q", "--digest", "app-demo/gm-hello")

    [run] = history.runs(host.eprefix / "var/lib/gentoomuch", "a")
    assert (run.status, told.status) == (1, 1)
    assert run.planned == ("dev-demo/libgreet-1.0", "app-demo/gm-hello-1.0")
    assert [(one["cpv"], one["status"]) for one in run.packages] == [("dev-demo/libgreet-1.0", 1)]
    events = [json.loads(line) for line in (tmp_path / "events").read_text().splitlines()]
    assert {(event["run"], event["profile"]) for event in events} == {(run.run, "a")}
    kinds = [event["event"] for event in events]
    assert kinds[:3] == ["begun", "unmasked", "resolved"]
    assert kinds[-2:] == ["package", "ended"]
    assert {"entered", "left"} == {*kinds[3:-2]}


def test_what_runs_now_is_told_by_portage_itself_and_a_killed_run_has_no_end(host: Host, on, tmp_path: Path):
    host.profile("a", "")
    ebuild = host.repository / "dev-demo/libgreet/libgreet-1.0.ebuild"
    ebuild.write_text(ebuild.read_text() + "\nsrc_prepare() { default; sleep 10; }\n")
    argv = [BIN / "gm-emerge", "--gm-profile=a", "-q", "--digest", "--buildpkgonly", "dev-demo/libgreet"]
    run = subprocess.Popen(argv, env=host.env(FEATURES="observability"), stdout=subprocess.DEVNULL)
    try:
        jobs, until = [], time.monotonic() + 60
        while not any(job["phase"] == "prepare" for job in jobs) and time.monotonic() < until:
            time.sleep(0.2)
            jobs = json.loads(on("gentoomuch", "history", "--now", "--json").out)
    finally:
        run.kill()
        run.wait()

    assert [(job["process"], job["cpv"], job["phase"]) for job in jobs] == [
        (run.pid, "dev-demo/libgreet-1.0", "prepare")
    ]
    [killed] = json.loads(on("gentoomuch", "history", "--json").out)
    assert (killed["status"], killed["planned"]) == (None, ["dev-demo/libgreet-1.0"])


def test_why_tells_what_masks_an_ebuild_and_whether_a_run_would_lift_it(on, host: Host):
    keyworded(host)
    host.write("package.mask/some", "# eats CVE-2026-1 for breakfast\ndev-demo/libgreet\n")
    host.profile("a", "[unmask]\nkeywords = true\nmask = true\n")

    [found] = json.loads(on("gentoomuch", "why", "libgreet", "--profile", "a", "--json").out)["ebuilds"]

    masks = {one["kind"]: one for one in found["masks"]}
    assert (masks.keys(), found["visible"]) == ({"keywords", "mask"}, False)
    assert masks["keywords"]["against"] == ""
    assert "breakfast" in masks["mask"]["reason"]
    assert "for security" in masks["mask"]["against"]
