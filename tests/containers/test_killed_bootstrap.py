# SPDX-License-Identifier: GPL-2.0-or-later
"""A bootstrap that is killed, at any moment: the root is whole or not there, and nothing of it stays."""

import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import BIN
from helpers.stages import FILE, PLAIN, Signer, packed, signer

from gentoomuch_portage.demo_host import Host

_ROUNDS = int(os.environ.get("GM_TEST_KILLS", "8"))
_MANY = [(f"usr/share/doc/{number}/{name}", FILE, b"x" * 5000) for number in range(1500) for name in "ab"]


@pytest.fixture
def key() -> Iterator[Signer]:
    """A key below a path that gpg's sockets fit in."""
    if not shutil.which("gpg"):
        pytest.skip("there is no gpg")
    with tempfile.TemporaryDirectory(prefix="gm-") as folder:
        yield signer(Path(folder, "k"))


def test_a_killed_bootstrap_leaves_no_half_root_and_the_next_makes_it(host: Host, key: Signer, tmp_path: Path) -> None:
    stage, root = tmp_path / "stage3.tar", tmp_path / "roots/router"
    stage.write_bytes(packed([*PLAIN, *_MANY]))
    key.sign(stage)
    host.profile("router", f'root = "{root}"\n')
    argv = [BIN / "gentoomuch", "-q", "bootstrap", "router", "--stage3", stage, "--key", key.public]
    argv += ["--fingerprint", key.fingerprint]
    begun = time.monotonic()
    subprocess.run(argv, env=host.env(), check=True)
    lasts = time.monotonic() - begun
    shutil.rmtree(root)
    chance = random.Random(5)

    for _ in range(_ROUNDS):
        with subprocess.Popen(argv, env=host.env(), start_new_session=True) as ran:
            time.sleep(chance.uniform(0.2, lasts))
            os.killpg(ran.pid, signal.SIGKILL)
        if root.exists():
            assert len(list((root / "usr/share/doc").iterdir())) == 1500
            shutil.rmtree(root)
    ended = subprocess.run(argv, env=host.env(), capture_output=True, text=True)

    assert ended.returncode == 0, ended.stderr
    assert [one.name for one in root.parent.iterdir()] == ["router"]
    assert not list((host.eprefix / "var/cache/gentoomuch").glob(".gnupg-*"))
