# SPDX-License-Identifier: GPL-2.0-or-later
"""The real nginx on a port of its own."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers.ports import reserved_port
from helpers.waiting import HANG, wait_for

NGINX = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")


@contextmanager
def nginx(folder: Path) -> Iterator[str]:
    """Serve a folder by nginx on a port of its own."""
    if not NGINX:
        pytest.skip("nginx is not installed")
    with reserved_port() as port:
        yield from _run(folder, f"127.0.0.1:{port}")


def _run(folder: Path, address: str) -> Iterator[str]:
    run = folder.parent / "nginx"
    run.mkdir()
    run.joinpath("conf").write_text(
        f"daemon off; pid {run}/pid; error_log {run}/log; events {{}}\n"
        f"{'user root;' if not os.geteuid() else ''}\n"
        f"http {{ access_log off; client_body_temp_path {run}/a; proxy_temp_path {run}/b; fastcgi_temp_path {run}/c;\n"
        f"uwsgi_temp_path {run}/d; scgi_temp_path {run}/e;\n"
        f"server {{ listen {address}; location / {{ root {folder}; }} }} }}\n"
    )
    server = subprocess.Popen([NGINX, "-e", f"{run}/log", "-c", f"{run}/conf"])
    try:
        wait_for(lambda: _has_text(run / "pid") or server.poll() is not None, "nginx has started")
        assert server.poll() is None, (run / "log").read_text()
        yield f"http://{address}"
    finally:
        server.terminate()
        server.wait(HANG)


def _has_text(file: Path) -> bool:
    return file.exists() and bool(file.read_text())
