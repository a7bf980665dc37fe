#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Portage's own emerge tests, twice: as they are, and with gm-emerge in the place of bin/emerge.

    tests/fidelity/run.py [--quick] [--sdist DIR]

Prints what passed both ways and how many fewer with gm-emerge; ends 1 where that is more than none. The tests run as
an ordinary user: where root starts this, as nobody, since gpg as root gives up rights that it then lacks.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import gentoomuch_portage

sys.path.insert(0, str(Path(__file__).parents[1]))
from helpers.portage_sdist import Unobtainable, portage_sdist

ALL = ("lib/portage/tests/emerge", "lib/portage/tests/gpkg/test_gpkg_gpg_emerge.py")
QUICK = (
    "not gpkg- and not misc and not binhost and not regen and not gpg and not ConfigProtect and not PkgPretend "
    "and not BlockerFile and not BinpkgFetch and not BuildPkg"
)
"""For -k: a build of each kind and the signals, without what repeats them at length."""
DOOR = """\
#!/usr/bin/env python
import sys

sys.path.append({ours!r})
from gentoomuch_portage.emerge.main import main

if __name__ == "__main__":
    with open({calls!r}, "a") as calls:
        calls.write("one\\n")
    sys.exit(main())
"""
"""What stands in the place of bin/emerge. The tree's own Portage comes before ours on sys.path."""
NOBODY = (
    "setpriv", "--reuid=nobody", "--regid=65534", "--clear-groups", "--inh-caps=+dac_read_search",
    "--ambient-caps=+dac_read_search", "--securebits=+no_setuid_fixup",
)  # fmt: skip
"""A user who can read what root can: an interpreter in root's home. Without no_setuid_fixup, access(2) denies it."""


@dataclass(frozen=True)
class Counted:
    """How the tests of one way ended."""

    passed: frozenset[str]
    failed: frozenset[str]
    skipped: int
    seconds: float

    def __str__(self) -> str:
        return f"{len(self.passed)} passed, {len(self.failed)} failed, {self.skipped} skipped, {self.seconds:.0f} s"


def main(argv: Sequence[str] | None = None) -> int:
    """Run both ways at once, and say how they ended."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a subset of about a minute")
    parser.add_argument("--sdist", type=Path, metavar="DIR", help="where Portage's archive is kept for the next time")
    asked = parser.parse_args(argv)
    folder = Path(tempfile.mkdtemp(prefix="gm-"))
    try:
        return compare(folder, asked.sdist or folder, quick=asked.quick)
    except Unobtainable as error:
        print(error, file=sys.stderr)
        return 77
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def compare(folder: Path, kept: Path, *, quick: bool) -> int:
    """Run both ways below a folder; 1 where fewer tests pass with gm-emerge.

    Raises:
        Unobtainable: there is no sdist of the Portage that is installed.
    """
    trees = {way: portage_sdist(kept, folder / way) for way in ("emerge", "gm-emerge")}
    calls = folder / "gm-emerge/calls"
    ours = Path(gentoomuch_portage.__path__[0]).parent
    (trees["gm-emerge"] / "bin/emerge").write_text(DOOR.format(ours=str(ours), calls=str(calls)), encoding="utf-8")
    for way in trees:
        (folder / way / "tmp").mkdir()
    (folder / "bin").mkdir()
    (folder / "bin/gtar").symlink_to(shutil.which("gtar") or shutil.which("tar") or "tar")
    user = _ordinary_user(folder)
    running = {way: start(folder / way, tree, user, quick=quick) for way, tree in trees.items()}
    counted = {way: count(folder / way, process) for way, process in running.items()}
    substituted = len(calls.read_text().splitlines()) if calls.is_file() else 0
    for way, result in counted.items():
        print(f"{way:>10}: {result}")
        for name in sorted(result.failed):
            print(f"{'':>10}  failed: {name}")
    lost = counted["emerge"].passed - counted["gm-emerge"].passed
    for name in sorted(lost):
        print(f"{'':>10}  only with emerge: {name}")
    print(f"{len(lost)} fewer pass; gm-emerge stood in for emerge {substituted} times")
    return int(bool(lost) or not substituted or not counted["emerge"].passed)


def _ordinary_user(folder: Path) -> tuple[str, ...]:
    """The words that make root nobody, and the folder nobody's; none for an ordinary user."""
    if os.geteuid():
        return ()
    tried = subprocess.run([*NOBODY, sys.executable, "-c", ""], capture_output=True, text=True, check=False)
    if tried.returncode:
        print(f"as root, since setpriv failed: {tried.stderr.strip()}; tests with gpg fail both ways", file=sys.stderr)
        return ()
    subprocess.run(["chown", "--recursive", "nobody", folder], check=True)
    return NOBODY


def start(folder: Path, tree: Path, user: Sequence[str], *, quick: bool) -> "subprocess.Popen[bytes]":
    """Start the tests of one way in a worker process: a test that ends its process fails, named, and ends no other.

    Portage's event loop answers an unhandled exception with SIGTERM for its own process.
    Source: portage/util/_eventloop/asyncio_event_loop.py, _internal_caller_exception_handler.
    """
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", str(tree / "pyproject.toml"), "--numprocesses=1"]
    words += [f"--junitxml={folder}/results.xml", "-o", "junit_family=xunit1", *(str(tree / name) for name in ALL)]
    env = {
        "PATH": f"{folder.parent}/bin:{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        "PYTHONPATH": str(tree / "lib"),
        "HOME": str(folder),
        "TMPDIR": str(folder),
        # The first test of a process decides portage.data.secpass for all others: after one with an EPREFIX of
        # the user's, the others take the host's /var/tmp/portage for theirs, and fail where it is another user's.
        "PORTAGE_TMPDIR": str(folder / "tmp"),
        "PYTHONWARNINGS": "default",
        "LANG": "C.UTF-8",
        "USER": "nobody" if user else os.environ.get("USER", ""),
    }
    log = (folder / "log").open("wb")
    with log:
        return subprocess.Popen(
            [*user, sys.executable, *words, *(["-k", QUICK] if quick else [])],
            env=env, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip


def count(folder: Path, process: "subprocess.Popen[bytes]") -> Counted:
    """Wait for the tests of one way; how each ended."""
    process.wait()
    results = folder / "results.xml"
    if not results.is_file():
        sys.exit((folder / "log").read_text(encoding="utf-8", errors="replace"))
    suite = ElementTree.parse(results).getroot().find("testsuite")
    assert suite is not None
    ended: dict[str, set[str]] = {"passed": set(), "failed": set(), "skipped": set()}
    for case in suite.iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        kinds = {child.tag for child in case}
        ended["failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"].add(name)
    passed = frozenset(ended["passed"] - ended["failed"])
    return Counted(passed, frozenset(ended["failed"]), len(ended["skipped"]), float(suite.get("time", "0")))


if __name__ == "__main__":
    sys.exit(main())
