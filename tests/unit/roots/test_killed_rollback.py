# SPDX-License-Identifier: GPL-2.0-or-later
"""A rollback that is killed, at any moment: the root is the old or the new one, and both remain."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.snapshots import describe
from helpers.waiting import HANG

from gentoomuch_portage.roots import snapshots

pytestmark = pytest.mark.slow
_STEPS = {"os.rename", "os.mkdir", "os.rmdir", "open", "fcntl.flock", "fcntl.ioctl", "os.scandir", "subprocess.Popen"}
"""Audit events that a process is killed at. Source: audit_events of Python."""
_ROUNDS = int(os.environ.get("GM_TEST_KILLS", "50"))
_ROLLBACK = """
import sys
from pathlib import Path
from gentoomuch_portage.roots import snapshots
print(flush=True)
snapshots.rollback(Path(sys.argv[1]), "router", 2, 1)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with a snapshot from before a change."""
    root = tmp_path / "roots/router"
    for number in range(40):
        (root / f"usr/{number}").mkdir(parents=True)
        (root / f"usr/{number}/file").write_text(f"old {number}")
    snapshots.save(root, "router")
    for number in range(40):
        (root / f"usr/{number}/file").write_text(f"new {number}")
    return root


def is_killed_at(step: int, function: Callable[[], object]) -> bool:
    """Call a function in a fork, which is killed when it comes to a step; return whether it was."""
    child = os.fork()
    if not child:
        count = 0

        def hook(event: str, _arguments: object) -> None:
            nonlocal count
            if event in _STEPS:
                count += 1
                if count == step:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        function()
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in {0, -signal.SIGKILL}
    return status != 0


def check_nothing_is_lost(root: Path, old: object, new: object) -> bool:
    """Check that the root is the old or the new one, and that the other is a generation; return whether it is new."""
    now = describe(root)
    trees = [describe(snapshots.folder_of(root) / f"{one.generation}/root") for one in snapshots.generations(root)]
    assert now in (old, new)
    assert old in trees
    assert new in [now, *trees]
    return now == new


def test_a_rollback_that_is_killed_at_any_step_loses_nothing(root: Path) -> None:
    old, new = describe(snapshots.folder_of(root) / "1/root"), describe(root)
    step, results = 0, set()
    is_killed = True

    while is_killed:
        step += 1
        is_killed = is_killed_at(step, lambda: snapshots.rollback(root, "router", 1, 1))
        is_new = check_nothing_is_lost(root, old, new)
        results.add(is_new)
        if not is_new:  # back to the change
            snapshots.rollback(root, "router", snapshots.generations(root)[-1].generation, 1)
            assert describe(root) == new
            for generation in snapshots.generations(root)[1:]:
                snapshots.remove(root, "router", generation.generation)

    assert step > 20
    assert results == {False, True}
    left = {path.name for path in snapshots.folder_of(root).iterdir()}
    assert left == {"lock", *(str(one.generation) for one in snapshots.generations(root))}


def test_random_kills_leave_the_old_or_the_new_root(root: Path) -> None:
    old, chance, lasts = describe(root), random.Random(5), 0.0
    results: set[bool] = set()
    snapshots.save(root, "router")

    for number in range(_ROUNDS + 1):
        (root / "usr/0/file").write_text(f"broken {number}")
        new = describe(root)
        with subprocess.Popen([sys.executable, "-c", _ROLLBACK, root], stdout=-1, start_new_session=True) as ran:
            assert ran.stdout is not None
            assert ran.stdout.readline() == b"\n"
            if number:
                time.sleep(chance.uniform(0, lasts))
                os.killpg(ran.pid, signal.SIGKILL)
            else:  # the first one shows how long it lasts
                began = time.monotonic()
                assert not ran.wait(HANG)
                lasts = time.monotonic() - began
        now = describe(root)
        assert now in (old, new)
        assert describe(snapshots.folder_of(root) / "2/root") == old
        trees = [describe(snapshots.folder_of(root) / f"{one.generation}/root") for one in snapshots.generations(root)]
        assert new in [now, *trees]
        results.add(now == new)
    snapshots.rollback(root, "router", 2, 1)

    assert describe(root) == old
    assert False in results  # at least the first one
    assert not [path for path in snapshots.folder_of(root).iterdir() if path.name.startswith(".")]
