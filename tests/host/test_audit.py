# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch binpkg audit``: real packages, built by real compilers."""

import json
import re

import pytest
from helpers.http_server import serving
from helpers.repack import instance
from helpers.waiting import HANG

from gentoomuch_portage.demo_host import Host

pytest.importorskip("iced_x86", reason="the extra 'audit' is not installed")
pytest.importorskip("elftools", reason="the extra 'audit' is not installed")


@pytest.fixture
def built(host: Host, on, loops):
    """Build a package for x86-64, without merging it: ``built("loops", flags="-mavx2")``."""

    def build(name: str, **more) -> None:
        loops(name, **more)
        host.profile("old", 'cpu = "x86-64"\n')
        ended = on("gm-emerge", "--gm-profile=old", "-q", "--buildpkgonly", f"app-demo/{name}")
        assert ended.status == 0, ended.out + ended.err

    return build


@pytest.fixture
def silent(host: Host, on):
    """Make the one package that was built tell nothing of its flags."""

    def hush() -> None:
        (built,) = host.pkgdir.rglob("*.gpkg.tar")
        instance(built, host.pkgdir, 2, {"CFLAGS": None, "CXXFLAGS": None})
        built.unlink()
        assert on("emaint", "binhost", "--fix").status == 0

    return hush


def audit(on, *words: str) -> tuple[int, dict]:
    """The exit status and what was found in the one package."""
    ended = on("gentoomuch", "binpkg", "audit", "--json", *words)
    return ended.status, json.loads(ended.out)[0]


@pytest.mark.parametrize("more", ["", "RESTRICT=strip"], ids=["stripped", "unstripped"])
@pytest.mark.parametrize("flags", ["-mavx2", "-mavx2 -static"], ids=["dynamic", "static"])
def test_a_makefile_that_adds_mavx2_is_found_out(on, built, flags, more):
    built("loops", flags=flags, more=more)

    status, found = audit(on, "loops")

    assert (status, found["verdict"]) == (1, "exceeds its flags")
    assert {one["file"].rpartition("/")[2] for one in found["beyond"]} == {"loops"}
    assert all("avx2" in one["features"] for one in found["beyond"])


def test_functions_are_named_if_the_binary_has_symbols(on, built):
    built("loops", flags="-mavx2", more="RESTRICT=strip")

    _, found = audit(on, "=app-demo/loops-1.0")

    assert {one["function"] for one in found["beyond"]} >= {"total"}


@pytest.mark.parametrize("more", ["", "RESTRICT=strip"], ids=["stripped", "unstripped"])
@pytest.mark.parametrize("flags", ["", "-static"], ids=["dynamic", "static"])
def test_code_chosen_by_the_loader_is_no_finding(on, built, flags, more):
    built("chosen", chosen=True, flags=flags, more=more)

    status, found = audit(on, "chosen")

    assert (status, found["verdict"], found["beyond"]) == (0, "dispatches at run time", [])
    assert {one["how"] for one in found["chosen"]} <= {"ifunc", "target_clones"}
    assert "avx2" in found["features"]


def test_a_package_that_keeps_to_its_flags_is_clean(on, built):
    built("loops")

    status, found = audit(on, "loops")

    assert (status, found["verdict"], found["chosen"]) == (0, "clean", [])
    assert found["bytes"] > 100


def test_code_is_compared_with_the_cpu_of_a_profile(host: Host, on, loops):
    loops("loops")
    host.profile("old", 'cpu = "x86-64"\n')
    host.profile("new", 'cpu = "x86-64-v3"\n')
    assert on("gm-emerge", "--gm-profile=new", "-q", "--buildpkgonly", "loops").status == 0

    assert audit(on, "loops")[1]["verdict"] == "clean"
    assert audit(on, "loops", "--profile", "new")[0] == 0
    status, found = audit(on, "loops", "--profile", "old")
    assert (status, found["verdict"]) == (1, "exceeds the CPU")


def test_an_xpak_is_read_too(host: Host, on, built):
    host.write("make.conf", (host.etc / "make.conf").read_text() + 'BINPKG_FORMAT="xpak"\n')
    built("loops", flags="-mavx2")

    status, found = audit(on, "loops")

    assert found["where"].endswith((".xpak", ".tbz2"))
    assert (status, found["verdict"]) == (1, "exceeds its flags")


def test_audit_reads_installed_packages_too(host: Host, on, loops):
    loops("loops", flags="-mavx2")
    host.profile("old", 'cpu = "x86-64"\n')
    assert on("gm-emerge", "--gm-profile=old", "-q", "loops").status == 0

    status, found = audit(on, "--installed", "loops")

    assert (status, found["verdict"], found["cpv"]) == (1, "exceeds its flags", "app-demo/loops-1.0")


def test_audit_prints_files_functions_and_speed(on, built):
    built("loops", flags="-mavx2", more="RESTRICT=strip")

    ended = on("gentoomuch", "binpkg", "audit")

    assert ended.status == 1
    assert re.search(r"^app-demo/loops-1\.0-1  exceeds its flags  .*-march=x86-64", ended.out, re.M)
    assert re.search(r"avx avx2  \S+/bin/loops: total", ended.out)
    assert re.search(r"1 package, .* MB of machine code in .* s: \d+\.\d MB/s", ended.err)


@pytest.mark.slow
def test_a_damaged_package_does_not_stop_the_audit_of_others(host: Host, on, built):
    built("loops")
    built("others")
    package = next(host.pkgdir.rglob("loops*.gpkg.tar"))
    content = package.read_bytes()
    at = content.index(b"image.tar") + 1024
    package.write_bytes(content[:at] + bytes(200) + content[at + 200 :])

    ended = on("gentoomuch", "binpkg", "audit")

    assert ended.status == 0
    assert "not audited" in ended.out
    assert "app-demo/others-1.0-1  clean" in ended.out
    assert "Traceback" not in ended.err


def test_a_missing_library_is_named(host: Host, on, tmp_path):
    (tmp_path / "iced_x86.py").write_text("raise ImportError\n")

    ended = on("gentoomuch", "binpkg", "audit", PYTHONPATH=str(tmp_path))

    assert ended.status == 69
    assert "iced-x86" in ended.err


AUDITED = 'cpu = "x86-64"\n[binpkg]\naudit = true\n'
_PLAIN = "".join(f'{name}="-O2 -march=x86-64"\n' for name in ("CFLAGS", "CXXFLAGS", "FCFLAGS", "FFLAGS"))


def test_features_above_the_cpu_are_reported_after_a_build(host: Host, on, loops):
    loops("loops", flags="-mavx2", more="RESTRICT=strip")
    plain = {"plain/env/plain": _PLAIN, "plain/package.env": "app-demo/loops plain\n"}
    host.profile("new", AUDITED.replace("x86-64", "x86-64-v3").replace("[", 'layers = ["plain"]\n[', 1), plain)

    ended = on("gm-emerge", "--gm-profile=new", "-q", "--buildpkgonly", "loops")

    assert ended.status == 0, ended.err
    assert "exceeds its flags (-march=x86-64)" in ended.err
    assert "avx avx2 in" in ended.err


def test_code_above_the_cpu_is_rejected_with_any_recorded_flags(host: Host, on, built):
    built("loops", flags="-mavx2", more="RESTRICT=strip")
    assert on("gm-emerge", "--gm-profile=old", "-pk", "loops").out.count("[binary")
    host.profile("old", AUDITED)

    ended = on("gm-emerge", "--gm-profile=old", "-pk", "loops")

    assert "[ebuild" in ended.out
    assert re.search(r"=app-demo/loops-1\.0-1 its machine code needs avx, avx2 in \S+/loops: ", ended.out + ended.err)


def test_binpkg_why_rejects_what_the_filter_rejects(host: Host, on, built):
    """A1b: on dfeccc0 it reports "may be taken" of a package that emerge does not take for its machine code."""
    built("loops", flags="-mavx2", more="RESTRICT=strip")
    taken = on("gentoomuch", "binpkg", "why", "--profile=old", "--json", "loops")
    host.profile("old", AUDITED)

    rejected = on("gentoomuch", "binpkg", "why", "--profile=old", "--json", "loops")

    assert [row["verdict"] for row in json.loads(taken.out)] == ["accept"]
    [row] = json.loads(rejected.out)
    assert (row["verdict"], row["code"]) == ("reject", "audit")


def test_a_package_without_recorded_flags_is_accepted_by_its_code(host: Host, on, built, silent):
    built("loops")
    silent()
    assert "[ebuild" in on("gm-emerge", "--gm-profile=old", "-pk", "loops").out
    host.profile("old", AUDITED)

    assert "[binary" in on("gm-emerge", "--gm-profile=old", "-pk", "loops").out


def test_dispatched_code_above_the_cpu_does_not_clear_a_package_without_flags(host: Host, on, built, silent):
    built("chosen", chosen=True)
    silent()
    host.profile("old", AUDITED)

    ended = on("gm-emerge", "--gm-profile=old", "-pk", "chosen")

    assert "[ebuild" in ended.out
    assert "build flags unknown; its machine code has avx avx2" in ended.out + ended.err


@pytest.mark.parametrize(
    ("features", "packages"),
    [
        ("parallel-fetch", ("libgreet", "loops")),
        ("parallel-fetch", ("loops", "libgreet")),
        ("-parallel-fetch", ("loops", "libgreet")),
    ],
    ids=["fetched during another merge", "fetched before another one", "fetched first"],
)
def test_a_downloaded_package_above_the_cpu_is_rejected_before_the_merge(
    host: Host, on, built, tmp_path, features, packages
):
    built("loops", flags="-mavx2", more="RESTRICT=strip")
    assert on("gm-emerge", "--gm-profile=old", "-q", "--buildpkgonly", "libgreet").status == 0
    host.pkgdir.rename(tmp_path / "www")
    host.profile("old", AUDITED)
    holds = ("libgreet",) if packages[0] == "loops" and features == "parallel-fetch" else ()
    with serving(tmp_path / "www", holds=holds) as server:
        (host.config / "gentoomuch.toml").write_text(f'[binhost."{server.url}"]\ntimeout = {HANG}\n')
        env = {"PORTAGE_BINHOST": server.url, "FEATURES": features}
        first = on("gm-emerge", "--gm-profile=old", "--getbinpkgonly", "--keep-going", *packages, **env)
        again = on("gm-emerge", "--gm-profile=old", "-pg", "loops", **env)

    assert first.status == 1
    assert re.search(r"!!! =app-demo/loops-1\.0-1 is not merged: its machine code needs avx, avx2 in ", first.err)
    assert [path.name for path in host.vdb.glob("*-demo/*")] == ["libgreet-1.0"]
    assert not list(host.pkgdir.rglob("*.partial"))
    assert not [path for path in host.pkgdir.rglob("*.gpkg.tar") if not path.stat().st_size]
    assert "[ebuild" in again.out
    assert "=app-demo/loops-1.0-1 its machine code needs avx, avx2" in again.err
