# SPDX-License-Identifier: GPL-2.0-or-later
"""Small things that a server outlives: packages that go while it looks, a full disk, children that are not its own."""

import subprocess
import sys
from pathlib import Path

import pytest
from helpers.waiting import HANG

from gentoomuch_portage.binhost import sign

pytest.importorskip("aiohttp")
SERVER = """
import os, signal, sys
from gentoomuch_portage.binhost.server import workers

def work(*_):
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    signal.pause()

looks = []
def upkeep():
    looks.append(1)
    if len(looks) == 1:
        print("encodings.unicode_escape" in sys.modules, flush=True)
    if len(looks) == 1 and os.fork() == 0:
        os._exit(0)  # an orphan that pid 1 of a container is given
    if len(looks) in (2, 3):
        raise OSError(28, "No space left on device")
    if len(looks) == 5:
        os.kill(os.getpid(), signal.SIGTERM)

workers._run_worker, workers._PAUSE, workers._RESTART_DELAY = work, 0.02, 0
serving = workers.ServerOptions(address="127.0.0.1", port=0, workers=1)
workers.run_server(workers.open_socket(serving), None, serving, log=print, refresh=upkeep)
print("ended after", len(looks))
"""


def test_a_package_deleted_during_a_scan_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    gone = tmp_path / "gone.gpkg.tar"
    monkeypatch.setattr(sign, "find_packages", lambda _root: iter([gone]))

    assert sign.UnsignedPackages(tmp_path)() == []
    assert not sign.is_unsigned(gone)


def test_a_directory_deleted_during_a_scan_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "a").mkdir()
    (tmp_path / "b.gpkg.tar").touch()
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr("os.scandir", going(tmp_path / "a"))
        found = list(sign.find_packages(tmp_path))

    assert found == [tmp_path / "b.gpkg.tar"]
    assert not (tmp_path / "a").exists()


def going(folder: Path):
    """``os.scandir``, before which a folder goes."""
    from os import scandir

    def scanned(path):
        if Path(path) == folder and folder.is_dir():
            folder.rmdir()
        return scandir(path)

    return scanned


def test_a_server_survives_a_full_disk_and_foreign_children():
    ended = subprocess.run([sys.executable, "-c", SERVER], capture_output=True, text=True, timeout=HANG, check=False)

    assert (ended.returncode, ended.stdout) == (0, "True\nended after 5\n"), ended.stderr
    assert ended.stderr.count("No space left on device") == 1
