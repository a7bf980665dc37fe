# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine that stands in a folder, with its own Portage: it is worked on from inside, and only there.

The machine is this one, seen through overlayfs, with Portage's sources run in place. It is there in a mount namespace
of its own, into which each command of a test goes.
"""

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import BIN, Ended, Run
from helpers.containers import digest, need
from helpers.portage_sdist import Unobtainable, portage_sdist

from gentoomuch_portage.demo_host import Host

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a machine in a folder is made by root")
_FEATURES = "sandbox usersandbox userpriv userfetch ipc-sandbox mount-sandbox network-sandbox pid-sandbox merge-sync"
"""As every Gentoo has them, where the host of these tests has none."""
_MAKE = r"""set -e
mount -t tmpfs tmpfs "$1"
mkdir "$1/up" "$1/work"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/up,workdir=$1/work" "$2"
cp -a "$3" "$2/usr/lib/portage-sources"
echo /usr/lib/portage-sources/lib > "$2/usr/lib/python3/dist-packages/portage-sources.pth"
printf '#!/bin/sh\nexec /usr/bin/python3 /usr/lib/portage-sources/bin/emerge "$@"\n' > "$2/usr/bin/emerge"
chmod 755 "$2/usr/bin/emerge"
ln -sf tar "$2/usr/bin/gtar"
touch "$2/usr/lib/portage-sources/.portage_not_installed"
: > "$2/usr/lib/portage-sources/cnf/repos.conf"
for tool in gcc g++ ar nm ranlib strip objcopy objdump readelf ld; do
	ln -sf "$tool" "$2/usr/bin/$(uname -m)-pc-linux-gnu-$tool"
done
rm -rf "$2/etc/portage"
mkdir -p "$2/etc/portage" "$2/var/db/pkg" "$2/var/lib/portage" "$2/var/cache/edb"
grep -q '^portage:' "$2/etc/group" || echo portage:x:250:portage >> "$2/etc/group"
grep -q '^portage:' "$2/etc/passwd" || echo portage:x:250:250:portage:/var/tmp/portage:/bin/false >> "$2/etc/passwd"
echo made
read line
"""


@dataclass(frozen=True)
class Machine:
    """The root of a machine, as commands see it."""

    root: Path
    upper: Path
    """What tells it from this one."""
    run: Callable[..., Ended]
    into: tuple[str, ...]
    """What a command line begins with."""


@pytest.fixture(scope="module")
def sources(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Portage's sources; fetched once, and kept in pytest's cache."""
    try:
        return portage_sdist(request.config.cache.mkdir("portage-sdist"), tmp_path_factory.mktemp("portage"))
    except Unobtainable as error:
        pytest.skip(str(error))


@pytest.fixture
def machine(host: Host, on: Run, sources: Path, tmp_path: Path) -> Iterator[Machine]:
    """A machine of its own, with the profile ``machine``."""
    need("unshare")
    for name in ("memory", "root"):
        (tmp_path / name).mkdir()
    memory, root = tmp_path / "memory", tmp_path / "root"
    argv = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _MAKE, "sh", memory, root, sources]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as held:
        assert held.stdout is not None
        assert held.stdout.readline() == "made\n"
        told = f'cpu = "x86-64-v2"\nroot = "{root}"\nisolation = "unshare"\nlayers = ["gentoo"]\n'
        host.profile("machine", told, {"gentoo/make.conf": f'FEATURES="{_FEATURES}"\n'})
        into = ("nsenter", f"--mount=/proc/{held.pid}/ns/mnt", "--wd=/")

        def run(program: str, *words: str) -> Ended:
            return on(*into, str(BIN / program), *words)

        yield Machine(root, Path(f"/proc/{held.pid}/root{memory}/up"), run, into)
        held.communicate("\n")


def test_emerge_runs_in_the_machine_and_the_host_stays_as_it_was(machine: Machine, host: Host) -> None:
    own = ("var/cache", "var/tmp", "var/log", "var/lib/gentoomuch")
    before = digest(host.eprefix, without=own)

    ended = machine.run("gm-emerge", "--gm-profile=machine", "gm-hello")

    assert ended.status == 0, ended.err + ended.out
    assert (machine.upper / "usr/bin/gm-hello").exists()
    assert (machine.upper / "var/lib/portage/world").read_text() == "app-demo/gm-hello\n"
    assert {path.name for path in (machine.upper / "var/db/pkg").glob("*/*")} == {"gm-hello-1.0", "libgreet-1.0"}
    assert not list((machine.upper / "run").glob("*")), "our files in a container leave no trace in the root"
    assert digest(host.eprefix, without=own) == before
    names = [path.name for path in host.pkgdir.rglob("*.gpkg.tar")]
    assert sorted(names) == ["gm-hello-1.0-1.gpkg.tar", "libgreet-1.0-1.gpkg.tar"]


def test_a_fresh_root_of_a_machine_leaves_it_unchanged(machine: Machine, host: Host) -> None:
    assert machine.run("gentoomuch", "freshroot", "machine", "--", "true").status == 0
    before = digest(machine.upper)

    command = "emerge --quiet gm-hello && gm-hello && rm -r /etc/portage && touch /usr/bin/new"
    ended = machine.run("gentoomuch", "freshroot", "machine", "--", "sh", "-c", command)

    assert ended.status == 0, ended.err + ended.out
    assert "-march=x86-64-v2" in ended.out
    assert digest(machine.upper) == before
    assert len(list(host.pkgdir.rglob("*.gpkg.tar"))) == 2


def test_two_fresh_roots_at_once_do_not_see_each_other(machine: Machine, host: Host) -> None:
    words = [*machine.into, str(BIN / "gentoomuch"), "--quiet", "freshroot", "machine", "--", "sh", "-c"]
    command = "emerge --quiet libgreet >/dev/null && touch /etc/one && echo there && read line"
    with subprocess.Popen([*words, command], env=host.env(), stdin=-1, stdout=-1, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "there\n"
        seen = "test ! -e /etc/one && test ! -d /var/db/pkg/dev-demo && test -d /var/db/pkg"
        second = subprocess.run([*words, seen], env=host.env(), capture_output=True, text=True, check=False)
        first.communicate("\n")
    assert second.returncode == 0, second.stderr


def test_what_enter_changes_in_a_machine_stays(machine: Machine, host: Host) -> None:
    before = digest(host.eprefix, without=("var/cache", "var/lib/gentoomuch"))

    command = "emerge --quiet gm-hello && gm-hello && touch /etc/own && ls /root"
    ended = machine.run("gentoomuch", "root", "enter", "machine", "--", "sh", "-c", command)
    user = machine.run("gentoomuch", "root", "enter", "machine", "--user", "nobody", "--", "id", "-un")

    assert ended.status == 0, ended.err + ended.out
    assert (machine.upper / "usr/bin/gm-hello").exists()
    assert (machine.upper / "etc/own").exists()
    assert (machine.upper / "var/db/pkg/app-demo/gm-hello-1.0").is_dir()
    assert not list((machine.upper / "run").glob("*"))
    assert digest(host.eprefix, without=("var/cache", "var/lib/gentoomuch")) == before
    assert (user.status, user.out) == (0, "nobody\n"), user.err
