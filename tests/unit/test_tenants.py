"""A root has many who work in it, or one who has it alone."""

import os
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import pytest

from gentoomuch_portage.containers.root_lock import alone, at_work, first
from gentoomuch_portage.errors import Busy

_HOLDER = """
import sys
from pathlib import Path
from gentoomuch_portage.containers.root_lock import at_work
with at_work(Path(sys.argv[1])):
    print("there", flush=True)
    sys.stdin.readline()
"""


class Way(Protocol):
    """A way to be in a root."""

    def __call__(self, root: Path, /) -> AbstractContextManager[None]: ...


@pytest.mark.parametrize(("there", "comes"), [(at_work, at_work), (first, at_work)])
def test_those_who_work_in_a_root_let_others_work(tmp_path: Path, there: Way, comes: Way) -> None:
    with there(tmp_path), comes(tmp_path), pytest.raises(Busy), alone(tmp_path):
        pass


@pytest.mark.parametrize(
    ("there", "comes"),
    [(at_work, alone), (at_work, first), (alone, at_work), (alone, alone), (alone, first), (first, first)],
)
def test_nobody_is_alone_in_a_root_where_somebody_works(tmp_path: Path, there: Way, comes: Way) -> None:
    with there(tmp_path), pytest.raises(Busy, match=f"{tmp_path} is in use"), comes(tmp_path):
        pass

    with comes(tmp_path):
        assert tmp_path.is_dir()


def test_whoever_is_in_the_way_is_named(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", _HOLDER, tmp_path], stdin=-1, stdout=-1, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "there\n"
        with pytest.raises(Busy, match=rf"is in use by python\S* \({holder.pid}\)"), alone(tmp_path):
            pass
        holder.communicate("\n")


def test_a_root_that_is_missing_is_made_for_those_who_work_in_it(tmp_path: Path) -> None:
    with at_work(tmp_path / "roots/router"):
        assert (tmp_path / "roots/router").is_dir()


def test_nothing_is_locked_where_the_root_is_the_hosts() -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - not a folder of files

    with at_work(Path("/")):
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
