# SPDX-License-Identifier: GPL-2.0-or-later
"""Folders that commands of ``binhost`` are given, and that are others than they need."""

import shutil
import tarfile
from contextlib import nullcontext
from pathlib import Path

import pytest
from helpers.package_folders import shelve

from gentoomuch_portage.binhost import publish
from gentoomuch_portage.cli.binhost.serve import _root
from gentoomuch_portage.cli.commands import run_command_line
from gentoomuch_portage.pkgindex import write


@pytest.fixture
def binhost(monkeypatch, settings, tmp_path: Path, capsys):
    """Run ``gentoomuch binhost ...`` in a folder; its status, and what it said."""
    for name in ("config", "state", "cache"):
        monkeypatch.setenv(f"GM_{name.upper()}", str(getattr(settings, name)))
    settings.host.mkdir(parents=True)
    monkeypatch.setenv("PORTAGE_CONFIGROOT", str(settings.host.parent.parent))
    monkeypatch.chdir(tmp_path)

    def run(*words: str):
        capsys.readouterr()
        return run_command_line(["binhost", *words]), capsys.readouterr()

    return run


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A published folder; a package has left its index, and can still be fetched."""
    top = tmp_path / "www"
    for one in ({"a/b-1": b"one", "c/d-1": b"two"}, {"a/b-1": b"one"}):
        source = shelve(tmp_path / f"of{len(one)}", one)
        with publish.locked(top):
            publish.publish(source, top, grace=3600, finish=lambda _: None, lock=nullcontext)
    return top


def test_query_of_a_directory_without_index_has_a_hint(binhost, tmp_path: Path):
    (tmp_path / "pk").mkdir()

    status, said = binhost("query", "--dir", "pk")

    assert (status, f"binhost index {tmp_path}/pk" in said.err) == (64, True)


def test_serving_a_directory_without_index_is_an_error_whose_hint_works(binhost, tmp_path: Path):
    (tmp_path / "pk").mkdir()

    assert f"binhost index {tmp_path}/pk" in binhost("serve", "pk")[1].err


@pytest.mark.parametrize(
    "words", ["--cert nothing", "--user nobody-here", "--log /dev/null/x", "--log .", "--bind x:y"]
)
def test_invalid_server_options_are_reported_before_a_key_is_made(binhost, settings, published: Path, words: str):
    status, said = binhost("serve", str(published), *words.split())

    assert (status in {64, 77, 78}, said.out, "hint: " in said.err) == (True, "", True)
    assert not (settings.state / "binhost").exists()


@pytest.mark.parametrize(
    ("text", "status"),
    [("TIMESTAMP: y\nPACKAGES: x\n\n", 0), ("A: 1\n\nCPV: none\n\n", 70), ("A: 1\n\nSIZE: 1\n\n", 70), ("\xff", 0)],
)
def test_a_damaged_index_is_fixed_or_reported_with_a_hint(binhost, tmp_path: Path, text: str, status: int):
    shelve(tmp_path / "pk", {"a/b-1": b"one"})
    (tmp_path / "pk/Packages").write_text(text)

    ended, said = binhost("index", "pk")

    assert (ended, f"rm {tmp_path}/pk/Packages, then" in said.err) == (status, status != 0)


@pytest.mark.parametrize("damaged", ["names", "by-name/a/b"])
def test_a_damaged_shard_is_reported_with_a_hint(binhost, tmp_path: Path, damaged: str):
    store = shelve(tmp_path / "pk", {"a/b-1": b"one"})
    (store / "gm-index" / damaged).write_bytes(b"\xff\n")

    ended, said = binhost("query", "--dir", "pk")
    shutil.rmtree(store / "gm-index")
    assert binhost("index", "pk")[0] == 0

    assert (ended, f"rm -r {store}/gm-index, then" in said.err) == (70, True)
    assert (store / "gm-index" / "names").is_file()


def test_query_lists_packages_that_run_on_a_cpu(binhost, published: Path):
    status, said = binhost("query", "--dir", str(published), "--runs")

    assert (status, "--runs --cpu native" in said.err) == (64, True)


def test_query_and_check_use_the_current_generation(binhost, published: Path):
    queried, told = binhost("query", "--dir", str(published))
    checked, said = binhost("check", "--quick", str(published))

    assert (queried, "a/b-1" in told.out, "c/d-1" in told.out) == (0, True, False)
    assert (checked, said.out) == (0, ""), said


@pytest.mark.parametrize("place", [".", "current", "generations/1"])
@pytest.mark.parametrize("words", ["check --fix", "index", "publish new --from", "sign"])
def test_published_files_are_not_changed_in_place(binhost, published: Path, words: str, place: str):
    before = sorted(published.rglob("*"))

    status, said = binhost(*words.split(), str(published / place))

    assert (status, "[usage]" in said.err) == (64, True)
    assert sorted(published.rglob("*")) == before


def test_equal_published_packages_are_not_reported_as_altered(binhost, tmp_path: Path):
    source = shelve(tmp_path / "pk", {"a/b-1": b"one", "c/d-1": b"one"})
    index = source / "Packages"
    index.write_text(index.read_text().replace("\nMD5", "\nMTIME: 1\nMD5", 1).replace("PATH: c", "MTIME: 2\nPATH: c"))
    write.update_shards(source, lambda _: {})
    with publish.locked(tmp_path / "www"):
        publish.publish(source, tmp_path / "www", grace=0, finish=lambda _: None, lock=nullcontext)

    assert "altered" in binhost("check", str(source))[1].out
    assert "altered" not in binhost("check", str(tmp_path / "www"))[1].out


def test_a_package_with_an_impossible_size_is_not_signed(binhost, tmp_path: Path):
    header = tarfile.TarInfo("a")
    header.size = 1 << 70
    shelve(tmp_path / "pk", {"a/b-1": header.tobuf(tarfile.GNU_FORMAT) + bytes(512)})

    assert "it is not signed" in binhost("check", "pk", "--signed")[1].out


def test_packages_in_a_linked_directory_can_be_signed(tmp_path: Path):
    link = tmp_path / "link"
    link.symlink_to(shelve(tmp_path / "pk", {"a/b-1": b"one"}))

    assert _root(link) == (link, False)


@pytest.mark.parametrize("words", [("rollback", "typo"), ("publish", "--from", "typo", "new")], ids=" ".join)
def test_a_missing_directory_is_rejected_and_not_created(binhost, tmp_path: Path, words):
    assert binhost(*words)[0] == 64
    assert not {"typo", "new"} & {one.name for one in tmp_path.iterdir()}


@pytest.mark.parametrize("top", ["pk", "pk/www"])
def test_publishing_into_the_source_directory_is_rejected(binhost, tmp_path: Path, top: str):
    shelve(tmp_path / "pk", {"a/b-1": b"one"})

    status, said = binhost("publish", "--from", "pk", top)

    assert (status, "[usage]" in said.err) == (64, True)
    assert not list(tmp_path.rglob("generations"))


def test_signing_a_missing_directory_is_an_error(binhost):
    status, said = binhost("sign", "/none")

    assert (status, "[no-package-folder]" in said.err) == (64, True)
