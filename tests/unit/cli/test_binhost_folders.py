"""Folders that commands of ``binhost`` are given, and that are others than they need."""

import shutil
import tarfile
from contextlib import nullcontext
from pathlib import Path

import pytest
from shelving import shelve

from gentoomuch_portage.binhost import publish
from gentoomuch_portage.cli.binhost.serve import _root
from gentoomuch_portage.cli.commands import enter
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
        return enter(["binhost", *words]), capsys.readouterr()

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


def test_query_of_a_folder_without_an_index_says_how_to_get_one(binhost, tmp_path: Path):
    (tmp_path / "pk").mkdir()

    status, said = binhost("query", "--dir", "pk")

    assert (status, f"binhost index {tmp_path}/pk" in said.err) == (64, True)


def test_a_folder_without_an_index_is_not_served_and_told_how_to_get_one(binhost, tmp_path: Path):
    (tmp_path / "pk").mkdir()

    assert f"binhost index {tmp_path}/pk" in binhost("serve", "pk")[1].err


@pytest.mark.parametrize(
    "words", ["--cert nothing", "--user nobody-here", "--log /dev/null/x", "--log .", "--bind x:y"]
)
def test_what_cannot_be_served_so_is_told_before_a_key_is_made(binhost, settings, published: Path, words: str):
    status, said = binhost("serve", str(published), *words.split())

    assert (status in {64, 77, 78}, said.out, "try: " in said.err) == (True, "", True)
    assert not (settings.state / "binhost").exists()


@pytest.mark.parametrize(
    ("text", "status"),
    [("TIMESTAMP: y\nPACKAGES: x\n\n", 0), ("A: 1\n\nCPV: none\n\n", 70), ("A: 1\n\nSIZE: 1\n\n", 70), ("\xff", 0)],
)
def test_a_damaged_index_is_mended_or_told_with_the_way_out(binhost, tmp_path: Path, text: str, status: int):
    shelve(tmp_path / "pk", {"a/b-1": b"one"})
    (tmp_path / "pk/Packages").write_text(text)

    ended, said = binhost("index", "pk")

    assert (ended, f"rm {tmp_path}/pk/Packages, then" in said.err) == (status, status != 0)


@pytest.mark.parametrize("damaged", ["names", "by-name/a/b"])
def test_a_damaged_index_by_name_is_told_with_the_way_out(binhost, tmp_path: Path, damaged: str):
    store = shelve(tmp_path / "pk", {"a/b-1": b"one"})
    (store / "gm-index" / damaged).write_bytes(b"\xff\n")

    ended, said = binhost("query", "--dir", "pk")
    shutil.rmtree(store / "gm-index")
    assert binhost("index", "pk")[0] == 0

    assert (ended, f"rm -r {store}/gm-index, then" in said.err) == (70, True)
    assert (store / "gm-index" / "names").is_file()


def test_what_runs_is_asked_of_a_cpu(binhost, published: Path):
    status, said = binhost("query", "--dir", str(published), "--runs")

    assert (status, "--cpu CPU" in said.err) == (64, True)


def test_query_and_check_of_a_published_folder_look_at_what_clients_see(binhost, published: Path):
    queried, told = binhost("query", "--dir", str(published))
    checked, said = binhost("check", "--quick", str(published))

    assert (queried, "a/b-1" in told.out, "c/d-1" in told.out) == (0, True, False)
    assert (checked, said.out) == (0, ""), said


@pytest.mark.parametrize("place", [".", "current", "generations/1"])
@pytest.mark.parametrize("words", ["check --fix", "index", "publish new --from", "sign"])
def test_what_is_published_is_not_changed_in_place(binhost, published: Path, words: str, place: str):
    before = sorted(published.rglob("*"))

    status, said = binhost(*words.split(), str(published / place))

    assert (status, "[usage]" in said.err) == (64, True)
    assert sorted(published.rglob("*")) == before


def test_equal_packages_that_are_one_file_when_published_are_not_taken_for_altered(binhost, tmp_path: Path):
    source = shelve(tmp_path / "pk", {"a/b-1": b"one", "c/d-1": b"one"})
    index = source / "Packages"
    index.write_text(index.read_text().replace("\nMD5", "\nMTIME: 1\nMD5", 1).replace("PATH: c", "MTIME: 2\nPATH: c"))
    write.follow(source, lambda _: {})
    with publish.locked(tmp_path / "www"):
        publish.publish(source, tmp_path / "www", grace=0, finish=lambda _: None, lock=nullcontext)

    assert "altered" in binhost("check", str(source))[1].out
    assert "altered" not in binhost("check", str(tmp_path / "www"))[1].out


def test_a_package_that_tells_of_more_bytes_than_there_can_be_is_not_signed(binhost, tmp_path: Path):
    header = tarfile.TarInfo("a")
    header.size = 1 << 70
    shelve(tmp_path / "pk", {"a/b-1": header.tobuf(tarfile.GNU_FORMAT) + bytes(512)})

    assert "it is not signed" in binhost("check", "pk", "--signed")[1].out


def test_a_folder_of_packages_that_a_link_leads_to_may_be_signed(tmp_path: Path):
    link = tmp_path / "link"
    link.symlink_to(shelve(tmp_path / "pk", {"a/b-1": b"one"}))

    assert _root(link) == (link, False)


@pytest.mark.parametrize("words", [("rollback", "typo"), ("publish", "--from", "typo", "new")], ids=" ".join)
def test_a_mistyped_folder_is_refused_and_no_folder_is_made(binhost, tmp_path: Path, words):
    assert binhost(*words)[0] == 64
    assert not {"typo", "new"} & {one.name for one in tmp_path.iterdir()}


@pytest.mark.parametrize("top", ["pk", "pk/www"])
def test_packages_are_not_published_into_the_folder_that_they_come_from(binhost, tmp_path: Path, top: str):
    shelve(tmp_path / "pk", {"a/b-1": b"one"})

    status, said = binhost("publish", "--from", "pk", top)

    assert (status, "[usage]" in said.err) == (64, True)
    assert not list(tmp_path.rglob("generations"))


def test_a_folder_that_is_not_there_is_not_signed_without_a_word(binhost):
    status, said = binhost("sign", "/none")

    assert (status, "there is no folder /none" in said.err) == (64, True)
