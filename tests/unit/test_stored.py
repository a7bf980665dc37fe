# SPDX-License-Identifier: GPL-2.0-or-later
"""S11: files of state and cache are read whatever has become of them."""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gentoomuch_portage import fs, history, stored
from gentoomuch_portage.errors import BadFile, NoPrivilege, cannot_write, refused

RUN = {"run": "1-1", "at": 1.0}
ENDED = {**RUN, "event": "ended", "arguments": [], "status": 0, "seconds": 1.0}


def _directory(path: Path) -> None:
    path.mkdir()


def _dangling(path: Path) -> None:
    path.symlink_to(path.parent / "nowhere")


def _loop(path: Path) -> None:
    path.symlink_to(path)


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _text(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


DAMAGED: dict[str, Callable[[Path], object]] = {
    "garbage": _text(b"\xff\xfe\x00"),
    "empty": _text(b""),
    "list": _text(b"[]"),
    "another type": _text(b'{"a": {}}'),
    "nested": _text(b"[" * 100_000),
    "huge number": _text(b'{"a": ' + b"9" * 5000 + b"}"),
    "directory": _directory,
    "dangling link": _dangling,
    "loop of links": _loop,
    "pipe": _pipe,
}


def parsed(text: str) -> str:
    """The value of "a", in capitals."""
    return str(json.loads(text)["a"].upper())


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_that_can_be_made_again_is_none_and_is_replaced(tmp_path: Path, name: str):
    file = tmp_path / "file"
    DAMAGED[name](file)

    assert stored.recall(file, parsed) is None

    fs.write_cache(file, '{"a": "b"}')
    assert stored.recall(file, parsed) == "B"


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_state_file_is_one_error_with_its_path_and_a_hint(tmp_path: Path, name: str):
    file = tmp_path / "file"
    DAMAGED[name](file)

    with pytest.raises(BadFile) as caught:
        stored.load(file, parsed, "a test")

    assert str(file) in caught.value.message
    assert str(file) in caught.value.hint
    assert os.path.lexists(file)


def test_a_missing_file_is_none(tmp_path: Path):
    assert stored.load(tmp_path / "file", parsed, "a test") is None
    assert stored.recall(tmp_path / "file", parsed) is None


def test_reading_a_state_file_is_limited_to_its_maximum_size(tmp_path: Path):
    file = tmp_path / "file"
    with file.open("wb") as out:
        out.truncate(stored.MOST + 1)

    with pytest.raises(BadFile):
        stored.load(file, parsed, "a test")


@pytest.mark.parametrize("name", ["directory", "dangling link", "loop of links", "pipe"])
def test_a_record_of_runs_that_cannot_be_read_is_moved_away_by_the_remedy(tmp_path: Path, name: str):
    place = history.path(tmp_path, "lab")
    place.parent.mkdir()
    DAMAGED[name](place)

    with pytest.raises(BadFile) as caught:
        history.read_runs(tmp_path, "lab")

    assert caught.value.hint == f"mv {place} {place}.bad"


def test_lines_of_the_record_that_are_not_events_are_passed_over(tmp_path: Path):
    place = history.path(tmp_path, "lab")
    place.parent.mkdir()
    odd = [17, [], {}, {**RUN, "event": "ended"}, {**ENDED, "seconds": "long"}, {**RUN, "event": []}, ENDED]
    place.write_text("".join(f"{json.dumps(one)}\n" for one in odd) + "[" * 100_000)

    assert [one.status for one in history.read_runs(tmp_path, "lab")] == [0]


@pytest.mark.parametrize(
    ("number", "code"), [(errno.ENOSPC, "disk-full"), (errno.EDQUOT, "disk-full"), (errno.EROFS, "read-only")]
)
def test_an_error_of_a_disk_without_room_names_the_path_and_a_command(tmp_path: Path, number: int, code: str):
    nameless = OSError(number, os.strerror(number))
    copied = OSError(number, os.strerror(number), "source", None, str(tmp_path / "target"))

    for error, path in ((cannot_write(tmp_path / "a", nameless), "a"), (refused(copied), "target")):
        assert error.code == code
        assert str(tmp_path / path) in error.message
        assert error.hint


@pytest.mark.parametrize(("name", "code"), [("missing", "no-privilege"), (".", "disk-full")])
def test_python_without_a_directory_for_temporary_files_is_an_error_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, code: str
):
    """S13: it was ``[system]``, without a path or a hint. The second directory can be written again."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / name))
    nameless = FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")

    error = refused(nameless)

    assert error.code == code
    assert "TMPDIR=DIR" in error.hint
    assert name == "." or str(tmp_path / name) in error.message


def test_a_line_that_was_partly_written_is_removed_again(tmp_path: Path):
    """The kernel writes what fits up to the limit of a file, as it does on a disk that fills up."""
    import resource
    import signal

    file = tmp_path / "lines"
    file.write_text("before\n")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, limits[1]))
    try:
        with pytest.raises(NoPrivilege):
            fs.append(file, "a line of more than twenty bytes")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)

    assert file.read_text() == "before\n"


def test_a_new_file_is_complete_and_overwrites_nothing(tmp_path: Path):
    fs.create(tmp_path / "file", "one\n")

    with pytest.raises(FileExistsError):
        fs.create(tmp_path / "file", "two\n")

    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "one\n"


def _as_text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a string")
    return value


def test_a_cache_returns_a_result_only_for_its_key_and_stamp(tmp_path: Path):
    cache = fs.Cache(tmp_path / "results")

    assert cache.load("a", _as_text) is None
    cache.store("a", "value", stamp=[1, "x"])

    assert cache.load("a", _as_text, [1, "x"]) == "value"
    assert cache.load("a", _as_text, "another", [1, "x"]) == "value"
    assert cache.load("a", _as_text) is None
    assert cache.load("a", _as_text, [2, "x"]) is None
    assert cache.load("b", _as_text, [1, "x"]) is None


@pytest.mark.parametrize("key", ["plain-1.0", "a/b", "..", ".hidden", "x" * 300, "\udcff", "a\0b", ""])
def test_a_cache_stores_any_key_in_one_file_of_its_own(tmp_path: Path, key: str):
    cache = fs.Cache(tmp_path / "results", mode=0o600)

    cache.store(key, "value")

    assert cache.load(key, _as_text) == "value"
    [file] = (tmp_path / "results").iterdir()
    assert (file, file.stat().st_mode & 0o777) == (cache.path(key), 0o600)
    assert [cache.load_file(path, _as_text) for path in cache.files()] == ["value"]
    file.rename(cache.path("another"))
    assert cache.load("another", _as_text) is None


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_result_is_computed_again_and_replaced(tmp_path: Path, name: str):
    cache = fs.Cache(tmp_path)
    DAMAGED[name](cache.path("a"))

    assert cache.load("a", _as_text) is None
    cache.store("a", "value")
    assert cache.load("a", _as_text) == "value"


def test_a_cached_value_of_another_type_is_ignored(tmp_path: Path):
    cache = fs.Cache(tmp_path)
    cache.store("a", {"b": 1})

    assert cache.load("a", _as_text) is None


@pytest.mark.parametrize("folder", ["results", "x" * 300, "results/below"])
def test_an_unwritable_cache_is_no_error(tmp_path: Path, folder: str):
    (tmp_path / "results").write_text("in the way")
    cache = fs.Cache(tmp_path / folder)

    cache.store("a", "value")

    assert cache.load("a", _as_text) is None


def test_the_hint_for_a_path_that_cannot_be_inspected_raises_no_second_error(tmp_path: Path):
    """S11: ``gm-emerge`` printed a traceback for a profile in a state directory that its user cannot enter."""
    path = tmp_path / ("long" * 100)

    assert str(path) in stored.restore_hint(path)
