# SPDX-License-Identifier: GPL-2.0-or-later
"""What tests of syncing share: a repository in git that a host's own is synced from."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from gentoomuch_portage.demo_host import Host
from gentoomuch_portage.demo_host.host import write


@dataclass(frozen=True)
class Upstream:
    """Where a repository comes from."""

    folder: Path

    def commit(self, name: str) -> str:
        """Add a file, and return the commit."""
        write(self.folder / name, name)
        self._git("add", "--all")
        self._git("-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "--quiet", "-m", name)
        return self.revision

    @property
    def revision(self) -> str:
        """Its last commit."""
        return self._git("rev-parse", "HEAD").strip()

    def _git(self, *words: str) -> str:
        return subprocess.run(["git", "-C", self.folder, *words], check=True, capture_output=True, text=True).stdout


def upstream(host: Host) -> Upstream:
    """Let a host sync its repository from a copy of it in git; the test is skipped where a program is missing."""
    for program in ("git", "mksquashfs"):
        if not shutil.which(program):
            pytest.skip(f"there is no {program}")
    made = Upstream(host.folder / "upstream")
    host.repository.rename(made.folder)
    subprocess.run(["git", "init", "--quiet", made.folder], check=True)
    made.commit("README")
    subprocess.run(["git", "clone", "--quiet", made.folder, host.repository], check=True)
    host.write(
        "repos.conf/gm-demo.conf",
        f"[DEFAULT]\nmain-repo = gm-demo\n\n[gm-demo]\nlocation = {host.repository}\nsync-type = git\n"
        f"sync-uri = file://{made.folder}\nauto-sync = yes\n",
    )
    return made
