# SPDX-License-Identifier: GPL-2.0-or-later
"""The overlay, where people meet it: emerge from it on a Gentoo-like host with a system-wide Portage.

The eclasses are those of ::gentoo where GM_TEST_GENTOO names a checkout (or /var/db/repos/gentoo is one), and ours that
stand in for them elsewhere. The sources are those of the work tree.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from helpers import overlay as overlaying
from helpers.portage_sdist import Unobtainable, portage_sdist

HERE = Path(__file__).parent
PINS = overlaying.TOP / "requirements/test.txt"
LIBRARIES = ("snakeoil", "pkgcore", "pluggy", "urllib3", "backports-zstd", "setuptools", "wheel", "gpep517")
TESTING = ("pytest", "hypothesis", "iced-x86", "pyelftools", "aiohttp")
MAKE_CONF = """
FEATURES="test collision-protect -sandbox -usersandbox -ipc-sandbox -pid-sandbox userpriv"
USE="doc server test"
PYTHON_TARGETS="{target}"
PYTHON_COMPAT_NO_STRICT="1"
ACCEPT_KEYWORDS="~amd64 ~arm64"
CONFIG_PROTECT="/etc"
GENTOO_MIRRORS=""
DEB_PYTHON_INSTALL_LAYOUT="deb"
BINPKG_COMPRESS="gzip"
NOCOLOR="true"
"""


@dataclass(frozen=True)
class StepResults:
    """The exit status and output of each step on the host, and lists of files."""

    folder: Path

    def status(self, step: str) -> int:
        return int((self.folder / f"{step}.status").read_text())

    def out(self, step: str) -> str:
        return (self.folder / f"{step}.out").read_text(errors="replace")

    def output(self, step: str) -> str:
        """Return the end of stdout and stderr of a step."""
        return (self.out(step) + (self.folder / f"{step}.err").read_text(errors="replace"))[-6000:]

    def files(self, when: str) -> set[str]:
        return set((self.folder / when).read_text().splitlines())


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> StepResults:
    """A host on which the package was emerged, used, and unmerged."""
    if os.geteuid() or not shutil.which("unshare"):
        pytest.skip("an overlay over / wants root and unshare")
    if not Path("/usr/lib/python3/dist-packages").is_dir():
        pytest.skip("the host is made of a Debian, and this is none")
    world = tmp_path_factory.mktemp("world")
    _lay(world)
    ended = subprocess.run(
        [HERE / "enter-host", world, "/world/steps", overlaying.version()],
        capture_output=True,
        text=True,
        check=False,
        timeout=1800,
    )
    if not (world / "said/before").exists():
        pytest.skip(f"no host can be made here: {ended.stderr[-500:]}")
    return StepResults(world / "said")


def _lay(world: Path) -> None:
    (world / "said").mkdir()
    shutil.copy(HERE / "steps", world)
    try:
        portage_sdist(world, world).rename(world / "portage")
    except Unobtainable as why:
        pytest.skip(str(why))
    python = _venv(world / "venv")
    real = overlaying.gentoo()
    overlaying.lay_gentoo(world / "repos/gentoo", real)
    overlay = overlaying.lay_overlay(world / "repos/gentoomuch")
    if int(python) < 12:
        if real:
            pytest.skip(f"this Debian has Python 3.{python} alone, which ::gentoo no longer has")
        overlaying.lend([world / "repos/gentoo", overlay], python)
    overlaying.configure(world / "etc", Path("/var/db/repos/gentoo"), Path("/var/db/repos/gentoomuch"))
    (world / "etc/make.conf").write_text(MAKE_CONF.format(target=f"python3_{python}"))
    overlaying.lay_vdb(world / "vdb", [world / "repos/gentoo", overlay], python)
    (world / "distfiles").mkdir()
    overlaying.release(world / "distfiles", overlay)


def _venv(folder: Path) -> str:
    """Meson, and what is imported on the host, for the system's Python; its minor version."""
    subprocess.run(["/usr/bin/python3", "-m", "venv", folder], check=True)
    words = [folder / "bin/pip", "install", "--quiet", "meson", "ninja", *LIBRARIES, *TESTING, "-c", PINS]
    ended = subprocess.run(words, capture_output=True, text=True, check=False)
    if ended.returncode:
        pytest.skip(f"pip brought no libraries: {ended.stderr[-300:]}")
    return next((folder / "lib").glob("python3.*")).name.rpartition(".")[2]


def test_the_package_is_built_tested_and_merged(steps: StepResults):
    assert steps.status("emerge") == 0, steps.output("emerge")
    assert " passed" in steps.out("emerge")
    assert " failed" not in steps.out("emerge")


def test_no_file_of_it_collides_with_another(steps: StepResults):
    assert "collision" not in steps.output("emerge").replace("collision-protect", "")


def test_the_package_installs_commands_completions_services_and_examples(steps: StepResults):
    ours = steps.files("installed") - steps.files("before")

    assert {"/usr/bin/gm-emerge", "/usr/bin/gentoomuch", "/etc/gentoomuch/gentoomuch.toml"} <= ours
    assert {"/etc/init.d/gentoomuch-binhost", "/usr/share/bash-completion/completions/gentoomuch"} <= ours
    units = {name.rpartition("/")[2] for name in ours if "/systemd/system/" in name}
    assert units == {"gentoomuch-binhost.service", "gentoomuch-update.service", "gentoomuch-update.timer"}
    assert any("/examples/gentoomuch-update.cron" in name for name in ours)
    assert any("/man1/gm-emerge.1" in name for name in ours)


def test_gm_emerge_runs_as_installed(steps: StepResults):
    assert steps.status("version") == 0, steps.output("version")
    assert steps.out("version").startswith(steps.out("emerge-version").strip())
    assert steps.status("plugins") == 0, steps.output("plugins")


def test_unmerged_it_leaves_nothing_but_configuration(steps: StepResults):
    assert steps.status("unmerge") == 0, steps.output("unmerge")

    assert steps.files("after") - steps.files("before") == {"/etc/gentoomuch/gentoomuch.toml"}
    assert steps.files("before") - steps.files("after") == set()


def test_emerge_works_with_one_warning_if_only_the_hooks_are_left(steps: StepResults):
    assert steps.status("enable") == 0, steps.output("enable")

    warnings = [line for line in steps.output("without").splitlines() if "gentoomuch" in line and "news" not in line]
    assert steps.status("without") == 0, steps.output("without")
    assert ["Could not import" in line for line in warnings] == [True], warnings
    for step in ("synced", "snapshotted"):
        assert (steps.status(step), steps.output(step)) == (0, "")
    assert "gentoomuch is not installed: remove its directory" in steps.output("emaint")
