# SPDX-License-Identifier: GPL-2.0-or-later
"""What a binary package needs, by what it tells, by its USE flags, and by what its binhost is declared to be."""

import json
import os
from pathlib import Path

import pytest
from helpers.errors import raises
from helpers.http_server import serving
from helpers.packages import gpkg, xpak

from gentoomuch_portage.binpkg_filter import cpu as binpkg_filter_cpu
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.isa.requirement import Requirement
from gentoomuch_portage.portage_adapter.binpkg import Binpkg

V3 = {"AVX2", "BMI2", "FMA"}


def binpkg(path: Path | None = None, url: str = "", use: str = "", iuse: str = "", size: int = 0) -> Binpkg:
    told = {"build_id": 1, "build_time": 0, "chost": "", "size": size, "digests": (("SHA1", "d"),) if url else ()}
    flags = {"use": frozenset(use.split()), "iuse": frozenset(iuse.split())}
    return Binpkg(cpv="a/p-1", root="/", path=path, url=url, **told, **flags)


@pytest.fixture(params=[gpkg, xpak], ids=["gpkg", "xpak"])
def needed(request, tmp_path: Path):
    """What a package with these files of metadata needs."""

    def by(files: dict[str, str], use: str = "", iuse: str = "") -> Requirement:
        path = tmp_path / ("p.gpkg.tar" if request.param is gpkg else "p.xpak")
        path.write_bytes(request.param({name: text.encode() for name, text in files.items()}))
        return binpkg_filter_cpu.find_requirement(binpkg(path, use=use, iuse=iuse), tmp_path / "cache")

    return by


def test_flags_are_resolved_by_the_compiler(needed):
    assert needed({"CFLAGS": "-O2 -march=x86-64-v3"}).features >= V3
    assert not V3 & needed({"CFLAGS": "-O2 -march=x86-64"}).features


def test_a_recorded_requirement_overrides_flags(needed):
    recorded = Requirement(features=frozenset({"AVX"}), abi=frozenset(), description="-march=native")

    assert needed({"CFLAGS": "-march=native", "GM_REQUIRES": recorded.to_json()}) == recorded


def test_a_package_without_flags_is_unknown(needed):
    found = needed({"SLOT": "0"})

    assert not found.known
    assert found.description == "build flags unknown"


@pytest.mark.parametrize(
    "files",
    [
        {"CFLAGS": "-O2 -march=native"},
        {"CFLAGS": "-O2", "CXXFLAGS": "-mcpu=native"},
        {"CFLAGS": "-O2", "FFLAGS": "-march=native"},
        {"CFLAGS": "-O2", "INHERITED": "cargo", "RUSTFLAGS": "-C target-cpu=native"},
    ],
)
def test_native_without_a_record_is_unknown(needed, files):
    found = needed(files)

    assert not found.known
    assert "=native, without a record" in found.description


def test_mtune_native_is_ignored(needed):
    assert needed({"CFLAGS": "-O2 -march=x86-64 -mtune=native"}).known


def test_a_cpu_flag_counts_only_if_the_package_has_it(needed):
    assert "AVX2" in needed({"CFLAGS": "-O2"}, "cpu_flags_x86_avx2", "cpu_flags_x86_avx2").features
    assert "AVX2" not in needed({"CFLAGS": "-O2"}, "cpu_flags_x86_avx2", "ssl").features
    assert "AVX2" not in needed({"CFLAGS": "-O2"}, "", "cpu_flags_x86_avx2").features


def test_a_hostile_package_is_unknown_with_a_reason(needed):
    found = needed({"CFLAGS": "-O2\0"})

    assert not found.known
    assert found.description == "its CFLAGS contains control characters"


URL = "https://binhost.example/v3"


@pytest.mark.parametrize("declared", [URL, URL + "/", "HTTPS://Binhost.Example/v3", "https://binhost.example"])
def test_packages_of_a_binhost_with_cpu_are_accepted_unread(tmp_path: Path, declared):
    found = binpkg_filter_cpu.find_requirement(binpkg(url=f"{URL}/a/p-1.gpkg.tar"), tmp_path, {declared: "x86-64-v3"})

    assert found.features >= V3
    assert found.description == f"x86-64-v3, declared for {declared}"


def test_a_name_and_a_password_make_no_other_binhost(tmp_path: Path):
    url = f"{URL}/a/p-1.gpkg.tar".replace("://", "://me:secret@")

    assert binpkg_filter_cpu.find_requirement(binpkg(url=url), tmp_path, {URL: "x86-64-v3"}).known


def test_of_two_declared_binhosts_the_nearer_one_counts(tmp_path: Path):
    declared = {"https://binhost.example": "x86-64-v3", URL: "x86-64"}

    assert not binpkg_filter_cpu.find_requirement(binpkg(url=f"{URL}/p.xpak"), tmp_path, declared).features


def test_a_cpu_flag_counts_on_a_declared_binhost_too(tmp_path: Path):
    one = binpkg(url=f"{URL}/p.xpak", use="cpu_flags_x86_avx2", iuse="cpu_flags_x86_avx2")

    assert "AVX2" in binpkg_filter_cpu.find_requirement(one, tmp_path, {URL: "x86-64"}).features


@pytest.mark.parametrize(
    ("cpu", "why"), [("pentium9", "unknown cpu 'pentium9'"), ("native", 'cpu = "native" is invalid')]
)
def test_packages_of_a_binhost_with_an_unknown_cpu_are_unknown(tmp_path: Path, cpu, why):
    found = binpkg_filter_cpu.find_requirement(binpkg(url=f"{URL}/p.xpak"), tmp_path, {URL: cpu})

    assert not found.known
    assert why in found.description


@pytest.mark.parametrize("path", ["v3x/p.xpak", "v3/../other/p.xpak", "p.xpak"])
def test_a_url_beside_a_declared_binhost_is_not_declared(tmp_path: Path, path):
    assert binpkg_filter_cpu._find_declared(f"https://binhost.example/{path}", {URL: "x86-64-v3"}) == ""


def test_cached_metadata_overrides_a_declared_cpu(tmp_path: Path):
    (tmp_path / "p.xpak").write_bytes(xpak({"CFLAGS": b"-O2 -march=x86-64-v3"}))
    with serving(tmp_path) as server:
        one = binpkg(url=f"{server.url}/p.xpak", size=(tmp_path / "p.xpak").stat().st_size)
        binpkg_filter_cpu.find_requirement(one, tmp_path / "cache")
        binpkg_filter_cpu._reader(tmp_path / "cache", os.getpid(), ())._pools.close()

    assert binpkg_filter_cpu.find_requirement(one, tmp_path / "cache", {server.url: "x86-64"}).features >= V3


def test_the_table_of_binhosts_is_handed_down(tmp_path: Path):
    (tmp_path / "gentoomuch.toml").write_text(f'[binhost."{URL}"]\ncpu = "x86-64-v3"\n')

    assert Settings.load({"GM_CONFIG": str(tmp_path)}).binhosts == {URL: "x86-64-v3"}


def test_a_binhost_with_an_unknown_key_is_an_error(tmp_path: Path):
    (tmp_path / "gentoomuch.toml").write_text(f'[binhost."{URL}"]\ncpus = "x86-64-v3"\n')

    with raises("bad-setting", match="unknown key 'cpus'"):
        Settings.load({"GM_CONFIG": str(tmp_path)})


def test_a_recorded_requirement_of_another_shape_is_unknown(needed):
    assert not needed({"GM_REQUIRES": json.dumps(["AVX2"])}).known
