# SPDX-License-Identifier: GPL-2.0-or-later
"""kill -9 of each process of a run in turn, at random moments: the next command finds nothing left and nothing lost.

GM_TEST_KILLS says how many for each kind of container, GM_TEST_SEED which. All that a run starts stays below this
process, as it is the one that gets their orphans: what is left is seen without guessing by names.
"""

import ctypes
import hashlib
import os
import random
import signal
import subprocess
import tarfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import BIN
from helpers import processes, trees
from helpers.waiting import HANG

from gentoomuch_portage.containers import linux, resolution
from gentoomuch_portage.containers.cgroups import find_hierarchies
from gentoomuch_portage.containers.resolution import File
from gentoomuch_portage.demo_host import Host

KILLS = int(os.environ.get("GM_TEST_KILLS") or 100)
_SUBREAPER = 36
_EBUILD = """EAPI=8
DESCRIPTION="No two builds of it are equal"
LICENSE="GPL-2+"
SLOT="0"
KEYWORDS="amd64 arm64 ppc64 riscv"
S="${WORKDIR}"
src_compile() {
	printf 'int main(void) { return 0; }\\n' > one.c || die
	${CHOST}-gcc ${CFLAGS} -o one one.c || die
	head -c 16 /dev/urandom | od -An -tx1 > mark || die
}
src_install() {
	insinto /usr/share/one
	doins mark one
}
"""


@pytest.fixture
def one(host: Host) -> Host:
    """A host with a package that is built in no time."""
    file = host.repository / "app-demo/one/one-1.ebuild"
    file.parent.mkdir(parents=True)
    file.write_text(_EBUILD)
    host.profile("router", 'cpu = "x86-64-v2"\n')
    (host.folder / "tmp").mkdir()
    return host


def environment(host: Host) -> dict[str, str]:
    """The environment of what is run: with a TMPDIR where nobody else leaves anything."""
    return host.env(TMPDIR=str(host.folder / "tmp"))


@pytest.fixture(autouse=True, scope="module")
def orphans_come_to_us() -> Iterator[None]:
    """What a killed process has started becomes ours, where we can see it; and no mount that we see is of others."""
    libc = ctypes.CDLL(None)
    libc.prctl(_SUBREAPER, 1, 0, 0, 0)
    before = os.open("/proc/self/ns/mnt", os.O_RDONLY)
    if not os.geteuid():
        linux.unshare(linux.NEWNS)
        linux.mount("", "/", "", linux.REC | linux.PRIVATE)
    yield
    if not os.geteuid():
        assert libc.setns(before, 0) == 0
    os.close(before)
    libc.prctl(_SUBREAPER, 0, 0, 0, 0)


def below(number: int) -> list[int]:
    """All living processes that a process has started, those nearest to it first."""
    children: dict[int, list[int]] = {}
    for process, fields in processes.living().items():
        children.setdefault(int(fields[1]), []).append(process)
    found, rest = [], sorted(children.get(number, []))
    while rest:
        found.append(rest.pop(0))
        rest += sorted(children.get(found[-1], []))
    return found


def name(number: int) -> str:
    """What a process is, for the table at the end."""
    try:
        words = Path(f"/proc/{number}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return "gone"
    for word in words:
        if word.startswith("gentoomuch_portage."):
            return word.removeprefix("gentoomuch_portage.")
    script = next((Path(word).name for word in words if Path(word).name in {"gm-emerge", "ebuild.sh"}), "")
    return script or Path(words[0]).name


def image(package: Path) -> str:
    """A digest of what a package installs; empty where it is not whole."""
    try:
        with tarfile.open(package) as outer:
            members = [member for member in outer if "/image.tar" in member.name and not member.name.endswith(".sig")]
            opened = outer.extractfile(members[0])
            assert opened is not None
            told = [member.name.rpartition("/")[2] for member in outer.getmembers()]
            return hashlib.sha256(opened.read()).hexdigest() if told[-1] == "Manifest" else ""
    except (tarfile.TarError, OSError, IndexError, AssertionError):
        return ""


def run(host: Host, *words: str) -> subprocess.CompletedProcess[str]:
    """A command to its end."""
    argv = [str(BIN / words[0]), *words[1:]]
    return subprocess.run(argv, env=environment(host), capture_output=True, text=True, timeout=HANG, check=False)


def build(host: Host, kind: str) -> list[str]:
    """The command that is killed."""
    return [str(BIN / "gm-emerge"), "--gm-profile=router", f"--gm-isolation={kind}", "--usepkg=n", "-1q", "one"]


def seconds(host: Host, kind: str) -> float:
    """How long it takes when nobody kills it."""
    begun = time.monotonic()
    ended = subprocess.run(
        build(host, kind), env=environment(host), capture_output=True, text=True, timeout=HANG, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return time.monotonic() - begun


def killed(host: Host, kind: str, after: float, turn: int) -> tuple[str, set[Path]]:
    """Start a build, kill one of its processes, wait for its end; what was killed, and the cgroups there were."""
    with subprocess.Popen(
        build(host, kind),
        env=environment(host),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as started:
        time.sleep(after)
        found = [started.pid, *(one for one in below(started.pid) if name(one))]  # no name: it ends anyway
        victim = found[turn % len(found)]
        victim_name, groups = name(victim), cgroups(found) - cgroups([os.getpid()])
        with suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
        started.wait(timeout=HANG)
    return victim_name, groups


def cgroups(numbers: list[int]) -> set[Path]:
    """The cgroups of processes, in each hierarchy that is mounted."""
    paths = set().union(*map(processes.cgroups, numbers))
    return {Path(f"{top}{path}") for top in find_hierarchies(Path("/proc/self/mountinfo")) for path in paths}


def mounted() -> set[str]:
    """Mounts of the host, and those that keep a namespace alive."""
    return set(Path("/proc/self/mountinfo").read_text().splitlines())


def namespaces() -> set[str]:
    """Namespaces in which there is a process of ours."""
    return set().union(*map(processes.namespaces, (os.getpid(), *below(os.getpid()))))


def locked(host: Host) -> list[str]:
    """Files of the host that somebody holds a lock on."""
    numbers = {line.split()[-3].rpartition(":")[2] for line in Path("/proc/locks").read_text().splitlines()}
    return [path for path, inode in trees.inodes(host.folder).items() if str(inode) in numbers]


def left(host: Host, before: tuple[set[str], set[str], set[str]], groups: set[Path]) -> list[str]:
    """What there is that was not there before; the kernel has some time to take away what is dead already."""
    begun = time.monotonic()
    while (faults := left_now(host, before, groups)) and time.monotonic() < begun + HANG:
        time.sleep(0.1)
    return faults


def left_now(host: Host, before: tuple[set[str], set[str], set[str]], groups: set[Path]) -> list[str]:
    """What there is at this moment."""
    faults = [f"process {number} {name(number)}" for number in below(os.getpid())]
    faults += [f"mount {line}" for line in mounted() - before[0]]
    faults += [f"namespace {one}" for one in namespaces() - before[1]]
    faults += [f"temporary {one}" for one in temporary(host) - before[2]]
    faults += [f"cgroup {path}" for path in groups if path.exists()]
    return faults + [f"lock {path}" for path in locked(host)]


def temporary(host: Host) -> set[str]:
    """Folders and files that only a run needs."""
    cache = host.eprefix / "var/cache/gentoomuch"
    found = [*(cache / "containers").glob("*run-*"), *cache.glob("containers/.*")]
    hidden = [path for path in trees.inodes(host.pkgdir) if Path(path).name.startswith(".")]
    found += [Path(path) for path in hidden if "lockfile" not in path]
    found += host.eprefix.glob("var/tmp/gentoomuch-run-*")
    found += [
        *(host.folder / "tmp").glob("gentoomuch*"),
        *Path("/run").glob("gentoomuch*"),
        *Path("/run").glob("podman/*"),
    ]
    return {str(one) for one in found}


def faults_of(host: Host, whole: set[str]) -> list[str]:
    """What is wrong with PKGDIR: unfinished packages that can be seen, finished ones that are lost."""
    packages = list(host.pkgdir.rglob("*.gpkg.tar"))
    told = (host.pkgdir / "Packages").read_text()
    faults = [f"{one.name} is not whole" for one in packages if not image(one)]
    faults += [
        f"{one.name} is not in Packages" for one in packages if f"PATH: {one.relative_to(host.pkgdir)}\n" not in told
    ]
    return faults + [f"package {lost[:8]} is lost" for lost in whole - {image(one) for one in packages}]


def finished(host: Host) -> set[str]:
    """Digests of the whole packages in PKGDIR, and of those of a dead run that emerge reported as finished."""
    found = list(host.pkgdir.rglob("*.gpkg.tar"))
    for place in (host.eprefix / "var/cache/gentoomuch/containers").glob("run-*"):
        reported = {*resolution.load(place).finished.values()}
        found += [one for one in place.glob("packages/*/*/*.gpkg.tar") if File.from_status(one.lstat()) in reported]
    return {image(one) for one in found if not one.name.startswith(".")} - {""}


def test_nothing_is_left_and_nothing_lost_after_kill_9_of_each_process(kind: str, one: Host) -> None:
    seed = int(os.environ.get("GM_TEST_SEED") or random.SystemRandom().randrange(10**9))
    print(f"\nGM_TEST_SEED={seed}")
    chance = random.Random(seed)
    fresh = ("gentoomuch", "--quiet", "freshroot", "router", "--isolation", kind, "--", "true")
    assert run(one, *fresh).returncode == 0
    takes = seconds(one, kind)
    before = mounted(), namespaces(), temporary(one)
    victims: Counter[str] = Counter()
    faults: list[str] = []

    for number in range(1, KILLS + 1):
        victim, groups = killed(one, kind, chance.uniform(0, takes), number)
        victims[victim] += 1
        whole = finished(one)
        following = run(one, *fresh)
        found = [f"the next command failed: {following.stderr}"] if following.returncode else []
        found += left(one, before, groups) + faults_of(one, whole)
        faults += [f"kill {number} at {victims}: {fault}" for fault in found]
        if number % 10 == 0:
            takes = seconds(one, kind)
            print(f"{number} kills, {len(faults)} faults", flush=True)

    print(f"{kind}: {KILLS} kills of {dict(victims)}; faults: {faults}")
    assert faults == []
