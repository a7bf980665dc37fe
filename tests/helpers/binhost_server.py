# SPDX-License-Identifier: GPL-2.0-or-later
"""``binhost serve`` in a folder, asked over sockets."""

import getpass
import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from helpers.processes import children
from helpers.waiting import HANG, wait_for

BIN = Path(sys.executable).parent
INDEX = b"PACKAGES: 0\nTIMESTAMP: 1700000000\nVERSION: 0\n\n" + b"DESC: again\n" * 500
PACKAGE = bytes(range(256)) * 4096
NAME = "/dev-demo/one/one-1-1.gpkg.tar"


@dataclass
class Server:
    """A server that runs."""

    www: Path
    port: int
    process: "subprocess.Popen[str]"
    log: Path

    def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of an answer."""
        one = http.client.HTTPConnection("127.0.0.1", self.port, timeout=HANG)
        one.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers.items():
            one.putheader(name.replace("_", "-"), value)
        one.endheaders()
        answer = one.getresponse()
        found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        one.close()
        return found

    def raw(self, request: bytes, *, ends: bool = True) -> bytes:
        """What comes back, to the end of the connection, for bytes that are sent as they are."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=HANG) as one:
            found = b""
            try:
                one.sendall(request)
                if ends:
                    one.shutdown(socket.SHUT_WR)
                while more := one.recv(1 << 16):
                    found += more
            except OSError:
                pass  # it was dropped in the middle
            return found

    def workers(self) -> list[int]:
        """Its processes but the first."""
        wait_for(lambda: children(self.process.pid), "the server has workers")
        return children(self.process.pid)

    def memory(self) -> int:
        """KiB that its workers have of their own."""
        workers = self.workers()
        texts = [Path(f"/proc/{number}/smaps_rollup").read_text() for number in workers]
        return sum(int(text.split("Private_Dirty:")[1].split()[0]) for text in texts)


def started(folder: Path, www: Path, *, signs: bool = False) -> Server:
    words = ["--state", folder / "state", "--cache", folder / "cache", "binhost", "serve", www]
    words += [] if signs else ["--no-sign"]
    words += ["--user", getpass.getuser()]  # folders of pytest are for their owner alone
    words += ["--bind", "127.0.0.1:0", "--workers", "1", "--log", folder / "log"]
    argv = [str(BIN / "gentoomuch"), *map(str, words)]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8")
    line = process.stdout.readline()
    return Server(www, int(line.split(":")[2].split("/")[0]), process, folder / "log")


@contextmanager
def binhost(folder: Path, *, signs: bool = False) -> Iterator[Server]:
    """A binhost of one package, and things beside it that nobody may have."""
    www = folder / "www"
    (www / "dev-demo/one").mkdir(parents=True)
    (www / "Packages").write_bytes(INDEX)
    (www / NAME[1:]).write_bytes(PACKAGE)
    (www / ".secret.gpkg.tar").write_bytes(b"secret")
    (www / "notes.txt").write_bytes(b"secret")
    (folder / "outside.gpkg.tar").write_bytes(b"secret")
    (www / "link.gpkg.tar").symlink_to("../outside.gpkg.tar")
    os.mkfifo(www / "pipe.gpkg.tar")
    one = started(folder, www, signs=signs)
    yield one
    one.process.send_signal(signal.SIGTERM)
    assert one.process.wait(HANG) == 0
    one.process.stdout.close()
