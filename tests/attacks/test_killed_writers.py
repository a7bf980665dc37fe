# SPDX-License-Identifier: GPL-2.0-or-later
"""S13: kill -9 at any moment of a command that writes: each file is the old or the new one, and it can be run again.

``tests/stress`` kills runs of gm-emerge in the same way.
"""

import os
import random
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from helpers import forkserver, usedhost
from helpers.damage import Snapshot

KILLS = int(os.environ.get("GM_TEST_KILLS") or 1)
"""Of each command."""
STATUSES = {0, 1, 64, 75}
"""Of the command that is run again: 64 if it was killed when all was done, as a work tree exists then."""
COMMANDS = (
    "gentoomuch profile set router",
    "gentoomuch profile add another --here",
    "gentoomuch unmask drop app-demo/fresh --profile full",
    "gentoomuch hooks disable bashrc",
    "gentoomuch hooks enable record",
    "gentoomuch thaw FROZEN --as copy --replace",
    "gentoomuch thaw FROZEN --as other",
    "gentoomuch binhost key --rotate",
    "gentoomuch patch prep mine app-demo/easy",
    "gentoomuch patch save mine",
    "gentoomuch binhost index",
)
VARYING = frozenset({"binhost", "patch", "thaw"})
"""Commands that write other content each time, such as keys: what a killed one leaves can be whole and differ."""
READERS = (
    "gm-emerge -pq app-demo/easy",
    "gentoomuch profile ls",
    "gentoomuch unmask ls",
    "gentoomuch hooks ls",
    "gentoomuch binhost key",
    "gentoomuch binhost check",
    "gentoomuch patch ls",
)
CHANGING = ("gnupg", "trust", ".git", "jsonl", "lock")
"""Parts of paths whose content differs each time: of git and gpg, and lists that grow by lines."""


class World(NamedTuple):
    """A used host, and a server that runs programs on it."""

    used: usedhost.Used
    server: forkserver.Server
    pristine: Snapshot

    def words(self, command: str) -> list[str]:
        """The words of a command."""
        return [word.replace("FROZEN", str(self.used.frozen)) for word in command.split()]

    def content(self) -> dict[Path, str]:
        """The files that the commands may write, without digits: those of times and keys; hidden files left out."""
        places = (self.used.state, self.used.host.config, self.used.host.pkgdir)
        found = [path for place in places for path in place.rglob("*") if path.is_file() and not path.is_symlink()]
        shown = [
            path
            for path in found
            if not any(part.startswith(".") for part in path.parts[len(self.used.project.parts) :])
        ]
        stable = [path for path in shown if not any(part in str(path) for part in CHANGING)]
        return {path: re.sub(r"[0-9a-fA-F]+", "0", path.read_text(errors="replace")) for path in stable}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    folder = Path(tempfile.mkdtemp(prefix="gm-killed-", dir="/var/tmp"))
    folder.chmod(0o755)
    used = usedhost.make(folder)
    with forkserver.started(used.host.env()) as server:
        prefix = used.host.eprefix
        tops = [used.state, used.cache, prefix / "etc", prefix / "usr/local", used.host.pkgdir]
        yield World(used, server, Snapshot(tops))
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize(
    "command",
    [pytest.param(command, marks=pytest.mark.slow if command.split()[1] in VARYING else ()) for command in COMMANDS],
)
def test_a_command_that_is_killed_leaves_whole_files_and_can_be_run_again(world: World, command: str):
    seed = int(os.environ.get("GM_TEST_SEED") or time.time() // 86400)
    print(f"\nGM_TEST_SEED={seed}")
    chance, words = random.Random(seed), world.words(command)
    program = [usedhost.BIN / words[0], *words[1:]]
    before, begun = world.content(), time.monotonic()
    whole = world.server.run(*program)
    takes, after = time.monotonic() - begun, world.content()
    world.pristine.restore()
    assert whole.status == 0, whole
    try:
        for _ in range(KILLS):
            killed = world.server.run("timeout", "--signal=KILL", f"{chance.uniform(0.1, takes):.3f}", *program)
            halves = {
                path: text for path, text in world.content().items() if text not in (before.get(path), after.get(path))
            }
            readers = {reader: world.server.run(*world.words(reader)) for reader in READERS}
            again = world.server.run(*words)

            assert killed.status in {0, -9, 137}, killed
            assert not halves
            assert not {reader: ended for reader, ended in readers.items() if ended.status}
            assert again.status in STATUSES, again
            world.pristine.restore()
    finally:
        world.pristine.restore()
