"""What a box tells of its run: it is heard whole, and whatever else is in the pipe does no harm."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gentoomuch_portage.containers import listen
from gentoomuch_portage.events.pipe import LINE, Hearer, Teller
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


def _hearer(root: str = "/") -> tuple[Notes, Hearer]:
    notes = Notes()
    return notes, Hearer(notes, root)  # type: ignore[arg-type]


def _over(run: Path) -> Teller:
    told = Teller.into(run / listen.PIPE)
    assert told is not None
    return told


def test_what_is_told_in_a_box_is_heard_outside_as_of_its_root(tmp_path: Path) -> None:
    notes, hearer = _hearer("/srv/box")
    with listen.heard(tmp_path, hearer.hear, LINE):
        told = _over(tmp_path)
        told.resolved((FOO, BAR), "merge", 8, quiet=True)
        told.entered(FOO, "compile")
        told.left(FOO, "compile", 1, 2.5)
        told.done(FOO, 1, {})
        told.done(BAR, 0, {})
    foo, bar = (one._replace(root="/srv/box", source="container") for one in (FOO, BAR))
    assert notes.told == [
        ("planned", (foo, bar), "merge", 2, True),
        ("began", foo, "compile"),
        ("left", foo, "compile", 1, 2.5),
    ]
    hearer.end(merged=False)
    assert notes.told[3:] == [("done", foo, 1, {})], "what was built and not merged is not told to be merged"


def test_a_long_list_is_heard_whole_and_what_is_too_long_is_passed_over(tmp_path: Path) -> None:
    notes, hearer = _hearer()
    with listen.heard(tmp_path, hearer.hear, LINE):
        told = _over(tmp_path)
        told.resolved(tuple(FOO._replace(cpv=f"a/foo-{number}") for number in range(3000)), "merge", 1, quiet=False)
        told.entered(FOO._replace(cpv="a/foo-" + "1" * LINE), "compile")
        told.entered(FOO, "install")
    assert len(notes.told[0][1]) == 3000
    assert [one[2] for one in notes.told[1:]] == ["install"]


def test_nobody_is_told_where_nobody_listens(tmp_path: Path) -> None:
    listen.pipe(tmp_path)
    (tmp_path / "file").write_text("kept")
    assert Teller.into(tmp_path / listen.PIPE) is None
    assert Teller.into(tmp_path / "missing") is None
    assert Teller.into(tmp_path / "file") is None
    assert (tmp_path / "file").read_text() == "kept"


def test_a_listener_that_has_gone_stops_no_build(tmp_path: Path) -> None:
    _, hearer = _hearer()
    with listen.heard(tmp_path, hearer.hear, LINE):
        told = _over(tmp_path)
    told.done(FOO, 0, {})  # raises nothing


@pytest.mark.parametrize(
    "told",
    [
        {"event": "entered", "key": ["/", "a/foo-1"], "phase": "\x1b[2J"},
        {"event": "entered", "key": ["/", "a/other-1"], "phase": "compile"},
        {"event": "left", "key": ["/", "a/foo-1"], "phase": "compile", "status": 0, "seconds": "nan and more"},
        {"event": "left", "key": ["/", "a/foo-1"], "phase": "compile", "status": float("inf"), "seconds": 1},
        {"event": "done", "key": "a/foo-1", "status": 0},
        {"event": "done", "key": [], "status": 0},
        {"event": "refused", "key": ["/", "a/foo-1"]},
        [1],
    ],
)
def test_what_is_not_in_order_is_passed_over(told: object) -> None:
    notes, hearer = _hearer()
    hearer.hear(LISTED)
    hearer.hear(json.dumps(told).encode())
    hearer.end(merged=True)
    assert [one[0] for one in notes.told] == ["planned"]


@pytest.mark.parametrize("wrong", [{"cpv": "a/\x1b[2J"}, {"where": "\n"}, {"slot": 0}, {"use": ["\x07"]}])
def test_a_list_with_odd_text_is_passed_over(wrong: dict[str, object]) -> None:
    notes, hearer = _hearer()
    listed = {"event": "resolved", "merges": [FOO._asdict() | wrong], "goal": "merge", "jobs": 1, "quiet": False}
    hearer.hear(json.dumps(listed).encode())
    assert notes.told == []


def test_a_time_is_neither_negative_nor_endless() -> None:
    notes, hearer = _hearer()
    hearer.hear(LISTED)
    for seconds in (-1, 1e300, float("nan")):
        hearer.hear(
            json.dumps({"event": "left", "key": FOO.key, "phase": "test", "status": 0, "seconds": seconds}).encode()
        )
    assert [one[4] for one in notes.told[1:]] == [0.0, 86400.0, 0.0]


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps).map(str.encode)
)
def test_no_line_ends_who_hears_it(line: bytes) -> None:
    _, hearer = _hearer()
    hearer.hear(LISTED)
    hearer.hear(line)
