# SPDX-License-Identifier: GPL-2.0-or-later
"""Generations of a published folder: complete or not there, and nothing that was promised disappears."""

import gzip
import hashlib
import os
import random
import shutil
import signal
import time
from contextlib import nullcontext
from pathlib import Path

import pytest
from helpers.errors import raises
from helpers.package_folders import shelve

from gentoomuch_portage.binhost import publish as binhost_publish
from gentoomuch_portage.binhost.object_store import NotAsIndexed
from gentoomuch_portage.errors import BadFile
from gentoomuch_portage.pkgindex import edit, entry, shards, stamp

HOUR = 3600.0


def publish(source: Path, top: Path, grace: float = HOUR) -> binhost_publish.Generation:
    with binhost_publish.locked(top):
        return binhost_publish.publish(source, top, grace=grace, finish=lambda _: None, lock=nullcontext)


def rollback(top: Path, number: int | None = None) -> binhost_publish.Generation:
    with binhost_publish.locked(top):
        return binhost_publish.rollback(top, number, grace=HOUR, finish=lambda _: None)


def retained(top: Path, **named: float) -> list[int]:
    with binhost_publish.locked(top):
        return binhost_publish.prune(top, **{"keep": 1, "days": 0, "grace": HOUR, **named})


def whole(tree: Path) -> dict[str, bytes]:
    """What clients find in a tree; every entry of its index is held against its file."""
    text = (tree / "Packages").read_bytes()
    assert gzip.decompress((tree / "Packages.gz").read_bytes()) == text
    assert stamp.fresh(tree.resolve())
    with edit.open_view(tree / "Packages") as view:
        entries = [entry.fields(one) for one in entry.each(view.data[view.body :])]
    assert sorted({entry.name(one["CPV"].encode()) for one in entries}) == sorted(shards.read(tree))
    found = {one["CPV"]: (tree / one["PATH"]).read_bytes() for one in entries}
    assert all(hashlib.md5(found[one["CPV"]]).hexdigest() == one["MD5"] for one in entries)
    return found


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """Two generations: b/c went, d/e came, a/b is another one."""
    top = tmp_path / "www"
    publish(shelve(tmp_path / "one", {"a/b-1": b"one", "b/c-1": b"two", "x/y-1": b"one"}), top)
    publish(shelve(tmp_path / "two", {"a/b-1": b"ONE!", "d/e-1": b"three", "x/y-1": b"one"}), top)
    return top


def test_the_current_generation_is_complete(top):
    assert whole(top / "current") == {"a/b-1": b"ONE!", "d/e-1": b"three", "x/y-1": b"one"}


def test_removed_packages_can_be_fetched_within_the_grace_period(top):
    assert (top / "current/b/c/c-1-1.gpkg.tar").read_bytes() == b"two"
    assert "b/c-1" not in whole(top / "current")


def test_removed_packages_are_deleted_after_the_grace_period(tmp_path):
    top = tmp_path / "www"
    publish(shelve(tmp_path / "one", {"a/b-1": b"one", "b/c-1": b"two"}), top)
    publish(shelve(tmp_path / "two", {"a/b-1": b"one"}), top, grace=0)
    publish(shelve(tmp_path / "three", {"a/b-1": b"one", "c/d-1": b"3"}), top)

    assert not (top / "current/b").exists()


def test_equal_contents_are_stored_once(top):
    held = [one for one in (top / "objects").glob("??/*") if one.read_bytes() == b"one"]

    assert len(held) == 1
    assert (top / "current/x/y/y-1-1.gpkg.tar").samefile(held[0])
    assert (top / "generations/1/a/b/b-1-1.gpkg.tar").samefile(held[0])


def test_publishing_the_same_again_makes_no_generation(top, tmp_path):
    assert publish(tmp_path / "two", top).number == 2


def test_changing_a_package_does_not_change_published_files(top, tmp_path):
    with (tmp_path / "two/x/y/y-1-1.gpkg.tar").open("r+b") as file:
        file.write(b"!")

    assert whole(top / "current")["x/y-1"] == b"one"


def test_a_package_that_differs_from_its_index_is_not_published(top, tmp_path):
    (tmp_path / "two/d/e/e-1-1.gpkg.tar").write_bytes(b"THREE")

    with pytest.raises(NotAsIndexed):
        publish(tmp_path / "two", top)

    assert binhost_publish.list_generations(top) == [1, 2]
    assert whole(top / "current")["d/e-1"] == b"three"


def test_a_path_outside_of_the_directory_is_not_published(tmp_path):
    source = shelve(tmp_path / "one", {"a/b-1": b"one"})
    text = (source / "Packages").read_bytes().replace(b"PATH: a/b", b"PATH: a/../../b")
    (source / "Packages").write_bytes(text)

    with pytest.raises(NotAsIndexed):
        publish(source, tmp_path / "www")


def test_rollback_restores_packages_with_a_newer_timestamp(top):
    before = (top / "current/Packages").read_bytes()

    made = rollback(top)

    assert (made.number, made.shows) == (3, 1)
    assert whole(top / "current") == {"a/b-1": b"one", "b/c-1": b"two", "x/y-1": b"one"}
    assert (top / "current/d/e/e-1-1.gpkg.tar").read_bytes() == b"three"
    assert timestamp((top / "current/Packages").read_bytes()) > timestamp(before) + 5
    assert (top / "current/Packages").stat().st_mtime == timestamp((top / "current/Packages").read_bytes())


def test_generations_within_a_second_have_increasing_timestamps(top):
    one, two = ((top / f"generations/{number}/Packages").read_bytes() for number in (1, 2))

    assert timestamp(two) > timestamp(one) + 5


def timestamp(text: bytes) -> int:
    return int(entry.fields(text.partition(b"\n\n")[0])["TIMESTAMP"])


def test_two_rollbacks_go_back_two_generations(top, tmp_path):
    publish(shelve(tmp_path / "three", {"a/b-1": b"3"}), top)

    assert [rollback(top).shows, rollback(top).shows] == [2, 1]
    with raises("no-generation"):
        rollback(top)


def test_an_unknown_generation_is_rejected(top):
    with raises("no-generation"):
        rollback(top, 7)


@pytest.mark.parametrize("text", [None, "", "[]", "{}"])
def test_a_generation_without_description_is_reported_and_its_hint_works(top, tmp_path, text):
    place = top / "generations/2.json"
    place.unlink()
    if text is not None:
        place.write_text(text)

    with pytest.raises(BadFile, match="not a description") as error:
        publish(tmp_path / "one", top)
    assert error.value.hint.startswith(f"rm -r {top}/generations/2 {place}, ")
    shutil.rmtree(top / "generations/2")
    place.unlink(missing_ok=True)
    publish(tmp_path / "one", top)

    assert whole(top / "current")["a/b-1"] == b"one"


def test_diff_lists_added_removed_changed(top):
    rows = binhost_publish.compare_generations(top, 1, 2)

    assert [(one["change"], one["path"][:3]) for one in rows] == [("changed", "a/b"), ("gone", "b/c"), ("new", "d/e")]


def test_a_generation_that_was_current_a_moment_ago_stays(top):
    assert retained(top) == []
    assert retained(top, grace=0.0) == [1]
    assert whole(top / "current")
    assert not [one for one in (top / "objects").glob("??/*") if one.read_bytes() == b"one!"]


def test_young_generations_stay(top):
    assert retained(top, days=1.0, grace=0.0) == []


def test_unused_objects_are_removed(tmp_path):
    top = tmp_path / "www"
    publish(shelve(tmp_path / "one", {"a/b-1": b"one"}), top)
    publish(shelve(tmp_path / "two", {"a/b-1": b"two"}), top, grace=0)

    retained(top, grace=0.0)

    assert [one.read_bytes() for one in (top / "objects").glob("??/*")] == [b"two"]


@pytest.mark.parametrize("seed", range(int(os.environ.get("GM_TEST_KILLS", "6"))))
def test_kill_9_leaves_a_complete_generation(top, tmp_path, seed):
    dice = random.Random(seed)
    source = shelve(tmp_path / "three", {f"a/b{number}-1": dice.randbytes(5000) for number in range(30)})
    started = time.monotonic()
    timed = tmp_path / "timed"
    publish(source, timed)
    took = time.monotonic() - started
    before = whole(top / "current")

    child = os.fork()
    if not child:
        publish(source, top)
        os._exit(0)
    time.sleep(dice.uniform(0, took))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)

    assert whole(top / "current") in (before, whole(timed / "current"))
    assert whole(top / "generations/1")
    publish(source, top)
    assert whole(top / "current") == whole(timed / "current")
    assert retained(top, grace=0.0)
    assert not list((top / "objects").glob(".new-*"))
