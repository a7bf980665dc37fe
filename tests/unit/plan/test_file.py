# SPDX-License-Identifier: GPL-2.0-or-later
"""A printed plan, run: what is said beside it is kept, or refused; nothing is dropped."""

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.errors import raises

from gentoomuch_portage.plan import file
from gentoomuch_portage.plan.plan import EmergeOption, Locked, Mounted, Plan, Unmask
from gentoomuch_portage.plan.request import Request

PLAN = Plan(
    profile="lab",
    base="host",
    root="/",
    arguments=("-u", "foo"),
    isolation="bwrap",
    without="audit",
    parts=(
        ("binpkg", EmergeOption("--usepkg")),
        ("unmask", Unmask("keywords", "*")),
        ("unmask", Unmask("use", "")),
        ("isolation", Mounted("bind", "/usr", "as of then")),
    ),
)


@pytest.fixture
def read(tmp_path: Path):
    """The plan as it is run with some words beside it."""
    (tmp_path / "plan.json").write_text(PLAN.to_json())

    def read(*words: str, **environ: str) -> Plan:
        return file.read(Request.parse([f"--gm-plan={tmp_path / 'plan.json'}", *words], environ))

    return read


def test_a_plan_runs_as_it_stood_but_for_the_mounts_of_then(read):
    assert read("-p") == replace(PLAN, arguments=("-u", "foo", "-p"), parts=PLAN.parts[:-1])


def test_locked_is_not_dropped_beside_a_plan(read):
    assert read("--gm-locked").parts == (*PLAN.parts[:-1], ("unmask", Locked("--gm-locked")))


def test_gm_unmask_overrides_the_policy_of_a_plan(read):
    allowed = {part.kind: part.allowed for _, part in read("--gm-unmask=use").parts if isinstance(part, Unmask)}

    assert allowed == {"keywords": "", "live": "", "use": "*", "license": "", "mask": ""}


def test_isolation_is_not_dropped_beside_a_plan(read):
    assert read("--gm-isolation=none").isolation == "none"


def test_plugins_that_the_plan_was_made_without_stay_out_and_others_can_be_left_out(read):
    assert read("--gm-no=progress").without == "audit,progress"


@pytest.mark.parametrize(
    ("word", "why"),
    [("--gm-profile=new", "for lab"), ("--gm-no=binpkg", "parts of binpkg"), ("--gm-trust=1234", ".gentoo")],
)
def test_options_that_would_change_a_plan_are_rejected_with_gm_plan(read, word: str, why: str):
    with raises("plan-option-conflict", match=why) as caught:
        read(word)

    assert (caught.value.status, word in caught.value.message) == (64, True)


def test_the_profile_of_a_plan_overrides_gm_profile(read):
    assert read(GM_PROFILE="new").profile == read("--gm-profile=lab").profile == "lab"


@pytest.fixture
def piped():
    """Puts a text on the standard input."""
    before = os.dup(0)

    def pipe(text: str) -> None:
        out, into = os.pipe()
        os.write(into, text.encode())
        os.close(into)
        os.dup2(out, 0)
        os.close(out)

    yield pipe
    os.dup2(before, 0)
    os.close(before)


def test_a_dash_is_the_standard_input_and_no_file(piped):
    piped(PLAN.to_json())

    assert file.read(Request.parse(["--gm-plan=-"], {})).arguments == ("-u", "foo")


def test_standard_input_that_holds_no_plan_is_named_so(piped, monkeypatch: pytest.MonkeyPatch):
    piped("{")
    with raises("unreadable-plan", match="standard input: line 1"):
        file.read(Request.parse(["--gm-plan=-"], {}))

    monkeypatch.setattr(sys, "stdin", None)
    with raises("unreadable-plan", match="standard input: it is closed"):
        file.read(Request.parse(["--gm-plan=-"], {}))


def test_a_plan_with_a_profile_name_outside_of_the_directory_is_rejected(tmp_path: Path):
    (tmp_path / "plan.json").write_text(replace(PLAN, profile="../etc").to_json())

    with raises("bad-name"):
        file.read(Request.parse([f"--gm-plan={tmp_path / 'plan.json'}"], {}))
