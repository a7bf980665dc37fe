# SPDX-License-Identifier: GPL-2.0-or-later
"""S13, F13, F14: a disk that is full, out of inodes, or read-only, below each directory that is written in turn.

On dfeccc0, tried by hand: "No space left on device [system]" without a path or a way out for state, cache and
configuration, tracebacks of Portage's mtimedb, and half a profile by ``profile add``.
"""

import json
import os
import pwd
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import pytest
from helpers import forkserver, stages, usedhost
from helpers.containers import need_user_namespaces, why_not
from helpers.damage import Snapshot

from gentoomuch_portage import demo_host
from gentoomuch_portage.config import isolation_kinds
from gentoomuch_portage.portage_adapter import paths

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a file system of its own")
ROUNDS = int(os.environ.get("GM_TEST_ROUNDS") or 1)
OURS = re.compile(r"^gentoomuch: (.*)\[([a-z0-9-]+)\]$", re.M)
MERGED = {0, 1}
"""What emerge itself ends with, if emerge is who cannot write."""
NAMED = {69}
"""``disk-full`` and ``read-only`` alike."""


class World(NamedTuple):
    """A used host, and a server that runs programs on it in a mount namespace of its own."""

    used: usedhost.Used
    root: forkserver.Server
    """Mounts file systems."""
    server: forkserver.Server
    """Runs our programs."""
    pristine: Snapshot
    scratch: Path
    words: Mapping[str, str | Path]
    """What words of commands stand for, besides those that name directories."""

    def sh(self, script: str, *words: str | Path) -> str:
        """Run a shell script in the namespace."""
        ended = self.root.run("sh", "-ec", script, "sh", *words)
        assert ended.status == 0, (script, words, ended)
        return ended.out

    def content(self, folder: Path) -> dict[str, bytes]:
        """The files below a directory; locks and what fills the disk left out."""
        top = Path(f"/proc/{self.root.process.pid}/root{folder}")
        found = (path for path in top.rglob("*") if path.is_file() and not path.is_symlink())
        named = {str(path.relative_to(top)): path for path in found if not path.name.startswith("ballast")}
        return {name: path.read_bytes() for name, path in named.items() if not name.endswith("lock")}


class Write(NamedTuple):
    """A command that writes."""

    place: str
    """Which directory is full: a key of ``_places``."""
    words: str
    statuses: set[int] = NAMED
    again: int = 0
    """Its status as soon as there is room; of one that ended well before, none."""
    first: str = ""
    """Commands before the file system is full, separated by ``&&``."""


WRITES = (
    Write("state", "gentoomuch profile set router"),
    Write("state", "gentoomuch unmask drop app-demo/fresh --profile full"),
    Write("state", "gentoomuch dotgentoo trust PROJECT", {0, 69}),
    Write("state", "gentoomuch hooks enable record"),
    Write("state", "gentoomuch thaw FROZEN --as other"),
    Write("state", "gentoomuch binhost key --rotate", {69, 70}),
    Write("state", "gm-emerge -1q --gm-profile=router app-demo/easy", MERGED),
    Write("cache", "gm-emerge -pq --gm-profile=new app-demo/easy"),
    Write("cache", "gm-emerge -pq PROJECT"),
    Write("cache", "gentoomuch patch prep mine app-demo/easy", {69, 70}),
    Write("config", "gentoomuch profile add another --here"),
    Write("config", "gentoomuch thaw FROZEN --as third"),
    Write("config", "gentoomuch patch save mine", {69}),
    Write("pkgdir", "gm-emerge -B1q --usepkg=n --gm-profile=router app-demo/easy", {1, 69}),
    Write("pkgdir", "gentoomuch binhost index", {69}),
    Write("tmpdir", "gm-emerge -B1q --usepkg=n --gm-profile=router app-demo/easy", {0, 1, 69}),  # or builds elsewhere
    Write("root", "gm-emerge -1q --gm-profile=router app-demo/easy", {1, 69}),
    Write("out", "gentoomuch freeze full OUT/frozen"),
    Write("out", "gentoomuch binhost publish OUT/published"),
    Write("out", "gentoomuch fleet router --html OUT/fleet.html", {69}),
    Write("pkgdir", "gentoomuch binhost sign", {69}),
)
UNWRITTEN = {0, 69}
"""What needs no room, or is a cache, is done without it."""
REPORTED = {0, 1, 69}
"""The same, of commands with status 1 for what they report."""
_BUILD = "gm-emerge -B1q --usepkg=n --gm-profile=router app-demo/easy"
_PUBLISH = "gentoomuch binhost publish OUT/published"
MORE = (
    Write("state", "gentoomuch binhost key --revoke --yes", {69, 70}),
    Write("state", "gentoomuch profile rename full fuller"),
    Write("state", "gentoomuch profile rm copy --with-state --yes", UNWRITTEN),
    Write("state", "gentoomuch unmask prune", UNWRITTEN),
    Write("config", "gentoomuch profile set-key router isolation none"),
    Write("config", "gentoomuch profile adopt ETC adopted --root OUT/adopted"),
    Write("config", "gentoomuch profile rename router gateway", UNWRITTEN),
    Write("config", "gentoomuch profile rm copy --yes", UNWRITTEN),
    Write("config", "gentoomuch patch use mine --profile router"),
    Write("portage", "gentoomuch hooks disable refresh", UNWRITTEN),
    Write("portage", "gentoomuch hooks enable refresh", first="gentoomuch hooks disable refresh"),
    Write("out", "gentoomuch --config OUT/etc init"),
    Write("out", "gentoomuch demo OUT/demo"),
    Write("out", "gentoomuch root export router --output OUT/root.tar"),
    Write("out", "gentoomuch root export router --format oci --output OUT/root.tar"),
    Write("out", "gentoomuch root export router --format squashfs --output OUT/root.squashfs"),
    Write("out", "gentoomuch binhost publish OUT/published", first=f"{_PUBLISH} && {_BUILD}"),
    Write("out", "gentoomuch binhost rollback OUT/published", first=f"{_PUBLISH} && {_BUILD} && {_PUBLISH}"),
    Write("out", "gentoomuch binhost key --export OUT/key.asc"),
    Write("out", "gentoomuch dotgentoo init app-misc/other OUT", first="cp PROJECT/Makefile OUT"),
    Write("out", "gentoomuch binpkg mask --profile full --write OUT/mask"),
    Write("out", "gm-emerge -pq --gm-json=OUT/events app-demo/easy"),
    Write("cache", "gentoomuch patch try mine --isolation none"),
    Write("cache", "gentoomuch patch drop mine --yes", UNWRITTEN),
    Write("cache", "gentoomuch patch check", UNWRITTEN),
    Write("cache", "gentoomuch sync --only-snapshot"),
    Write("cache", "gentoomuch fleet router", REPORTED),
    Write("cache", "gentoomuch binpkg ls", UNWRITTEN),
    Write("cache", "gentoomuch profile lint", REPORTED),
    Write("cache", "gentoomuch profile show full", UNWRITTEN),
    Write("cache", "gentoomuch doctor", REPORTED),
    Write("cache", "gentoomuch hooks refresh full", UNWRITTEN),
    Write("cache", "gentoomuch unmask ls", UNWRITTEN),
    Write("cache", "gentoomuch verify FROZEN", UNWRITTEN),
    Write("cache", "gentoomuch root export router --output OUT/root.tar", UNWRITTEN),
    Write("pkgdir", "gentoomuch binhost check --fix", REPORTED, again=1),  # it reports an unsigned package
)
"""Commands that the ordinary user's test leaves out, as they write by the same functions."""
_CLIENT = "gentoomuch binhost client URL --fingerprint KEY --yes"
_STAGE3 = "gentoomuch bootstrap boot --stage3 STAGE --key SIGNER --fingerprint SIGNED"
_UPDATE = "gentoomuch update router --no-sync"
OF_ROOT = (
    Write("state", _CLIENT),
    Write("config", _CLIENT, first="gentoomuch binhost client OLD --remove"),
    Write("portage", f"{_CLIENT} --system"),
    Write("config", "gentoomuch binhost client URL --remove", UNWRITTEN, first=_CLIENT),
    Write("portage", "gentoomuch binhost client URL --remove", UNWRITTEN, first=f"{_CLIENT} --system"),
    Write("state", "gentoomuch unmask adopt OUT/package.accept_keywords --take --profile new"),
    Write("state", "gentoomuch profile update moved --yes"),
    Write("config", "gentoomuch profile update moved --yes"),
    Write("state", "gentoomuch profile set --unset", UNWRITTEN),
    Write("config", "gentoomuch patch save mine --series"),
    Write("config", "gentoomuch patch use mine --profile full --remove"),
    Write("config", "gentoomuch thaw FROZEN --as copy --replace"),
    Write("portage", "gentoomuch sync --init file:///missing --only-snapshot"),
    Write("emaint", "gentoomuch hooks enable emaint"),
    Write("emaint", "gentoomuch hooks disable emaint", UNWRITTEN, first="gentoomuch hooks enable emaint"),
    Write("begun", "gentoomuch bootstrap begun --from-host --set app-demo/easy --isolation none"),
    Write("out", _STAGE3),
    Write("cache", _STAGE3),
    Write("out", "gentoomuch bootstrap boot --oci ARCHIVE"),
    Write("out", "gentoomuch root rm boot --yes", UNWRITTEN, first="gentoomuch bootstrap boot --oci ARCHIVE"),
    Write("root", _UPDATE, {0, 1, 69}),
    Write("state", _UPDATE, UNWRITTEN),
    Write("cache", _UPDATE, UNWRITTEN),
    Write("cache", "gentoomuch binpkg audit app-demo/easy-1.0", REPORTED),
    Write("cache", "gentoomuch profile run router -- true", UNWRITTEN),
    Write("cache", "gentoomuch isa check -march=x86-64 --cpu x86-64", UNWRITTEN),
    Write("cache", "gentoomuch doctor --clean", REPORTED),
)
"""Commands that need more than a user's host has: see ``_use_more``."""
_BUILD_ONE = "gentoomuch build app-demo/easy-1.0 --profile web --isolation KIND"
_IMAGE = "gentoomuch image build web --isolation KIND"
IN_CONTAINERS = (
    pytest.param(Write("pkgdir", _BUILD_ONE), "read-only", id="build in PKGDIR"),
    pytest.param(Write("cache", _IMAGE, first=f"{_IMAGE} --pretend"), "no space", id="image in the cache"),
    pytest.param(Write("tmpdir", _IMAGE), "no space", id="image in PORTAGE_TMPDIR"),
    pytest.param(
        Write("out", f"{_BUILD_ONE} --out OUT/packages"), "no space", id="build elsewhere", marks=pytest.mark.slow
    ),
    pytest.param(
        Write("cache", _BUILD_ONE, first=f"{_BUILD_ONE} --pretend"),
        "no space",
        id="build in the cache",
        marks=pytest.mark.slow,
    ),
)
"""Commands that end after seconds, and how their file system cannot be written."""


class Full(NamedTuple):
    """A file system that cannot be written."""

    mount: str
    """Shell commands that mount it on ``$1``; ``$3`` is the directory of the quotas, ``$4`` its mode."""
    fill: str
    free: str
    code: str = "disk-full"


def _tmpfs(options: str) -> str:
    return f'mount -t tmpfs -o "mode=$4,{options}" none "$1"'


FULL = {
    "no space": Full(_tmpfs("size=64M"), 'head -c 1G /dev/zero >"$1/ballast" 2>/dev/null || true', 'rm "$1/ballast"'),
    "out of inodes": Full(
        _tmpfs("size=256M,nr_inodes=4000"),
        'at=0; while true >"$1/ballast$at"; do at=$((at + 1)); done 2>/dev/null || true',
        'rm "$1"/ballast*',
    ),
    "read-only": Full(_tmpfs("size=64M"), 'mount -o remount,ro "$1"', 'mount -o remount,rw "$1"', "read-only"),
    "quota": Full(
        """
        if test -e "$3/used"; then btrfs subvolume delete "$3/used"; btrfs subvolume sync "$3"; fi >/dev/null
        btrfs subvolume create "$3/used" >/dev/null
        btrfs qgroup limit 64M "$3/used"
        chmod "$4" "$3/used"
        mount --bind "$3/used" "$1"
        """,
        'sync -f "$1"; head -c 1G /dev/zero >"$1/ballast" 2>/dev/null || true',
        'rm "$1/ballast"; sync -f "$1"',
    ),
}
_QUOTAS = """
truncate -s 600M "$1.btrfs"
mkfs.btrfs -q "$1.btrfs"
mkdir -p "$1"
mount -o loop "$1.btrfs" "$1"
btrfs quota enable "$1"
"""
"""btrfs limits root as well; the quotas of other file systems need more of the kernel."""
_MOUNT = """
rm -rf "$2"
mkdir -p "$1"
cp -a "$1" "$2"
{mount}
cp -a "$2/." "$1/"
chown --reference="$2" "$1"
"""
TOP = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    folder = Path(tempfile.mkdtemp(prefix="gm-full-", dir="/var/tmp"))
    folder.chmod(0o755)
    used = usedhost.make(folder)
    unshare = ["unshare", "--mount", "--propagation=private"]
    with usedhost.served(folder / "binhost") as url, forkserver.started(used.host.env(), unshare) as server:
        yield _world(used, server, server, _use_more(used, f"{url}/current"))
    shutil.rmtree(folder, ignore_errors=True)


def _use_more(used: usedhost.Used, url: str) -> dict[str, str | Path]:
    """Prepare the commands that only root runs, and return what their words stand for."""
    host, top = used.host, used.project.parent
    out = top / "out"
    old = json.loads(used.run("gentoomuch", "binhost", "ls", "--json").stdout)
    key = json.loads(used.run("gentoomuch", "binhost", "key", "--json").stdout)
    demo_host.host.write(out / "package.accept_keywords", "=app-demo/fresh-1.0 **\n")
    demo_host.host.write(host.repository / "app-demo/new/new-1.ebuild", usedhost.STUCK)
    demo_host.host.write(host.repository / "profiles/updates/1Q-2026", "move app-demo/old app-demo/new\n")
    files = {"moved/package.use": "app-demo/old shout\n", "moved/sets/mine": "app-demo/old\n"}
    host.profile("moved", f'layers = ["moved"]\nroot = "{top}/begun/moved"\npackages = ["app-demo/old"]\n', files)
    entry = {"atom": "=app-demo/old-1", "kind": "keywords", "value": "**", "required_by": [], "since": "2026-01-01"}
    demo_host.host.write(used.state / "moved/unmask.json", json.dumps([entry | {"reason": ""}]))
    for name, root in (("boot", out / "boot"), ("begun", top / "begun/root")):
        host.profile(name, f'root = "{root}"\n')
    host.profile("web", 'layers = ["small"]\n[image]\nformats = ["tar"]\npackages = ["app-demo/easy"]\n')
    used.run("gentoomuch", "freeze", "full", used.frozen)  # of the changed repository
    stage, archive, signing = top / "stage3.tar", top / "root.oci", stages.signer(top / "signer")
    stage.write_bytes(stages.packed())
    signing.sign(stage)
    used.run("gentoomuch", "root", "export", "router", "--format", "oci", "--output", archive)
    return {
        "URL": url, "OLD": old[0]["url"], "KEY": key["fingerprint"],
        "STAGE": stage, "SIGNER": signing.public, "SIGNED": signing.fingerprint, "ARCHIVE": archive,
        "KIND": next((kind for kind in isolation_kinds.AUTOMATIC if not why_not(kind)), ""),
    }  # fmt: skip


@pytest.fixture(scope="module")
def users_world() -> Iterator[World]:
    """A host of an ordinary user.

    The user is root of the machine in a user namespace: without any capability, but able to read the interpreter and
    this repository whatever their modes are.
    """
    user = next(user for user in pwd.getpwall() if user.pw_uid not in {0, 65534})  # 65534: all who are not mapped
    mapped = (f"--map-user={user.pw_uid}", f"--map-group={user.pw_gid}")
    need_user_namespaces(*mapped)
    folder = Path(tempfile.mkdtemp(prefix="gm-full-", dir="/var/tmp"))
    env = {name: value for name, value in os.environ.items() if not name.startswith("GM_")}
    with forkserver.started(env, ["unshare", "--mount", "--propagation=private"]) as root:
        become = ["nsenter", f"--target={root.process.pid}", "--mount", "--", "unshare", "--user", *mapped]
        make = "import sys; from pathlib import Path; from helpers import usedhost; usedhost.make(Path(sys.argv[1]))"
        env |= {"HOME": str(folder / "home"), "PYTHONPATH": str(TOP / "tests")}
        subprocess.run([*become, sys.executable, "-c", make, folder], cwd=folder, env=env, check=True)
        used = usedhost.Used(demo_host.Host(folder / "host"), folder / "project")
        with forkserver.started(used.host.env(HOME=env["HOME"]), become) as server:
            assert server.run("id", "-u").out.strip() == str(user.pw_uid)
            assert re.search(r"(?m)^CapEff:\t0+$", server.run("cat", "/proc/self/status").out)
            yield _world(used, root, server)
    shutil.rmtree(folder, ignore_errors=True)


def _world(
    used: usedhost.Used,
    root: forkserver.Server,
    server: forkserver.Server,
    words: Mapping[str, str | Path] = MappingProxyType({}),
) -> World:
    prefix, top = used.host.eprefix, used.project.parent
    used.host.profile("new", 'cpu = "x86-64-v2"\nlayers = ["small"]\n')
    out = top / "out"
    out.mkdir(exist_ok=True)
    tops = [used.state, used.cache, prefix / "etc", prefix / "usr/local", out]
    unsigned = server.run("gm-emerge", "-B1q", "--usepkg=n", "--gm-profile=router", "app-demo/easy")
    assert unsigned.status == 0, unsigned
    return World(used, root, server, Snapshot(tops), top / "scratch", words)


@pytest.fixture(scope="module")
def quotas(world: World) -> Path:
    """A file system with quotas."""
    place = world.scratch.with_name("quotas")
    if not shutil.which("mkfs.btrfs"):
        pytest.skip("mkfs.btrfs is missing")
    ended = world.root.run("sh", "-ec", _QUOTAS, "sh", place)
    if ended.status:
        pytest.skip(f"btrfs with quotas cannot be mounted: {ended.err}")
    return place


def _places(world: World) -> dict[str, Path]:
    host, top = world.used.host, world.used.project.parent
    return {
        "state": world.used.state,
        "cache": world.used.cache,
        "config": host.config,
        "portage": host.eprefix / "etc/portage",
        "pkgdir": host.pkgdir,
        "tmpdir": host.eprefix / "var/tmp",
        "root": top / "root",
        "out": top / "out",
        "begun": top / "begun",
        "distdir": host.distdir,
        "emaint": paths.emaint_modules(),
    }


def _words(world: World, words: str) -> list[str]:
    places = _places(world)
    named = {"PROJECT": world.used.project, "FROZEN": world.used.frozen, "ETC": places["portage"], "OUT": places["out"]}
    named |= world.words
    return [re.sub("|".join(named), lambda name: str(named[name[0]]), word) for word in words.split()]


def _of_ours(text: str) -> list[str]:
    """The tracebacks whose last frame is code of ours: those of Portage itself are the same without us."""
    found = []
    for part in text.split("Traceback (most recent call last)")[1:]:
        files = re.findall(r'^ *File "([^"]+)", line', part, re.M)
        found += [part] if files and "/gentoomuch_portage/" in files[-1] else []
    return found


def _check_unchanged(before: dict[str, bytes], after: dict[str, bytes]) -> None:
    """Hold files to what they were; of lists that grow by lines, whole lines may have found room."""
    for name in before.keys() | after.keys():
        old, new = before.get(name, b""), after.get(name, b"")
        if name.endswith((".jsonl", "trusted")):
            assert new.startswith(old), name
            assert new.endswith(b"\n"), name
        else:
            assert new == old, name


def _check_hint(world: World, place: Path, text: str) -> None:
    """Check that the last hint has a command for the file system, and a path that still exists."""
    hint = re.findall(r"hint: .*?((?:df|mount) [^;\n]*)", text)[-1]
    assert world.sh('findmnt -nro TARGET -T "$1"', shlex.split(hint)[-1]).strip() == str(place), text


@contextmanager
def _mounted(world: World, place: Path, full: Full) -> Iterator[None]:
    """Mount a small file system on a directory, with its content."""
    quotas, mode = world.scratch.with_name("quotas"), f"{place.stat().st_mode & 0o7777:o}" if place.exists() else "755"
    world.sh(_MOUNT.format(mount=full.mount), place, world.scratch, quotas, mode)
    try:
        yield
    finally:
        world.sh('umount "$1"', place)
        world.pristine.restore()


def _check(world: World, write: Write, full: Full, statuses: set[int]) -> None:
    """Run a command on a full file system: it is one error with the path, and leaves all as it was."""
    place, words = _places(world)[write.place], _words(world, write.words)
    with _mounted(world, place, full):
        for command in filter(None, write.first.split(" && ")):
            prepared = world.server.run(*_words(world, command))
            assert prepared.status == 0, prepared
        before = world.content(place)
        world.sh(full.fill, place)
        ended = world.server.run(*words)
        codes = OURS.findall(ended.err)
        after = world.content(place)

        assert not _of_ours(ended.out + ended.err), ended.out + ended.err
        assert ended.status in statuses, (ended.status, ended.err)
        if ended.status >= 64:
            assert len(codes) == 1, ended.err
            assert codes[0][1] != "system", ended.err
            assert "hint: " in ended.err
        if ended.status == 69:
            assert codes[0][1] == full.code, ended.err
            assert str(place) in codes[0][0], ended.err
            _check_hint(world, place, ended.err)
        if write.place in {"state", "config", "portage", "pkgdir", "out"} and ended.status:
            _check_unchanged(before, after)
        if ended.status >= 64 or write.statuses not in (UNWRITTEN, REPORTED):
            world.sh(full.free, place)
            again = world.server.run(*words)
            assert again.status == write.again, again.err


def _cases() -> Iterator[object]:
    """Each command on a full disk, and on one of the others in turn; on all with GM_TEST_ROUNDS."""
    others = sorted(FULL.keys() - {"no space"})
    for number, write in enumerate((*WRITES, *MORE, *OF_ROOT)):
        some = others if ROUNDS > 1 else [others[number % len(others)]]
        if write not in WRITES:
            some = [how for how in some if how != "quota"]  # it is refused to the same functions
        is_done_without_room = write in OF_ROOT and write.statuses in (UNWRITTEN, REPORTED)
        for how in ["read-only"] if is_done_without_room else ["no space", *some]:
            yield pytest.param(write, how, id=f"{how}: {write.place} {write.words}")


@pytest.mark.parametrize(("write", "how"), list(_cases()))
def test_a_write_that_has_no_room_is_one_error_with_the_path_and_leaves_all_as_it_was(
    world: World, write: Write, how: str, request: pytest.FixtureRequest
):
    if how == "quota":
        request.getfixturevalue("quotas")
    _check(world, write, FULL[how], write.statuses)


@pytest.mark.parametrize(("write", "how"), IN_CONTAINERS)
def test_a_build_in_a_container_without_room_for_its_result_is_one_error(world: World, write: Write, how: str):
    if not world.words["KIND"]:
        pytest.skip("no container type works here")
    _check(world, write, FULL[how], write.statuses)


@pytest.mark.parametrize("how", ["no space", "read-only"])
@pytest.mark.parametrize("write", WRITES, ids=lambda write: f"{write.place} {write.words}")
def test_a_write_of_an_ordinary_user_that_has_no_room_is_one_error_as_well(users_world: World, write: Write, how: str):
    """S13: a state or cache that is read-only is one that this user cannot write; their own, empty one is used."""
    own = {0, 64, 78} if how == "read-only" and write.place in {"state", "cache"} else set()
    _check(users_world, write, FULL[how], write.statuses | own)


def test_the_directory_whose_quota_is_used_up_is_found_if_an_error_names_none(world: World, quotas: Path):
    """S13: its file system has room, so statvfs does not show it."""
    place, show = _places(world)["out"], "import sys, gentoomuch_portage.errors as e; print(e.full_place(sys.argv[1:]))"
    with _mounted(world, place, FULL["quota"]):
        world.sh(FULL["quota"].fill, place)
        full = world.root.run(sys.executable, "-c", show, world.used.state, place)
        world.sh(FULL["quota"].free, place)
        free = world.root.run(sys.executable, "-c", show, world.used.state, place)

    assert (full.out.strip(), free.out.strip()) == (str(place), ""), full.err + free.err


_WITHOUT_TEMPORARY_FILES = """
mount -t tmpfs -o size=1M none /tmp
mkdir /tmp/world
mount --rbind "$1" /tmp/world
mount -t tmpfs -o size=1M none /var/tmp
mkdir "$1"
mount --move /tmp/world "$1"
for place in /tmp /var/tmp; do head -c 2M /dev/zero >$place/ballast 2>/dev/null || true; done
cd /var/tmp
shift
exec "$@"
"""


@pytest.mark.parametrize(
    "words",
    [
        "gentoomuch patch check",
        "gentoomuch verify FROZEN",
        "gentoomuch freeze full OUT/frozen",
        "gm-emerge -pq --gm-profile=new app-demo/easy",
        "gm-emerge -pq PROJECT",
        "gm-emerge -B1q --usepkg=n --gm-profile=router app-demo/easy",
    ],
)
def test_full_directories_of_temporary_files_are_one_error_that_names_one(world: World, words: str):
    """S13: Python's FileNotFoundError names no file; it was ``[system]`` without a hint."""
    program, *rest = _words(world, words)
    top = world.scratch.parent
    before = world.content(top / "out")
    argv = ["unshare", "--mount", "--propagation=private", "sh", "-ec", _WITHOUT_TEMPORARY_FILES, "sh", top]
    try:
        ended = world.root.run(*argv, usedhost.BIN / program, *rest)
        codes = OURS.findall(ended.err)

        assert not _of_ours(ended.out + ended.err), ended.out + ended.err
        assert [(code, text.split(":")[0]) for text, code in codes] == [("disk-full", "cannot write /tmp")], ended
        assert "hint: free space there: df -h /tmp; TMPDIR=DIR names another directory" in ended.err
        assert world.content(top / "out") == before
    finally:
        world.pristine.restore()


@pytest.mark.parametrize("room", [0, 200, 4000])
@pytest.mark.parametrize("kind", isolation_kinds.AUTOMATIC)
def test_a_run_in_a_container_on_a_full_cache_ends_with_one_error_or_that_of_emerge(world: World, kind: str, room: int):
    """S13; ``room``: KiB that are left."""
    if reason := why_not(kind):
        pytest.skip(reason)
    place = world.used.cache
    words = ("gm-emerge", "-B1q", f"--gm-isolation={kind}", "--usepkg=n", "app-demo/easy")
    with _mounted(world, place, FULL["no space"]):
        world.sh(FULL["no space"].fill + '; truncate -s "-$2K" "$1/ballast"', place, str(room))
        ended = world.server.run(*words)
        codes = OURS.findall(ended.err)
        left = world.sh('find "$1" -path "*/containers/run-*"', place)

        assert not _of_ours(ended.out + ended.err), ended.out + ended.err
        assert ended.status in {0, 1, 69}, (ended.status, ended.err)
        if ended.status >= 64:
            errors = [(text, code) for text, code in codes if code != "binhost-unavailable"]  # that one is a warning
            assert [code for _, code in errors] == ["disk-full"], ended.err
            assert str(place) in errors[0][0], ended.err
            assert "hint: " in ended.err
        assert not left
        world.sh(FULL["no space"].free, place)
        again = world.server.run(*words)
        assert again.status == 0, again.err
