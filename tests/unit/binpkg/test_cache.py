# SPDX-License-Identifier: GPL-2.0-or-later
"""What binary packages told is kept, and never believed of a file that has changed."""

import os
import threading
from pathlib import Path

import pytest
from helpers.packages import WANTED, gpkg

from gentoomuch_portage.binpkg import metadata
from gentoomuch_portage.binpkg.formats import BadBinpkg
from gentoomuch_portage.binpkg.http import BinpkgUnreadable, Pools
from gentoomuch_portage.binpkg.metadata import MetadataCache, MetadataReader
from gentoomuch_portage.portage_adapter.binpkg import Binpkg

LONG_AGO = 1_000_000_000


@pytest.fixture
def kept(tmp_path: Path) -> MetadataCache:
    return MetadataCache(tmp_path / "kept", {"CFLAGS"})


@pytest.fixture
def package(tmp_path: Path, monkeypatch) -> Path:
    """A package built with -O2, settled for long."""
    monkeypatch.setattr("gentoomuch_portage.binpkg.metadata._SETTLED", 0)
    path = tmp_path / "p-1.gpkg.tar"
    path.write_bytes(gpkg({"CFLAGS": b"-O2"}, ""))
    return path


def read_in_new_run(path: Path) -> dict[str, str]:
    """Read the metadata of a package as a new run does."""
    nothing = frozenset()
    more = {"build_id": 1, "build_time": 0, "use": nothing, "iuse": nothing, "chost": "", "size": 0, "digests": ()}
    one = Binpkg(cpv="a/p-1", root="/", path=path, url="", **more)
    return MetadataReader(path.parent / "cache", WANTED, Pools(lambda url: "")).read(one)


def test_a_cache_entry_is_found_only_by_its_key_and_stamp(kept: MetadataCache):
    kept.put("one", {"CFLAGS": "-O2"}, "then")

    assert kept.get("one", "then") == {"CFLAGS": "-O2"}
    assert kept.get("one", "now") is None
    assert kept.get("two", "then") is None


def test_a_cache_entry_with_fewer_keys_is_ignored(kept: MetadataCache, tmp_path: Path):
    kept.put("one", {"CFLAGS": "-O2"})

    assert MetadataCache(tmp_path / "kept", {"CFLAGS", "GOAMD64"}).get("one") is None
    assert MetadataCache(tmp_path / "kept", {"CXXFLAGS"}).get("one") is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"key": "one", "stamp": ""}', '{"key": "one", "stamp": "", "wanted": 3}']
)
def test_a_damaged_cache_entry_is_ignored(kept: MetadataCache, tmp_path: Path, text):
    kept.put("one", {"CFLAGS": "-O2"})
    (file,) = (tmp_path / "kept").rglob("*.json")
    file.write_text(text)

    assert kept.get("one") is None


def test_a_cache_that_cannot_be_written_costs_no_more_than_time(tmp_path: Path):
    (tmp_path / "kept").write_text("a file in the place of the folder")
    kept = MetadataCache(tmp_path / "kept", {"CFLAGS"})

    kept.put("one", {"CFLAGS": "-O2"})

    assert kept.get("one") is None


def test_concurrent_runs_write_the_same_cache_entries(kept: MetadataCache, tmp_path: Path):
    def run() -> None:
        for number in range(200):
            kept.put(f"{number % 10}", {"CFLAGS": f"-O{number % 10}"})
            assert kept.get(f"{number % 10}") == {"CFLAGS": f"-O{number % 10}"}

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(list((tmp_path / "kept").rglob("*.*"))) == 10


def test_a_package_that_did_not_change_is_not_opened_again(package: Path, monkeypatch):
    read_in_new_run(package)
    monkeypatch.setattr(metadata, "_read_file", None)

    assert read_in_new_run(package) == {"CFLAGS": "-O2"}


def test_a_package_that_was_replaced_is_read_again(package: Path):
    read_in_new_run(package)
    fresh = package.with_suffix(".new")
    fresh.write_bytes(gpkg({"CFLAGS": b"-O3"}, ""))
    os.utime(fresh, ns=(package.stat().st_atime_ns, package.stat().st_mtime_ns))
    fresh.rename(package)

    assert read_in_new_run(package) == {"CFLAGS": "-O3"}


def test_an_overwritten_package_with_equal_mtime_is_read_again(package: Path):
    read_in_new_run(package)
    before = package.stat()
    package.write_bytes(gpkg({"CFLAGS": b"-O3"}, ""))
    os.utime(package, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert read_in_new_run(package) == {"CFLAGS": "-O3"}


def test_a_recently_changed_package_is_not_cached(package: Path, monkeypatch):
    monkeypatch.setattr("gentoomuch_portage.binpkg.metadata._SETTLED", 60_000_000_000)
    read_in_new_run(package)

    assert not list((package.parent / "cache").rglob("*.json"))


def test_a_hostile_package_is_rejected_each_time(package: Path):
    package.write_bytes(b"x" * 2000)

    for _ in range(2):
        with pytest.raises(BadBinpkg):
            read_in_new_run(package)


def test_a_missing_package_is_reported(package: Path):
    package.unlink()

    with pytest.raises(BinpkgUnreadable, match="no such file"):
        read_in_new_run(package)


def test_a_pipe_by_the_name_of_a_package_is_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "p.gpkg.tar")

    with pytest.raises(BadBinpkg, match="not a regular file"):
        read_in_new_run(tmp_path / "p.gpkg.tar")
