# SPDX-License-Identifier: GPL-2.0-or-later
"""What runs leave in the record, and what ``gentoomuch history`` and ``why`` tell of it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.waiting import HANG, wait_for

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
        subprocess.run(argv, env=host.env(), check=True, capture_output=True, timeout=HANG)
    return host


@pytest.fixture
def said(lived: Host):
    """Run gentoomuch, and take its answer as data."""

    def run(*words: str):
        argv = [BIN / "gentoomuch", *words, "--json"]
        return json.loads(subprocess.run(argv, env=lived.env(), check=True, capture_output=True, timeout=HANG).stdout)

    return run


def test_a_run_records_merges_sources_and_times_of_phases(lived: Host):
    state = lived.eprefix / "var/lib/gentoomuch"
    [only] = history.read_runs(state, "new")
    built, pretended = history.read_runs(state, "old")

    assert (only.goal, built.goal, pretended.goal) == ("build", "merge", "")
    assert (only.status, built.status, pretended.status) == (0, 0, 0)
    [package] = built.packages
    assert (package["source"], package["status"], package["use"]) == ("ebuild", 0, ["shout"])
    assert package["where"] == str(lived.repository / "dev-demo/libgreet/libgreet-1.0.ebuild")
    assert {"unpack", "compile", "install", "package", "merge"} <= package["phases"].keys()
    assert 0 < package["phases"]["compile"] < package["seconds"] < built.seconds
    assert package["patches"]
    assert "hi.patch" in built.rejected["dev-demo/libgreet-1.0-1"]
    assert [(one["atom"], one["kind"]) for one in built.unmasked] == [("=dev-demo/libgreet-1.0", "keywords")]


def test_history_prints_runs_and_builds_of_a_package(said):
    runs, builds = said("history"), said("history", "libgreet", "--profile", "old")

    assert [(run["profile"], len(run["packages"])) for run in runs] == [("new", 1), ("old", 1)]
    assert ["--pretend" in run["arguments"] for run in said("history", "--all")] == [False, False, True]
    assert [one["cpv"] for one in builds] == ["dev-demo/libgreet-1.0"]
    assert said("history", "dev-demo/other") == []
    assert said("history", "--since", "2999-01-01") == []
    assert len(said("history", "--since", "1h")) == 2


def test_why_prints_all_decisions_about_a_package(lived: Host, said):
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


def test_fleet_prints_installed_and_outdated_packages_of_each_profile(lived: Host, said, tmp_path: Path):
    ebuild = lived.repository / "dev-demo/libgreet/libgreet-1.0.ebuild"
    ebuild.with_name("libgreet-1.1.ebuild").write_text(ebuild.read_text().replace('"~', '"').replace(" ~", " "))
    demo_host.write(lived.config / "profiles/broken.toml", "cpus = 1\n")
    argv = [BIN / "gentoomuch", "fleet", "--json", "--html", tmp_path / "fleet.html"]

    ended = subprocess.run(argv, env=lived.env(), capture_output=True, timeout=HANG)

    assert ended.returncode == 1, ended.stderr
    broken, _, old = json.loads(ended.stdout)
    assert "cpus" in broken["error"]
    assert old["outdated"] == [{"cpv": "dev-demo/libgreet-1.0", "newest": "dev-demo/libgreet-1.1", "behind": 1}]
    assert (old["installed"], old["binpkgs_available"], old["rejected"]) == (1, 2, 1)
    assert (old["built"], old["from_binpkg"], old["hit_rate"], old["unmasked"]) == (1, 0, 0.0, 1)
    page = (tmp_path / "fleet.html").read_text()
    assert page.count("<svg") == 3
    assert "dev-demo/libgreet-1.1" in page
    assert "<script" not in page
    assert not re.findall(r"""(?:src|href)=["'](?!#)""", page)


ADVISORY = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE glsa SYSTEM "http://www.gentoo.org/dtd/glsa.dtd">
<glsa id="{id}"><title>greet: arbitrary {what} &lt;execution&gt;</title><synopsis>s</synopsis>
<product type="ebuild">greet</product><announced>2026-01-02</announced><revised count="1">2026-01-02</revised>
<affected><package name="{name}" auto="yes" arch="*"><unaffected range="ge">9</unaffected>
<vulnerable range="lt">{below}</vulnerable></package></affected>
<background><p>b</p></background><description><p>d</p></description><impact type="high"><p>i</p></impact>
<workaround><p>w</p></workaround><resolution><p>r</p></resolution><references><uri>u</uri></references></glsa>
"""


def test_fleet_lists_advisories_that_affect_installed_packages(lived: Host, tmp_path: Path):
    """Not those of other versions or packages, or that the admin marked as applied; but those that are damaged."""
    advisories = {
        "202601-01": {"what": "code", "name": "dev-demo/libgreet", "below": "2"},
        "202601-02": {"what": "file", "name": "dev-demo/libgreet", "below": "0.9"},
        "202601-03": {"what": "code", "name": "dev-demo/other", "below": "2"},
        "202601-04": {"what": "code", "name": "dev-demo/libgreet", "below": "3"},
    }
    for name, fields in advisories.items():
        file = lived.repository / f"metadata/glsa/glsa-{name}.xml"
        demo_host.write(file, ADVISORY.format(id=name, **fields))
    damaged = ADVISORY.format(id="202601-05", **advisories["202601-01"]).replace("</glsa>", "")
    demo_host.write(lived.repository / "metadata/glsa/glsa-202601-05.xml", damaged)
    demo_host.write(lived.eprefix / "var/lib/portage/glsa_injected", "202601-04\n")
    argv = [BIN / "gentoomuch", "fleet", "--json", "--html", tmp_path / "fleet.html", "old"]

    ended = subprocess.run(argv, env=lived.env(), capture_output=True, timeout=HANG)

    [old] = json.loads(ended.stdout)
    assert [one["id"] for one in old["advisories"]] == ["202601-01", "202601-05"], ended.stderr
    assert old["advisories"][0]["title"] == "greet: arbitrary code <execution>"
    assert "greet: arbitrary code &lt;execution&gt;" in (tmp_path / "fleet.html").read_text()


def test_why_of_a_nonexistent_package_is_one_error(on, host: Host):
    host.profile("a", "")

    ended = on("gentoomuch", "why", "dev-demo/nothing", "--profile", "a")

    assert (ended.status, ended.out) == (64, "")
    assert "[unknown-package]" in ended.err


def test_a_failed_run_is_recorded_with_the_failed_package(host: Host, on, tmp_path: Path):
    host.profile("a", "[unmask]\nkeywords = true\n")
    keyworded(host, '\npkg_setup() { die "no"; }\n')

    told = on("gm-emerge", "--gm-profile=a", f"--gm-json={tmp_path}/events", "-q", "--digest", "app-demo/gm-hello")

    [run] = history.read_runs(host.eprefix / "var/lib/gentoomuch", "a")
    assert (run.status, told.status) == (1, 1)
    assert run.planned == ("dev-demo/libgreet-1.0", "app-demo/gm-hello-1.0")
    assert [(one["cpv"], one["status"]) for one in run.packages] == [("dev-demo/libgreet-1.0", 1)]
    events = [json.loads(line) for line in (tmp_path / "events").read_text().splitlines()]
    assert {(event["run"], event["profile"]) for event in events} == {(run.run, "a")}
    kinds = [event["event"] for event in events]
    assert kinds[:3] == ["started", "unmasked", "resolved"]
    assert kinds[-2:] == ["package", "ended"]
    assert {"phase-started", "phase-ended"} == {*kinds[3:-2]}


def test_history_now_lists_running_jobs_and_a_killed_run_has_no_end(host: Host, on, tmp_path: Path):
    host.profile("a", "")
    ebuild = host.repository / "dev-demo/libgreet/libgreet-1.0.ebuild"
    ebuild.write_text(ebuild.read_text() + "\nsrc_prepare() { default; sleep 3600; }\n")
    argv = [BIN / "gm-emerge", "--gm-profile=a", "-q", "--digest", "--buildpkgonly", "dev-demo/libgreet"]
    run = subprocess.Popen(argv, env=host.env(FEATURES="observability"), stdout=subprocess.DEVNULL)
    try:
        jobs = []

        def is_preparing() -> bool:
            jobs[:] = json.loads(on("gentoomuch", "history", "--now", "--json").out)
            return any(job["phase"] == "prepare" for job in jobs)

        wait_for(lambda: is_preparing() or run.poll() is not None, "the package is prepared")
    finally:
        run.kill()
        run.wait()

    assert [(job["process"], job["cpv"], job["phase"]) for job in jobs] == [
        (run.pid, "dev-demo/libgreet-1.0", "prepare")
    ]
    [killed] = json.loads(on("gentoomuch", "history", "--json").out)
    assert (killed["status"], killed["planned"]) == (None, ["dev-demo/libgreet-1.0"])


def test_why_prints_masks_of_an_ebuild_and_whether_a_run_would_unmask_it(on, host: Host):
    keyworded(host)
    host.write("package.mask/some", "# eats CVE-2026-1 for breakfast\ndev-demo/libgreet\n")
    host.profile("a", "[unmask]\nkeywords = true\nmask = true\n")

    [found] = json.loads(on("gentoomuch", "why", "libgreet", "--profile", "a", "--json").out)["ebuilds"]

    masks = {one["kind"]: one for one in found["masks"]}
    assert (masks.keys(), found["visible"]) == ({"keywords", "mask"}, False)
    assert masks["keywords"]["against"] == ""
    assert "breakfast" in masks["mask"]["reason"]
    assert "for security" in masks["mask"]["against"]
