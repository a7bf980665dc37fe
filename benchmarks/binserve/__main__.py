# SPDX-License-Identifier: GPL-2.0-or-later
"""200 readers of ranges at once: what ``binhost serve`` sends a second, over what nginx sends, on the same files.

Both have as many workers as there are CPUs, an access log, and the same readers, which drop what arrives unread in the
kernel. Rounds alternate; the ratio is that of the medians. Exits with 1 where it is below 0.5.

    python benchmarks/binserve [ROUNDS]
"""

import ctypes
import os
import random
import selectors
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

FILES, SIZE, READERS, SECONDS = 40, 8 << 20, 200, 3.0
RANGES = {"8 KiB": 8 << 10, "256 KiB": 256 << 10, "2 MiB": 2 << 20}
"""What ``binpkg/http_range.py`` reads of a package; a small package; a large one."""
LEAST = 0.5
LIBC = ctypes.CDLL(None, use_errno=True)


def main(rounds: int) -> int:
    """Measure, tell, and say whether it is fast enough."""
    nginx = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    if not nginx:
        print("nginx is not installed")
        return 2
    worst = 9.9
    with tempfile.TemporaryDirectory(prefix="gm-bench-", dir="/tmp") as made:
        folder = Path(made)
        folder.chmod(0o755)
        www = filled(folder / "www")
        with by_nginx(folder, www, nginx) as first, by_us(folder, www) as second:
            for name, length in RANGES.items():
                found: dict[int, list[float]] = {first: [], second: []}
                for _ in range(rounds):
                    for port in (first, second):
                        found[port].append(measured(port, length))
                theirs, ours = (statistics.median(found[port]) for port in (first, second))
                print(
                    f"{name:>8}: nginx {theirs / 2**20:8.0f} MiB/s {theirs / length:8.0f}/s,"
                    f" gentoomuch {ours / 2**20:8.0f} MiB/s {ours / length:8.0f}/s, ratio {ours / theirs:.2f}"
                )
                worst = min(worst, ours / theirs) if length >= RANGES["256 KiB"] else worst
    print(f"ratio where loopback is saturated: {worst:.2f}, asked for: {LEAST}")
    return int(worst < LEAST)


def filled(www: Path) -> Path:
    """A binhost of files that nobody can compress."""
    www.mkdir()
    (www / "Packages").write_text("PACKAGES: 0\nTIMESTAMP: 1\nVERSION: 0\n\n")
    for number in range(FILES):
        (www / f"p-{number}.gpkg.tar").write_bytes(os.urandom(SIZE))
    return www


@contextmanager
def by_nginx(folder: Path, www: Path, nginx: str) -> Iterator[int]:
    """nginx, set up for speed; its port."""
    port, run = free(), folder / "nginx"
    run.mkdir()
    temporary = "".join(
        f"{kind}_temp_path {run}/{kind}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (run / "conf").write_text(
        f"daemon off; worker_processes {os.cpu_count()}; pid {run}/pid; error_log {run}/log;\n"
        f"{'user root;' if not os.geteuid() else ''} events {{ worker_connections 1000; }}\n"
        f"http {{ sendfile on; tcp_nopush on; keepalive_requests 1000000; access_log {run}/access; {temporary}\n"
        f"server {{ listen 127.0.0.1:{port} reuseport; location / {{ root {www}; }} }} }}\n"
    )
    with started([nginx, "-e", f"{run}/log", "-c", f"{run}/conf"], port):
        yield port


@contextmanager
def by_us(folder: Path, www: Path) -> Iterator[int]:
    """``gentoomuch binhost serve``; its port."""
    port = free()
    program = Path(sys.executable).parent / "gentoomuch"
    words = ["--state", folder / "state", "--cache", folder / "cache", "binhost", "serve", www, "--quiet", "--no-sign"]
    words += ["--bind", f"127.0.0.1:{port}", "--log", folder / "access"]
    with started([str(program), *map(str, words)], port):
        yield port


@contextmanager
def started(argv: list[str], port: int) -> Iterator[None]:
    """A server that answers, until the block ends."""
    server = subprocess.Popen(argv)
    try:
        for _ in range(500):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.02)
        yield
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()


def free() -> int:
    """A port that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


def measured(port: int, length: int) -> float:
    """Bytes a second that all readers get together."""
    context = get_context("fork")
    with context.Pool(2) as pool:
        return sum(pool.starmap(read, [(port, length, seed) for seed in range(2)])) / SECONDS


def read(port: int, length: int, seed: int) -> int:
    """Half of the readers, for some seconds; how many bytes of bodies came whole."""
    chance, chosen, whole = random.Random(seed), selectors.DefaultSelector(), 0
    left: dict[socket.socket, int] = {}
    for _ in range(READERS // 2):
        one = socket.create_connection(("127.0.0.1", port))
        one.setblocking(False)
        chosen.register(one, selectors.EVENT_READ)
        left[one] = -1
        one.send(request(chance, length))
    ends = time.monotonic() + SECONDS
    while time.monotonic() < ends:
        for key, _ in chosen.select(0.1):
            one = key.fileobj
            if left[one] < 0:
                head = one.recv(2048)
                begin = head.index(b"\r\n\r\n") + 4
                assert head.startswith(b"HTTP/1.1 206"), head[:200]
                left[one] = length - (len(head) - begin)
            else:
                left[one] -= dropped(one, left[one])
            if left[one] == 0:
                whole += length
                left[one] = -1
                one.send(request(chance, length))
    for one in left:
        one.close()
    return whole


def dropped(one: socket.socket, most: int) -> int:
    """Let the kernel throw bytes away, so that readers cost little. Source: tcp(7), MSG_TRUNC."""
    done = int(LIBC.recv(one.fileno(), None, ctypes.c_size_t(most), socket.MSG_TRUNC))
    if done <= 0:
        raise ConnectionError(f"the server sends no more: {os.strerror(ctypes.get_errno())}")
    return done


def request(chance: random.Random, length: int) -> bytes:
    """A request for a part of some file."""
    start = chance.randrange(0, SIZE - length + 1, 4096)
    name = f"p-{chance.randrange(FILES)}.gpkg.tar"
    return f"GET /{name} HTTP/1.1\r\nHost: localhost\r\nRange: bytes={start}-{start + length - 1}\r\n\r\n".encode()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if sys.argv[1:] else 5))
