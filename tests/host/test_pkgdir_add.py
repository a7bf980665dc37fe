# SPDX-License-Identifier: GPL-2.0-or-later
"""A run is killed while it adds a finished package of a container to PKGDIR: the next run adds that package once.

Seen failing with 100 kills of tests/containers/test_kill.py: the package got a second BUILD_ID, and the file with the
first one never got into the index.
"""

import re
import signal
import sys
from pathlib import Path

import pytest
from conftest import Run
from helpers.repack import instance

from gentoomuch_portage.demo_host import Host

_TAKE = """
import os, signal, sys
from pathlib import Path
from portage.dbapi.bintree import binarytree
from gentoomuch_portage.portage_adapter import pkgdir_add

file, when, configroot = Path(sys.argv[1]), *sys.argv[2:]
plain = binarytree.inject

def inject(*words, **more):
    if when != "before":
        added = plain(*words, **more)
    if when != "never":
        os.kill(os.getpid(), signal.SIGKILL)
    return added

binarytree.inject = inject
print("BUILD_ID", pkgdir_add.taker({"PORTAGE_CONFIGROOT": configroot})(file, "dev-demo/libgreet-1.0", 1))
"""


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("others", [0, 1], ids=["its BUILD_ID is free", "another package has its BUILD_ID"])
def test_a_package_is_added_once_if_the_first_attempt_is_killed(
    host: Host, on: Run, tmp_path: Path, when: str, others: int
) -> None:
    assert on("emerge", "-B1q", "libgreet").status == 0
    [built] = host.pkgdir.glob("dev-demo/libgreet/*.gpkg.tar")
    finished = instance(built, tmp_path / "finished", 1, {"BUILD_TIME": "1700000000"})
    if not others:
        built.unlink()
        (host.pkgdir / "Packages").unlink()

    def take(when: str) -> tuple[int, str]:
        ended = on(sys.executable, "-c", _TAKE, finished, when, host.eprefix)
        assert ended.status in {0, -signal.SIGKILL}, ended.err
        return ended.status, ended.out

    assert take(when)[0] == -signal.SIGKILL
    status, out = take("never")

    assert status == 0
    assert f"BUILD_ID {others + 1}" in out.splitlines()
    assert not finished.exists()
    files = {str(path.relative_to(host.pkgdir)) for path in host.pkgdir.rglob("*libgreet*.gpkg.tar")}
    assert files == {f"dev-demo/libgreet/libgreet-1.0-{number}.gpkg.tar" for number in range(1, others + 2)}
    assert {*re.findall(r"(?m)^PATH: (.*)$", (host.pkgdir / "Packages").read_text())} == files
