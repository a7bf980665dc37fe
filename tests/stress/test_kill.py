# SPDX-License-Identifier: GPL-2.0-or-later
"""kill -9 at any moment of a run: the next run works, and nothing is lost.

What Portage itself leaves behind when it is killed, and takes away or passes over later, is not held against a run:
a folder ``-MERGING-*`` in the database of what is installed; an empty binary package, which is how it reserves a
name; and the one moment in which a package that is merged again has left the database and its successor has not yet
come (Source: dblink.treewalk). How often each was met is printed.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from helpers.waiting import HANG

from gentoomuch_portage.demo_host import Host

KILLS = int(os.environ.get("GM_TEST_KILLS") or 200)
RUNS = (
    ("--gm-profile=loud", "-pq", "teller"),
    ("--gm-profile=quiet", "--gm-explain=json", "teller"),
    ("--gm-profile=loud", "-1q", "teller"),
    ("--gm-profile=loud", "-1q", "--usepkg=n", "teller"),
    ("--gm-profile=quiet", "-1q", "--usepkg=n", "teller"),
    ("--gm-profile=quiet", "-qC", "teller"),
)
KEPT = """EAPI=8
SLOT=0
DESCRIPTION="Is never touched again"
LICENSE="GPL-2+"
KEYWORDS="amd64 arm64 ppc64 riscv"
S="${WORKDIR}"
src_install() {
	mkdir -p "${ED}/usr/share/kept" || die
	echo kept > "${ED}/usr/share/kept/text" || die
}
"""
EMERGE = str(Path(sys.executable).parent / "gm-emerge")


def run(host: Host, *words: str) -> subprocess.CompletedProcess[str]:
    """A run to its end."""
    return subprocess.run([EMERGE, *words], env=host.env(), capture_output=True, text=True, timeout=HANG, check=False)


def timed(host: Host) -> dict[tuple[str, ...], float]:
    """How many seconds each run takes, here and now."""
    found = {}
    for words in RUNS:
        begun = time.monotonic()
        run(host, *words)
        found[words] = time.monotonic() - begun
    return found


def killed(host: Host, chance: random.Random, takes: dict[tuple[str, ...], float]) -> str:
    """Start a run and kill it, alone or with all that it started; how it went."""
    words = chance.choice(RUNS)
    one = subprocess.Popen(
        [EMERGE, *words], env=host.env(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    time.sleep(chance.uniform(0, takes[words]))
    if one.poll() is not None:  # too late: that was none
        return killed(host, chance, takes)
    with_all = chance.random() < 0.7
    if with_all:
        os.killpg(one.pid, signal.SIGKILL)
    else:
        one.kill()
    one.wait()
    return "killed with all that it started" if with_all else "killed alone"


def left_by_portage(host: Host) -> Counter[str]:
    """What Portage leaves when it is killed."""
    met: Counter[str] = Counter()
    met["-MERGING- folders"] = len(list(host.vdb.glob("*/-MERGING-*")))
    met["empty binary packages"] = sum(not path.stat().st_size for path in host.pkgdir.rglob("*.gpkg.tar"))
    met["moments without the package"] = int(
        any(host.vdb.glob("*/-MERGING-teller*")) and not any(host.vdb.glob("app-demo/teller-1"))
    )
    return +met


def test_after_kill_9_at_any_moment_the_next_run_works_and_nothing_is_lost(teller: Host, stress, chance: random.Random):
    host = teller
    kept = host.repository / "app-demo/kept/kept-1.ebuild"
    kept.parent.mkdir()
    kept.write_text(KEPT)
    for name, level, use in (("loud", 1, "shout"), ("quiet", 3, "-shout")):
        conf = {f"{name}/make.conf": f'CFLAGS="-O{level}"\nUSE="{use}"\n'}
        host.profile(name, f'cpu = "x86-64"\nlayers = ["{name}"]\n', conf)
    assert run(host, "--gm-profile=quiet", "-q", "kept").returncode == 0
    state, cache = host.eprefix / "var/lib/gentoomuch", host.eprefix / "var/cache/gentoomuch"
    ended: Counter[str] = Counter()
    portage: Counter[str] = Counter()
    faults: list[str] = []

    takes = timed(host)
    for number in range(1, KILLS + 1):
        if chance.random() < 0.5:  # so that a configroot is to be made
            (host.config / "layers/loud/package.use").write_text(f"# {number}\n")
        before = stress.tree(host.etc) | stress.tree(host.config)
        ended[killed(host, chance, takes)] += 1
        portage |= left_by_portage(host)
        found = [*stress.state_faults(state), *stress.configroot_faults(cache), *stress.index_faults(host)]
        if stress.tree(host.etc) | stress.tree(host.config) != before:
            found.append("the configuration changed")
        if "app-demo/kept" not in (host.eprefix / "var/lib/portage/world").read_text().split():
            found.append("the world was lost")
        if stress.vdb_faults(host.vdb, only="app-demo/kept-1"):
            found.append("an installed package was lost")
        following = run(host, "--gm-profile=loud", "-pq", "--usepkg=n", "teller")
        if following.returncode or "app-demo/teller-1" not in following.stdout:
            found.append(f"the next run failed: {following.stdout}{following.stderr}")
        if number % 20 == 0:
            found += whole(host, stress)
            takes = timed(host)
        faults += [f"kill {number}: {fault}" for fault in found]

    print(f"{KILLS} kills: {dict(ended)}; Portage left at most {dict(portage)}; faults: {faults}")
    assert faults == []


def whole(host: Host, stress) -> list[str]:
    """What is wrong after a run that was let to its end."""
    merged = run(host, "--gm-profile=loud", "-1q", "--usepkg=n", "teller")
    if merged.returncode:
        return [f"the next merge failed: {merged.stdout}{merged.stderr}"]
    said = subprocess.run([host.eprefix / "usr/bin/teller"], capture_output=True, text=True, check=False).stdout.strip()
    wrong = [] if said == "-O1 -march=x86-64 | loud" else [f"the program says {said!r}"]
    again = run(host, "--gm-profile=loud", "-1q", "--usepkgonly", "teller")
    if again.returncode:
        wrong.append(f"its binary package cannot be merged: {again.stdout}{again.stderr}")
    return [*wrong, *stress.vdb_faults(host.vdb), *stress.index_faults(host)]
