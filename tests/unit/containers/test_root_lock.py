# SPDX-License-Identifier: GPL-2.0-or-later
"""A root has many who work in it, or one who has it alone."""

import fcntl
import os
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import pytest

from gentoomuch_portage.containers import linux
from gentoomuch_portage.containers.root_lock import begin, exclusive, shared
from gentoomuch_portage.errors import Busy

_HOLDER = """
import sys
from pathlib import Path
from gentoomuch_portage.containers.root_lock import shared
with shared(Path(sys.argv[1])):
    print("there", flush=True)
    sys.stdin.readline()
"""


class Way(Protocol):
    """A way to be in a root."""

    def __call__(self, root: Path, /) -> AbstractContextManager[None]: ...


@pytest.mark.parametrize(("there", "comes"), [(shared, shared), (begin, shared)])
def test_shared_locks_do_not_exclude_each_other(tmp_path: Path, there: Way, comes: Way) -> None:
    with there(tmp_path), comes(tmp_path), pytest.raises(Busy), exclusive(tmp_path):
        pass


@pytest.mark.parametrize(
    ("there", "comes"),
    [
        (shared, exclusive),
        (shared, begin),
        (exclusive, shared),
        (exclusive, exclusive),
        (exclusive, begin),
        (begin, begin),
    ],
)
def test_an_exclusive_lock_excludes_all_others(tmp_path: Path, there: Way, comes: Way) -> None:
    with there(tmp_path), pytest.raises(Busy, match=f"{tmp_path} is in use"), comes(tmp_path):
        pass

    with comes(tmp_path):
        assert tmp_path.is_dir()


def test_busy_names_the_holder_of_the_lock(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", _HOLDER, tmp_path], stdin=-1, stdout=-1, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "there\n"
        with pytest.raises(Busy, match=rf"is in use by python\S* \({holder.pid}\)"), exclusive(tmp_path):
            pass
        holder.communicate("\n")


def test_a_missing_root_is_created_by_a_shared_lock(tmp_path: Path) -> None:
    with shared(tmp_path / "roots/router"):
        assert (tmp_path / "roots/router").is_dir()


def test_the_root_of_the_host_is_not_locked() -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - not a folder of files

    with shared(Path("/")):
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_a_lock_of_a_root_that_was_exchanged_meanwhile_is_taken_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, other = tmp_path / "root", tmp_path / "other"
    root.mkdir()
    other.mkdir()
    taken = []

    def flock(number: int, operation: int) -> None:
        if not taken:
            linux.exchange(str(root), str(other))
        taken.append(os.fstat(number).st_ino)
        real(number, operation)

    real = fcntl.flock
    monkeypatch.setattr(fcntl, "flock", flock)

    with exclusive(root):
        assert taken[-1] == root.stat().st_ino
        monkeypatch.setattr(fcntl, "flock", real)
        with pytest.raises(Busy), shared(root):
            pass
    assert len(taken) == 2


def test_a_root_that_is_exchanged_while_a_run_begins_is_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, other = tmp_path / "root", tmp_path / "other"
    root.mkdir()
    other.mkdir()

    with pytest.raises(Busy), begin(root, lambda: linux.exchange(str(root), str(other))):
        pass
