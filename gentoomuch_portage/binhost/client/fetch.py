# SPDX-License-Identifier: GPL-2.0-or-later
"""Run the program that downloads from binhosts: for an index, a key, or, called by Portage, a package.

The request is sent through a pipe, so that no command line or environment contains a name or a password.
"""

import json
import os
import pwd
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gentoomuch_portage.binpkg.http import Timeouts
from gentoomuch_portage.errors import RunError
from gentoomuch_portage.process import run

_PROGRAM = Path(__file__).with_name("fetch_helper.py")
_STDOUT = 1

User = tuple[int, int, tuple[int, ...]]
"""Numbers of a user, its group, and its further groups."""


class Job(NamedTuple):
    """A file to download."""

    url: str
    """With name and password, if any."""
    name: str
    """Of the file that is written."""
    size: int
    """Its size in bytes; the maximum, if not ``exact``."""
    exact: bool = False
    """Whether it must have that size."""
    etag: str = ""
    """ETag of the known version, which is not sent again."""
    resume: bool = False
    """Continue after the existing bytes of the file."""
    unpack: str = ""
    """Name of the file for the decompressed content; empty: do not decompress."""
    unpack_most: int = 0
    """Maximum bytes of that file; a ratio to the downloaded bytes applies as well."""


class Result(NamedTuple):
    """Result of a job."""

    status: int = 0
    """HTTP status: 200 or 206 with a file, others without; 0 for a failure."""
    etag: str = ""
    size: int = 0
    unpacked: int = 0
    code: str = ""
    """Code of the error; may be empty."""
    why: str = ""
    lasting: bool = False
    """Whether it fails as long as the index names the same file."""
    dead: bool = False
    """Whether other files of that binhost would fail as well."""


def fetch_helper_failed(status: int, tail: str) -> RunError:
    """The process that downloads files ended without a result."""
    last = tail.strip().splitlines()[-1:] or ["no output"]
    return RunError(f"cannot download: {_PROGRAM.name} ended with {status}: {last[0]}", code="fetch-helper-failed")


def fetch_command() -> tuple[str, ...]:
    """Return the command line of the program; no environment variable changes what Python imports."""
    return (sys.executable, "-I", str(_PROGRAM))


def make_request(
    jobs: Iterable[Job],
    folder: Path,
    timeouts: Timeouts,
    *,
    user: User | None,
    binhosts: Sequence[str] = (),
    result: int = _STDOUT,
    show: bool = False,
) -> str:
    """Return the request for the program's standard input. It ends after a job that fails or finds nothing new.

    Args:
        folder: directory of the files.
        user: the user to switch to once the files are open; None for no change.
        binhosts: URLs with names and passwords, used for files below them.
        result: the descriptor for the results.
        show: print a line per file and error.
    """
    content: dict[str, Any] = {
        "path": [str(Path(__file__).parents[3]), *filter(None, sys.path)],
        "folder": str(folder.absolute()),
        "timeout": timeouts.silence,
        "rate": timeouts.rate,
        "user": user,
        "binhosts": list(binhosts),
        "result": result,
        "show": show,
        "jobs": [job._asdict() for job in jobs],
    }
    return json.dumps(content)


def parse_results(text: str) -> list[Result]:
    """Parse the output of the program; empty if it ended early."""
    return [Result(**result) for result in json.loads(text)] if text else []


def fetch(jobs: Sequence[Job], folder: Path, timeouts: Timeouts) -> list[Result]:
    """Download files one after the other, as a user without privileges.

    Returns:
        A result for each job up to the first that failed, or found nothing new.

    Raises:
        RunError[fetch-helper-failed]: the program ended without a result.
    """
    text = make_request(jobs, folder, timeouts, user=find_unprivileged_user())
    ended = run(fetch_command(), keep=True, accept=(), text=text)
    results = parse_results(ended.out)
    if not results:
        raise fetch_helper_failed(ended.status, ended.err)
    return results


def find_unprivileged_user() -> User | None:
    """Return the user that Portage fetches as; None if we are not root, or there is no such user."""
    if os.geteuid():
        return None
    try:
        portage = pwd.getpwnam("portage")
    except KeyError:
        return None
    return (portage.pw_uid, portage.pw_gid, ()) if portage.pw_uid else None
