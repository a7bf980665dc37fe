# SPDX-License-Identifier: GPL-2.0-or-later
"""Tables on terminals of several widths."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios

import pytest

from gentoomuch_portage.cli.output import format_table

HOME = "/home/anna"
ROWS = [
    ("laptop", "/", "none"),
    ("router", f"{HOME}/machines/with/a/long/name/roots/router", "bwrap"),
    ("server", "/srv/roots/in/another/place/that/is/long/server", "unshare"),
]
SCRIPT = f"""
from gentoomuch_portage.cli.output import format_table
print(format_table(("name", "root", "isolation"), {ROWS!r}))
"""


def table(columns: int) -> list[str]:
    """Print the table on a terminal of this width, and return its lines."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    env = {**os.environ, "HOME": HOME, "NO_COLOR": "1"}
    subprocess.run([sys.executable, "-c", SCRIPT], stdout=theirs, env=env, check=True)
    os.close(theirs)
    return os.read(ours, 4096).decode().splitlines()


@pytest.mark.parametrize("columns", [40, 60, 80, 120])
def test_a_table_with_paths_fits_the_terminal(columns: int):
    lines = table(columns)

    assert [line for line in lines if len(line) > columns] == []
    assert [line.split()[0] for line in lines] == ["name", "laptop", "router", "server"]


@pytest.mark.parametrize("columns", [40, 60])
def test_the_end_of_a_path_stays_readable(columns: int):
    router, server = (line.split()[1] for line in table(columns)[2:])

    assert router.endswith("roots/router"[-9:])
    assert server.endswith("/server")
    assert router.startswith(("...", "~/"))
    assert server.startswith("...")


def test_paths_are_not_shortened_on_a_wide_terminal():
    assert [line.split()[1] for line in table(200)[1:]] == [root for _, root, _ in ROWS]


def test_paths_are_not_shortened_in_a_file():
    assert [line.split()[1] for line in format_table(("name", "root", "isolation"), ROWS).splitlines()[1:]] == [
        root for _, root, _ in ROWS
    ]
