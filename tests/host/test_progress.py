# SPDX-License-Identifier: GPL-2.0-or-later
"""The last row of a terminal, while emerge runs for a profile; and emerge's own output as it is without."""

import os
import pty
import re
import struct
import subprocess
import sys
import termios
from fcntl import ioctl
from pathlib import Path
from threading import Thread

import pytest
from helpers.waiting import HANG

from gentoomuch_portage.demo_host import Host

BIN = Path(sys.executable).parent


@pytest.fixture
def watched(host: Host):
    """Run gm-emerge with a terminal of 80 columns behind stderr: its status, stdout, and what the terminal got."""

    def run(*words: str) -> tuple[int, str, str]:
        ours, theirs = pty.openpty()
        ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        got: list[bytes] = []
        reader = Thread(target=_read, args=(ours, got))
        reader.start()
        argv = [str(BIN / "gm-emerge"), *words]
        ended = subprocess.run(argv, env=host.env(TERM="xterm"), stdout=subprocess.PIPE, stderr=theirs, timeout=HANG)
        os.close(theirs)
        reader.join()
        os.close(ours)
        return ended.returncode, ended.stdout.decode(), b"".join(got).decode()

    return run


def _read(number: int, got: list[bytes]) -> None:
    while True:
        try:
            got.append(os.read(number, 65536))
        except OSError:  # the other end is closed
            return


def _plain(out: str) -> str:
    return re.sub(r" +Load avg:.*|took [\d.]+ s", "", out)


@pytest.mark.slow
def test_a_terminal_shows_the_run_in_its_last_row_and_gets_it_back(host: Host, on, watched):
    host.profile("a", "")
    words = ("--gm-profile=a", "--quiet-build=y", "--buildpkgonly", "--usepkg=n", "--color=n", "dev-demo/libgreet")
    plain = on("gm-emerge", *words)

    status, out, screen = watched(*words)
    quiet = watched("--quiet", "--fetchonly", *words)[2]

    assert (plain.status, status) == (0, 0), screen
    assert _plain(out) == _plain(plain.out)
    assert "\033[1;23r" in screen
    assert "\033[24;1H\033[2K0 of 1 done; dev-demo/libgreet-1.0 compile; about " in screen
    assert screen.rindex("\033[1;24r") > screen.rindex("done")
    assert "\033" not in plain.err
    assert "done" not in quiet
