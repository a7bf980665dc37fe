"""Whole or not at all; and nobody takes away what is held."""

import multiprocessing
import os
from pathlib import Path

import pytest

from gentoomuch_portage import fs
from gentoomuch_portage.errors import NoPrivilege

AS_ROOT = pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")


def test_a_link_is_replaced_and_never_written_through(tmp_path: Path):
    (tmp_path / "theirs").write_text("theirs")
    (tmp_path / "ours").symlink_to("theirs")

    fs.write(tmp_path / "ours", "ours")

    assert (tmp_path / "theirs").read_text() == "theirs"
    assert not (tmp_path / "ours").is_symlink()
    assert (tmp_path / "ours").read_text() == "ours"


def test_a_write_that_fails_leaves_the_old_text_and_nothing_else(tmp_path: Path):
    (tmp_path / "a").write_text("old")

    with pytest.raises(UnicodeEncodeError):
        fs.write(tmp_path / "a", "\ud800")

    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_a_written_file_has_the_mode_asked_for_whatever_the_umask(tmp_path: Path):
    before = os.umask(0o077)
    try:
        fs.write(tmp_path / "sub/a", "", mode=0o640)
    finally:
        os.umask(before)

    assert (tmp_path / "sub/a").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("link", [False, True])
def test_a_file_that_is_replaced_hands_its_mode_on(tmp_path: Path, link: bool):
    (tmp_path / "a").write_text("old")
    (tmp_path / "a").chmod(0o600)
    (tmp_path / "link").symlink_to("a")

    fs.write(tmp_path / ("link" if link else "a"), "new")

    assert (tmp_path / ("link" if link else "a")).lstat().st_mode & 0o777 == 0o600


def test_a_file_in_the_place_of_a_folder_is_told(tmp_path: Path):
    (tmp_path / "a").write_text("")

    with pytest.raises(NoPrivilege, match=str(tmp_path / "a")):
        fs.write(tmp_path / "a/b", "")


@AS_ROOT
def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path):
    tmp_path.chmod(0o555)

    with pytest.raises(NoPrivilege, match=str(tmp_path)):
        fs.write(tmp_path / "a", "")
    with pytest.raises(NoPrivilege, match=str(tmp_path)):
        fs.write(tmp_path / "a/b", "")
    with pytest.raises(NoPrivilege, match=str(tmp_path)), fs.fresh_folder(tmp_path):
        pass


def test_a_held_folder_is_not_removed(tmp_path: Path):
    (tmp_path / "a").mkdir()
    lock = fs.hold(tmp_path / "a")

    assert not fs.remove_unheld(tmp_path / "a")
    assert (tmp_path / "a").is_dir()

    os.close(lock)
    assert fs.remove_unheld(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_many_may_hold_a_folder(tmp_path: Path):
    first, second = fs.hold(tmp_path), fs.hold(tmp_path)
    os.close(first)

    assert not fs.remove_unheld(tmp_path)

    os.close(second)


def test_a_folder_that_is_gone_cannot_be_held_and_counts_as_removed(tmp_path: Path):
    assert fs.hold(tmp_path / "none") is None
    assert fs.remove_unheld(tmp_path / "none")


def test_a_file_is_no_folder_to_hold_or_remove(tmp_path: Path):
    (tmp_path / "a").write_text("")

    assert fs.hold(tmp_path / "a") is None
    assert not fs.remove_unheld(tmp_path / "a")
    assert (tmp_path / "a").exists()


def test_what_a_killed_remover_left_behind_stands_in_nobodys_way(tmp_path: Path):
    (tmp_path / f".old-a-{os.getpid()}/b").mkdir(parents=True)
    (tmp_path / "a/b").mkdir(parents=True)

    assert fs.remove_unheld(tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_a_folder_that_took_the_place_of_the_one_looked_at_is_not_removed(tmp_path: Path, monkeypatch):
    (tmp_path / "a").mkdir()
    lock = fs.fcntl.flock

    def replaced_meanwhile(number: int, how: int) -> None:
        (tmp_path / "a").rename(tmp_path / "before")
        (tmp_path / "a").mkdir()
        lock(number, how)

    monkeypatch.setattr(fs.fcntl, "flock", replaced_meanwhile)

    assert not fs.remove_unheld(tmp_path / "a")
    assert (tmp_path / "a").is_dir()


def test_a_fresh_folder_is_held_while_it_is_made_and_gone_afterwards(tmp_path: Path):
    with fs.fresh_folder(tmp_path) as folder:
        assert not fs.remove_unheld(folder)
        assert folder.stat().st_mode & 0o777 == 0o755

    assert list(tmp_path.iterdir()) == []


def test_a_fresh_folder_that_somebody_took_for_left_before_it_was_locked_is_made_again(tmp_path: Path, monkeypatch):
    lock, made = fs.fcntl.flock, []

    def swept_meanwhile(number: int, how: int) -> None:
        if not made:
            made.extend(tmp_path.iterdir())
            made[0].rmdir()
        lock(number, how)

    monkeypatch.setattr(fs.fcntl, "flock", swept_meanwhile)

    with fs.fresh_folder(tmp_path) as folder:
        assert folder.is_dir()
        assert folder not in made


def test_a_fresh_folder_that_moved_on_stays(tmp_path: Path):
    with fs.fresh_folder(tmp_path) as folder:
        folder.rename(tmp_path / "named")

    assert [path.name for path in tmp_path.iterdir()] == ["named"]


def test_a_folder_of_ours_is_no_link_that_somebody_prepared(tmp_path: Path):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "ours").symlink_to("theirs")

    with pytest.raises(NoPrivilege, match="not a folder of ours"):
        fs.own_folder(tmp_path / "ours")


def test_a_folder_is_for_those_that_it_is_meant_for_whatever_the_umask(tmp_path: Path):
    before = os.umask(0o077)
    try:
        fs.ensure(tmp_path / "cache/a")
        fs.ensure(tmp_path / "kept", mode=0o700)
    finally:
        assert os.umask(before) == 0o077

    modes = {name: (tmp_path / name).stat().st_mode & 0o777 for name in ("cache", "cache/a", "kept")}
    assert modes == {"cache": 0o755, "cache/a": 0o755, "kept": 0o700}


def test_a_folder_of_ours_that_cannot_be_made_is_told(tmp_path: Path):
    (tmp_path / "file").write_text("")

    with pytest.raises(NoPrivilege, match="cannot be made"):
        fs.own_folder(tmp_path / "file/ours")
    with pytest.raises(NoPrivilege, match="ours"):
        fs.own_folder(tmp_path / "file")


def _count_up(path: Path, times: int) -> None:
    for _ in range(times):
        with fs.locked(path.with_suffix(".lock")):
            path.write_text(str(int(path.read_text()) + 1))


def test_one_at_a_time_is_in_a_locked_block(tmp_path: Path):
    (tmp_path / "count").write_text("0")
    workers = [multiprocessing.Process(target=_count_up, args=(tmp_path / "count", 200)) for _ in range(4)]

    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert (tmp_path / "count").read_text() == "800"


def _append(path: Path, word: str) -> None:
    for _ in range(200):
        fs.append(path, word * 500)


def test_lines_appended_at_once_do_not_mix(tmp_path: Path):
    workers = [multiprocessing.Process(target=_append, args=(tmp_path / "log", word)) for word in "abcd"]

    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    lines = (tmp_path / "log").read_text().splitlines()
    assert len(lines) == 800
    assert {line for line in lines} == {word * 500 for word in "abcd"}
