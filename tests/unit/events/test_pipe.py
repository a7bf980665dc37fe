# SPDX-License-Identifier: GPL-2.0-or-later
"""Events of a container are read completely, and other input of the pipe does no harm."""

import json
import os
import tty
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gentoomuch_portage.containers import listen
from gentoomuch_portage.events.pipe import LINE, PipeReader, PipeWriter
from gentoomuch_portage.plan.merge import Merge

FOO = Merge("a/foo-1", "0", "/", "ebuild", "gentoo", "/foo-1.ebuild", 0, ("ssl",), "")
BAR = FOO._replace(cpv="a/bar-2_rc1-r3", use=())
LISTED = json.dumps(
    {"event": "resolved", "merges": [FOO._asdict()], "goal": "merge", "jobs": 1, "quiet": False}
).encode()


def _line(told: object) -> bytes:
    return json.dumps(told).encode()


class Notes:
    """A watch that writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *words, **more: self.told.append((name, *words, *more.values()))


def _hearer(root: str = "/") -> tuple[Notes, PipeReader]:
    notes = Notes()
    return notes, PipeReader(notes, root)  # type: ignore[arg-type]


def _over(run: Path) -> PipeWriter:
    told = PipeWriter.open(run / listen.PIPE)
    assert told is not None
    return told


def test_events_are_written_to_a_port_of_a_virtual_machine() -> None:
    reader, port = os.openpty()
    tty.setraw(port)

    writer = PipeWriter.open(Path(os.ttyname(port)))

    assert writer is not None
    writer.on_package_end(FOO, 0, {})
    assert json.loads(os.read(reader, LINE)) == {"event": "done", "key": list(FOO.key), "status": 0}


def test_events_of_a_container_have_the_root_of_the_host(tmp_path: Path) -> None:
    notes, hearer = _hearer("/srv/box")
    with listen.listening(tmp_path, hearer.read_line, LINE):
        told = _over(tmp_path)
        told.on_resolved((FOO, BAR), "merge", 8, quiet=True)
        told.on_phase_start(FOO, "compile")
        told.on_phase_end(FOO, "compile", 1, 2.5)
        told.on_package_end(FOO, 1, {})
        told.on_package_end(BAR, 0, {})
    foo, bar = (one._replace(root="/srv/box", source="container") for one in (FOO, BAR))
    assert notes.told == [
        ("on_container_resolved", (foo, bar), "merge", 2, True),
        ("on_container_phase_start", foo, "compile"),
        ("on_phase_end", foo, "compile", 1, 2.5),
    ]
    hearer.finish(merged=False)
    assert notes.told[3:] == [("on_package_end", foo, 1, {})], "what was built and not merged is not told to be merged"


def test_long_events_are_read_and_too_long_ones_are_skipped(tmp_path: Path) -> None:
    notes, hearer = _hearer()
    with listen.listening(tmp_path, hearer.read_line, LINE):
        told = _over(tmp_path)
        told.on_resolved(tuple(FOO._replace(cpv=f"a/foo-{number}") for number in range(3000)), "merge", 1, quiet=False)
        told.on_phase_start(FOO._replace(cpv="a/foo-" + "1" * LINE), "compile")
        told.on_phase_start(FOO, "install")
    assert len(notes.told[0][1]) == 3000
    assert [one[2] for one in notes.told[1:]] == ["install"]


def test_without_a_reader_no_event_is_sent(tmp_path: Path) -> None:
    listen.make_pipe(tmp_path)
    (tmp_path / "file").write_text("kept")
    assert PipeWriter.open(tmp_path / listen.PIPE) is None
    assert PipeWriter.open(tmp_path / "missing") is None
    assert PipeWriter.open(tmp_path / "file") is None
    assert (tmp_path / "file").read_text() == "kept"


def test_a_closed_event_pipe_does_not_stop_a_build(tmp_path: Path) -> None:
    _, hearer = _hearer()
    with listen.listening(tmp_path, hearer.read_line, LINE):
        told = _over(tmp_path)
    told.on_package_end(FOO, 0, {})  # raises nothing


@pytest.mark.parametrize(
    "told",
    [
        {"event": "phase-started", "key": ["/", "a/foo-1"], "phase": "\x1b[2J"},
        {"event": "phase-started", "key": ["/", "a/other-1"], "phase": "compile"},
        {"event": "phase-ended", "key": ["/", "a/foo-1"], "phase": "compile", "status": 0, "seconds": "nan and more"},
        {"event": "phase-ended", "key": ["/", "a/foo-1"], "phase": "compile", "status": float("inf"), "seconds": 1},
        {"event": "done", "key": "a/foo-1", "status": 0},
        {"event": "done", "key": [], "status": 0},
        {"event": "refused", "key": ["/", "a/foo-1"]},
        [1],
    ],
)
def test_malformed_events_are_skipped(told: object) -> None:
    notes, hearer = _hearer()
    hearer.read_line(LISTED)
    hearer.read_line(json.dumps(told).encode())
    hearer.finish(merged=True)
    assert [one[0] for one in notes.told] == ["on_container_resolved"]


@pytest.mark.parametrize("wrong", [{"cpv": "a/\x1b[2J"}, {"where": "\n"}, {"slot": 0}, {"use": ["\x07"]}])
def test_a_list_with_odd_text_is_passed_over(wrong: dict[str, object]) -> None:
    notes, hearer = _hearer()
    listed = {"event": "resolved", "merges": [FOO._asdict() | wrong], "goal": "merge", "jobs": 1, "quiet": False}
    hearer.read_line(json.dumps(listed).encode())
    assert notes.told == []


def test_a_time_is_neither_negative_nor_endless() -> None:
    notes, hearer = _hearer()
    hearer.read_line(LISTED)
    for seconds in (-1, 1e300, float("nan")):
        hearer.read_line(
            json.dumps(
                {"event": "phase-ended", "key": FOO.key, "phase": "test", "status": 0, "seconds": seconds}
            ).encode()
        )
    assert [one[4] for one in notes.told[1:]] == [0.0, 86400.0, 0.0]


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps).map(str.encode)
)
def test_no_line_ends_who_hears_it(line: bytes) -> None:
    _, hearer = _hearer()
    hearer.read_line(LISTED)
    hearer.read_line(line)
