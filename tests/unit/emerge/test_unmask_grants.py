# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a run unmasks by its profile's policy, or leaves it to emerge."""

from pathlib import Path

import pytest

from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.emerge.unmask_grants import Grants
from gentoomuch_portage.plan.plan import Locked, Plan, Unmask

NOTHING = (Unmask("use", ""), Unmask("mask", ""))
SOME = (Unmask("use", "*"), Unmask("mask", ""))
LOCKED = (Locked("--gm-locked"),)


@pytest.mark.parametrize(
    ("parts", "words", "ours"),
    [
        (SOME, ("-p", "foo"), True),
        (NOTHING, ("-p", "foo"), False),
        ((), ("-p", "foo"), False),
        (SOME, ("--autounmask-write", "foo"), False),
        (SOME, ("--autounmask", "y", "foo"), False),
        (SOME, ("--autounmask-backtrack=y", "foo"), True),
        ((*NOTHING, *LOCKED), ("foo",), True),
        ((*SOME, *LOCKED), ("--autounmask-continue", "foo"), True),
    ],
)
def test_emerge_unmasks_by_itself_if_policy_allows_nothing_or_options_say_so(parts, words, ours, tmp_path: Path):
    plan = Plan(profile="a", base="host", root="/", arguments=words, parts=tuple(("unmask", part) for part in parts))
    settings = Settings(config=tmp_path, state=tmp_path, cache=tmp_path, host=tmp_path)

    assert Grants(plan, settings).possible is ours
