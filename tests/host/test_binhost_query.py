# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch binhost query`` and ``coverage``, with real Portage."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.repack import instance

from gentoomuch_portage import demo_host
from gentoomuch_portage.demo_host import Host

PKG = "dev-demo/libgreet"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package for an old machine; built once."""
    host = demo_host.make(tmp_path_factory.mktemp("built") / "host")
    host.profile("old", 'cpu = "x86-64"\n')
    words = [Path(sys.executable).parent / "gm-emerge", "--gm-profile=old", "-B1q", PKG]
    subprocess.run(words, env=host.env(), check=True, capture_output=True)
    (found,) = (host.pkgdir / PKG).iterdir()
    return found


@pytest.fixture
def store(host: Host, on, built: Path) -> Host:
    """A library for a new machine and for an old one, the latter once more with another flag; a profile for each."""
    for name, cpu in (("new", "x86-64-v3"), ("old", "x86-64")):
        host.profile(name, f'cpu = "{cpu}"\n')
    instance(built, host.pkgdir, 1, {})
    haswell = {"CFLAGS": "-O2 -march=x86-64-v3", "CXXFLAGS": "-O2 -march=x86-64-v3"}
    instance(built, host.pkgdir, 2, {"USE": "abi_x86_64 amd64 shout elibc_glibc kernel_linux"})
    instance(built, host.pkgdir, 3, haswell)
    on("gentoomuch", "binhost", "index")
    return host


def queried(on, *words: str) -> list[dict]:
    return json.loads(on("gentoomuch", "binhost", "query", "--json", *words).out)


def test_query_prints_the_cpus_that_run_packages(store: Host, on):
    found = queried(on, "--cpu", "x86-64", "--cpu", "haswell", "libgreet")

    assert [(one["build_id"], one["runs_on"]) for one in found] == [
        (1, ["x86-64", "haswell"]),
        (2, ["x86-64", "haswell"]),
        (3, ["haswell"]),
    ]


def test_query_prints_the_use_flags_of_packages(store: Host, on):
    assert [one["build_id"] for one in queried(on, "--use", "shout")] == [2]
    assert [one["build_id"] for one in queried(on, "--use=-shout", ">=dev-demo/libgreet-1")] == [1, 3]
    assert [one["build_id"] for one in queried(on, "=dev-demo/libgreet-1.0-2")] == [2]
    assert queried(on, "dev-demo/greet") == []


def test_an_invalid_atom_is_one_error(store: Host, on):
    ended = on("gentoomuch", "binhost", "query", "dev-demo/libgreet-1.0-2")

    assert (ended.status, "[usage]" in ended.err) == (64, True)


def test_an_unknown_cpu_is_one_error(store: Host, on):
    ended = on("gentoomuch", "binhost", "query", "--json", "--cpu", "pentium-9")

    assert (ended.status, json.loads(ended.out)["error"]) == (64, "no-such-cpu")


def covered(on, *words: str) -> dict:
    return json.loads(on("gentoomuch", "binhost", "coverage", "--json", "--align", *words).out)


def test_coverage_counts_hits_and_gives_a_reason_for_each_miss(store: Host, on):
    found = covered(on, "old", "app-demo/gm-hello")

    assert (found["wanted"], found["hits"]) == (2, 1)
    assert {one["cpv"]: (one["hit"], one["code"]) for one in found["packages"]} == {
        "dev-demo/libgreet-1.0": ("dev-demo/libgreet-1.0-1", ""),
        "app-demo/gm-hello-1.0": ("", "none"),
    }


def test_a_package_above_the_cpu_is_a_miss(store: Host, on):
    (store.pkgdir / PKG / "libgreet-1.0-1.gpkg.tar").unlink()
    on("gentoomuch", "binhost", "index")

    found = covered(on, "old", PKG)["packages"]

    assert {(one["hit"], one["code"]) for one in found} <= {("", "cpu"), ("", "use")}


def test_lines_of_align_turn_a_miss_into_a_hit(store: Host, on):
    (store.pkgdir / PKG / "libgreet-1.0-1.gpkg.tar").unlink()
    on("gentoomuch", "binhost", "index")
    before = covered(on, "old", PKG)
    (advice,) = before["align"]

    store.write(f"{advice['file']}/aligned", f"{advice['line']}\n")

    after = covered(on, "old", PKG)
    assert (before["hits"], after["hits"]) == (0, 1)
    assert after["packages"][0]["hit"] == advice["cpv"] == "dev-demo/libgreet-1.0-2"


def test_unresolvable_dependencies_are_one_error(store: Host, on):
    ended = on("gentoomuch", "binhost", "coverage", "--json", "old", "app-demo/nothing")

    told = json.loads(ended.out)
    assert (ended.status, told["error"]) == (70, "unresolvable")
    assert told["message"].endswith('there are no ebuilds to satisfy "app-demo/nothing"')
