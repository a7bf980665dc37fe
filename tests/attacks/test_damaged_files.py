# SPDX-License-Identifier: GPL-2.0-or-later
"""S11: every file below state and cache is damaged in every way; the next commands end well, or with one error of ours.

Seen failing on dfeccc0: tracebacks for a key file that is not ASCII and a list of --resume that is ``[]``; every run
with a profile failed for a damaged keys.asc, and a record that is a directory had no way out. The walk over all files
found, on b5890ae: damaged objects of git without a hint, a ledger that is a directory, a note of sources that is long.
"""

import itertools
import os
import random
import re
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

import pytest
from helpers import damage, forkserver, usedhost
from helpers.containers import why_not
from helpers.damage import DAMAGES, OF_DIRECTORIES, Snapshot

from gentoomuch_portage.config import isolation_kinds

STATUSES = {0, 1, 64, 69, 70, 75, 77, 78}
"""1 is emerge's, and that of commands which find something: docs/reference.md."""
OF_PROGRAMS = frozenset({"gnupg", ".git"})
LINK = "link elsewhere"
GONE = frozenset({"missing", "emptied", "empty"})
BUILDING = frozenset({
    ("patch", "try"), ("image", "build"), ("build", "app-demo/above-1.0"), ("-1q", "app-demo/easy")
})  # fmt: skip
BUILD = 8
"""As long as so many other commands takes one that builds; measured seconds would choose others on each machine."""
REPORTING = frozenset({"doctor", "fleet", "patch", "verify"})
"""Commands with status 1 for what they report: a problem, a profile that cannot be read, a build that failed."""
OURS = re.compile(r"^gentoomuch: (?!.*; hint: ).*\[([a-z0-9-]+)\]$", re.M)
"""The code of an error; a warning has its hint in the same line."""
COMMANDS = [
    line.split()
    for line in """
    gm-emerge -pq app-demo/easy
    gm-emerge -pq --gm-profile=router app-demo/easy
    gm-emerge -pq --resume
    gm-emerge -pq PROJECT
    gentoomuch doctor
    gentoomuch profile ls
    gentoomuch profile show full
    gentoomuch history
    gentoomuch binhost ls
    gentoomuch binhost key
    gentoomuch fleet full
    gentoomuch unmask ls
    gentoomuch root ls
    gentoomuch root enter router --isolation KIND -- true
    gentoomuch freshroot full --isolation KIND --keep old -- true
    gentoomuch verify FROZEN
    gentoomuch patch ls
    gentoomuch patch try mine --isolation none
    gentoomuch patch save mine
    gentoomuch patch check
    gentoomuch hooks ls
    gentoomuch hooks enable record
    gentoomuch why app-demo/easy-1.0
    gentoomuch binpkg ls
    gentoomuch plugins
    gentoomuch profile lint
    gentoomuch profile set full
    gentoomuch unmask prune -p
    gentoomuch unmask drop app-demo/fresh
    gentoomuch thaw FROZEN --as copy --replace
    gentoomuch dotgentoo trust PROJECT
    gentoomuch status
    gentoomuch image ls
    gentoomuch image build web --isolation KIND
    gentoomuch sync --only-snapshot
    gentoomuch build app-demo/above-1.0 --profile router --isolation KIND --with BINPKG
    gm-emerge -1q app-demo/easy
    """.strip().splitlines()
]


class World(NamedTuple):
    """A used host, its pristine state, and a server that runs programs on it."""

    used: usedhost.Used
    pristine: Snapshot
    server: forkserver.Server
    touched: dict[tuple[str, ...], "Touched"]
    """Command -> what it did on the host as it was."""
    elsewhere: Path


class Touched(NamedTuple):
    """What a command did."""

    opened: frozenset[str]
    """The paths that it tried to open."""
    status: int


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    folder = Path(tempfile.mkdtemp(prefix="gm-damaged-", dir="/var/tmp"))
    folder.chmod(0o755)  # Portage verifies signatures as nobody; pytest's own directories are closed to others
    works = [kind for kind in isolation_kinds.AUTOMATIC if not why_not(kind)]
    used = usedhost.make(folder, isolation=works[0] if works else "")
    elsewhere = folder / "elsewhere/file"
    elsewhere.parent.mkdir()
    elsewhere.write_text("somebody else's\n")
    drop = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if not os.geteuid() else []
    with forkserver.started(used.host.env(), drop) as server:
        prefix = used.host.eprefix  # commands change more than what is damaged
        tops = [used.state, used.cache, prefix / "etc", prefix / "usr/local", used.host.pkgdir, elsewhere.parent]
        aside = folder / "aside"
        aside.mkdir()
        pristine = Snapshot(tops, aside=aside)
        touched = {}
        for words in _commands(used, works[0] if works else ""):
            ended = server.run(*words)
            assert ended.status in {0, 1}, (words, ended)
            followed = map(os.path.realpath, ended.opened)  # images are read through a link
            touched[words] = Touched(frozenset({*ended.opened, *followed}), ended.status)
            pristine.restore()
        yield World(used, pristine, server, touched, elsewhere)
    shutil.rmtree(folder, ignore_errors=True)


def _constant(world: World, path: Path) -> str:
    """What is the same part of a file's name on every host and in every run: without digests and the host's path."""
    folder = str(world.used.project.parent)
    name = str(path).replace(folder, "").replace(folder.strip("/").replace("/", "-"), "")
    return re.sub(r"[0-9A-Fa-f]{14,}|(?<=objects/)\w\w", "ID", name)


def _choose(world: World, path: Path, turn: int, damages: Sequence[str]) -> str:
    """The damage of a file or directory in a turn; the same on every machine, whatever else is there."""
    return damages[(turn + zlib.crc32(_constant(world, path).encode())) % len(damages)]


def _commands(used: usedhost.Used, isolation: str) -> list[tuple[str, ...]]:
    named = {
        "PROJECT": str(used.project), "FROZEN": str(used.frozen), "BINPKG": str(used.binpkg), "KIND": isolation
    }  # fmt: skip
    usable = [words for words in COMMANDS if isolation or "KIND" not in words]
    return [tuple(named.get(word, word) for word in words) for words in usable]


def _faults(world: World, words: tuple[str, ...], ended: forkserver.Ended) -> list[str]:
    """What is wrong with the way in which a command ended."""
    found = []
    if "Traceback (most recent call last)" in ended.out + ended.err:
        found.append("a traceback")
    if ended.status not in STATUSES:
        found.append(f"status {ended.status}")
    codes = OURS.findall(ended.err)
    if ended.status >= 64 and len(codes) != (0 if words[1] == "status" else 1):  # it names those of each profile
        found.append(f"{len(codes)} errors of ours")
    if {"plugin-failed", "system"} & set(codes):
        found.append(f"an error that names no cause: {codes}")
    if ended.status >= 64 and "hint: " not in ended.err:
        found.append("no way out")
    if not world.elsewhere.is_file() or world.elsewhere.read_text() != "somebody else's\n":
        world.elsewhere.parent.mkdir(exist_ok=True)
        world.elsewhere.write_text("somebody else's\n")
        found.append("a file elsewhere was written or removed through a link")
    return [f"{' '.join(words)}: {fault}: {ended.err[-600:]}" for fault in found]


def _is_kept(world: World, path: Path, name: str) -> bool:
    """Whether a file or directory is not made again: state, work trees of patches, and what is in place of a lock.

    So is the cache itself, which may be on a disk that is not mounted, and a directory that somebody has closed.
    """
    is_lock = path.suffix == ".lock" or path.name == "lock" or path == world.used.cache / "images/.web"
    if path == world.used.cache or is_lock or (path.is_dir() and name == "unreadable"):
        return True
    return any(path.is_relative_to(top) for top in (world.used.state, world.used.cache / "patching"))


def _damage(world: World, path: Path, name: str) -> None:
    """Damage a file or directory; its garbage is always the same."""
    chance = random.Random(f"{_constant(world, path)} {name}")
    if path.is_dir():
        chosen = damage.linked(world.elsewhere.parent) if name == LINK else OF_DIRECTORIES[name]
        world.pristine.damage_directory(path, chosen, chance)
    else:
        chosen = damage.linked(world.elsewhere) if name == LINK else DAMAGES[name]
        chosen(path, chance)


def _is_read(world: World, words: tuple[str, ...], path: Path) -> bool:
    """Whether a command opens a file, or something below a directory; or starts git or gpg, which do."""
    opened = world.touched[words].opened
    if path.is_dir():
        return str(path) in opened or any(name.startswith(f"{path}/") for name in opened)
    programs = {
        "gnupg": "binhost/key", "trust": "binhost/key", "roots": "roots", "snapshots": "snapshots/",
        "images": "/images/", "warm": "/warm",
    }  # fmt: skip
    marks = {programs[part] for part in path.parts if part in programs}
    starts_git = ".git" in path.parts and words[1:3] in {("patch", "save"), ("patch", "try")}
    return str(path) in opened or starts_git or any(mark in name for mark in marks for name in opened)


def _program_folder(path: Path) -> Path | None:
    """The directory of git or gpg that a file is in, whose errors name that at most."""
    return next((above for above in path.parents if above.name in OF_PROGRAMS or above.parent.name == "trust"), None)


def _is_blamed(world: World, path: Path, err: str) -> bool:
    """Whether an error names a damaged file or directory, one below it, or the directory of a program that it is in.

    A lost list of trusted directories fails safe: the error names the option that trusts again.
    """
    if path in {world.used.state, world.used.state / "trusted"} and "untrusted" in OURS.findall(err):
        return "--gm-trust=" in err
    trees = world.used.cache / "patching"
    if path.is_relative_to(trees):
        tree = Path(*path.parts[: len(trees.parts) + 3])
        return _is_named(tree, err)
    return any(_is_named(name, err) for name in {path, _program_folder(path) or path})


def _is_named(path: Path, err: str) -> bool:
    return re.search(rf"{re.escape(str(path))}(?![\w.-])", err) is not None


def _peel(world: World, words: tuple[str, ...], damaged: Mapping[Path, str]) -> list[str]:
    """Run a command while files are damaged; restore the one that an error names, and run it again until none does.

    Returns:
        What went wrong.
    """
    left, faults = dict(damaged), []
    while True:
        for path, name in left.items():
            _damage(world, path, name)
        ended = world.server.run(*words)
        wrong = _faults(world, words, ended)
        world.pristine.restore()
        blamed = [path for path in left if _is_blamed(world, path, ended.err)]
        removed = ended.status == 64 and not GONE.isdisjoint(left.values())  # as if it had never been made
        if ended.status >= 64 and not blamed and not removed:
            wrong.append(f"{' '.join(words)}: no damaged file is named: {ended.err[-600:]}")
        if ended.status >= 64 and blamed and not any(_is_kept(world, path, left[path]) for path in blamed):
            wrong.append(f"{' '.join(words)}: it is not made again: {ended.err[-600:]}")
        if ended.status == 1 != world.touched[words].status and words[1] not in REPORTING:
            wrong.append(f"{' '.join(words)}: status 1 without an error of ours: {ended.err[-600:]}")
        shown = {path: left[path] for path in blamed or left}
        faults += [f"{_listed(shown)}: {fault}" for fault in wrong]
        if ended.status < 64 or not blamed:
            return faults
        del left[blamed[0]]


def _listed(damaged: Mapping[Path, str]) -> str:
    return ", ".join(f"{path} ({name})" for path, name in [*damaged.items()][:5])


def _columns(world: World) -> list[list[Path]]:
    """All files below state and cache, in columns: of a directory of git or gpg, each column has one file.

    So it is for an image and a snapshot: the file that describes the others hides their damages.
    """
    groups: dict[Path, list[Path]] = {}
    cache, shots = world.used.cache, world.used.cache / "snapshots"
    for path in world.pristine.files():
        if any(path.is_relative_to(top) for top in (world.used.state, world.used.cache)):
            described = path.parent if path.is_relative_to(cache / "images") or path.is_relative_to(shots) else None
            groups.setdefault(_program_folder(path) or described or path, []).append(path)
    columns = itertools.zip_longest(*groups.values())
    return [[path for path in column if path is not None] for column in columns]


def _covering(world: World, files: Iterable[Path]) -> list[tuple[str, ...]]:
    """Commands that read all files which any command reads: those that read most of them, and build nothing."""
    left = {*files}
    reads = {words: {path for path in left if _is_read(world, words, path)} for words in world.touched}
    chosen = []
    while left:
        best = max(reads, key=lambda words: len(reads[words] & left) / (BUILD if words[1:3] in BUILDING else 1))
        if not reads[best] & left:
            break
        chosen.append(best)
        left -= reads[best]
    return chosen


def _levels(world: World) -> list[list[Path]]:
    """All directories below state and cache, these two included, by depth: none is within another one of its level."""
    levels: dict[int, list[Path]] = {}
    for path in world.pristine.directories():
        for top in (world.used.state, world.used.cache):
            if path.is_relative_to(top):
                levels.setdefault(len(path.relative_to(top).parts), []).append(path)
    return [levels[depth] for depth in sorted(levels)]


def _turns(damages: Sequence[str], quick: set[int]) -> list[object]:
    """All turns; those that are not ``quick`` are run with ``-m 'slow or not slow'``."""
    return [pytest.param(turn, marks=() if turn in quick else pytest.mark.slow) for turn in range(len(damages))]


LEFT = (
    "images/.web-*/image.json",
    "images/.web-*/layer.tar.gz",
    "snapshots/gentoo/current",
    "snapshots/gm-demo/*.squashfs",
    "containers/warm/*/CONTENTS",
    "containers/composed/*",
    "full/unmask.json",
    "full/history.jsonl",
    "router/history.jsonl",
    "copy/thawed.json",
)
"""Some of the files of images, synced repositories, builds, roots, unmasks, runs and frozen profiles."""


@pytest.mark.parametrize("name", LEFT)
def test_the_walk_damages_what_each_capability_leaves(world: World, name: str):
    if not any(words[1:3] == ("image", "build") for words in world.touched):
        pytest.skip("no container type works here")
    below = [f"{top}/{name}" for top in (world.used.state, world.used.cache)]
    files = [file for file in world.pristine.files() if any(fnmatch(str(file), pattern) for pattern in below)]
    assert files
    if name != "containers/composed/*":  # only containers read them
        assert all(any(_is_read(world, words, file) for words in world.touched) for file in files)


EVERY = (*DAMAGES, LINK)
EVERY_DIRECTORY = (*OF_DIRECTORIES, LINK)


@pytest.mark.parametrize("turn", _turns(EVERY, {3, 13}))
def test_no_damaged_file_of_state_or_cache_makes_a_traceback_or_two_errors(world: World, turn: int):
    """S11: each turn damages all files, each in another way; in all turns, each file has each damage."""
    faults = []
    for number, files in enumerate(_columns(world)):
        damaged = {path: _choose(world, path, turn, EVERY) for path in files}
        more = [*world.touched][turn :: len(EVERY)] if number == 0 else []  # in all turns, each command once
        for words in {words: None for words in (*_covering(world, files), *more)}:
            faults += _peel(world, words, damaged)

    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("turn", _turns(EVERY_DIRECTORY, set()))
def test_no_damaged_directory_of_state_or_cache_makes_a_traceback_or_two_errors(world: World, turn: int):
    """S11: as for files; the directories of one depth at a time."""
    faults = []
    for folders in _levels(world):
        damaged = {path: _choose(world, path, turn, EVERY_DIRECTORY) for path in folders}
        for words in _covering(world, folders):
            faults += _peel(world, words, damaged)

    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("name", ["garbage", "empty", "directory"])
def test_a_signer_that_fails_is_one_error_and_leaves_nothing_half(world: World, name: str):
    """S11, S13: of each command that signs, with each file of the signing key damaged."""
    out = world.elsewhere.with_name("out")
    faults = []
    for words in (f"freeze full {out}", f"binhost publish {out}", "binhost sign", "binhost key --rotate"):
        for path in sorted((world.used.state / "binhost/gnupg").rglob("*")):
            if path.is_file():
                command = ("gentoomuch", *words.split())
                before = _packages(world)
                _damage(world, path, name)
                ended = world.server.run(*command)
                faults += [f"{path} ({name}): {fault}" for fault in _faults(world, command, ended)]
                shown = out.is_file() or (out / "current").exists()
                if ended.status and (shown or _packages(world) != before):
                    faults.append(f"{path} ({name}): {words}: half of the result is left")
                world.pristine.restore()

    assert not faults, "\n".join(faults)


def _packages(world: World) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(world.used.host.pkgdir.rglob("*.gpkg.tar"))}


def test_a_damaged_key_does_not_stop_runs_without_its_binhost(world: World):
    keys = world.used.host.config / "keys"
    key = next(keys.iterdir())
    content = key.read_bytes()
    try:
        for broken in (b"", b"garbage\xff", None):
            key.unlink(missing_ok=True)
            if broken is not None:
                key.write_bytes(broken)
            ended = world.server.run("gm-emerge", "-pq", "--gm-profile=router", "app-demo/easy")
            needs = world.server.run("gm-emerge", "-pgq", "--gm-profile=router", "app-demo/easy")
            assert ended.status == 0, ended.err
            assert str(key) in ended.err
            assert needs.status in {70, 78}, needs.err
            assert str(key) in needs.err
            world.pristine.restore()
    finally:
        key.write_bytes(content)


@pytest.mark.parametrize("name", ["gone", "../../etc", "profile", "two\nlines"])
def test_an_error_for_the_active_profile_names_the_file_that_sets_it(world: World, name: str):
    """F17."""
    file = world.used.state / "profile"
    file.write_text(f"{name}\n")
    try:
        for words in (("gm-emerge", "-pq", "app-demo/easy"), ("gentoomuch", "unmask", "ls")):
            ended = world.server.run(*words)
            assert ended.status in {64, 78}, ended.err
            assert f"gentoomuch: {file}: " in ended.err
            assert "gentoomuch profile set --unset" in ended.err
        unset = world.server.run("gentoomuch", "profile", "set", "--unset")
        assert unset.status == 0, unset.err
    finally:
        world.pristine.restore()


def test_the_record_of_a_damaged_thaw_is_one_error(world: World):
    (world.used.state / "thaw.json").write_text("[]")
    try:
        ended = world.server.run("gm-emerge", "-pq", "app-demo/easy")
        cleaned = world.server.run("gentoomuch", "doctor", "--clean")
        assert ended.status in {0, 78}, ended.err
        assert cleaned.status in STATUSES
        assert "Traceback" not in ended.err + cleaned.err
    finally:
        world.pristine.restore()


def test_keys_of_this_machine_are_exported_again(world: World):
    folder = world.used.state / "binhost"
    before = {name: (folder / name).read_text() for name in ("key", "name", "key.asc", "keys.asc")}
    try:
        for name in before:
            (folder / name).write_bytes(b"\xff damaged")
        ended = world.server.run("gentoomuch", "binhost", "key")
        served = world.server.run("gm-emerge", "-pq", "app-demo/easy")
        assert (ended.status, served.status) == (0, 0), ended.err + served.err
        assert (folder / "key").read_text() == before["key"]
        for name in ("key.asc", "keys.asc"):
            shown = [_fingerprints(text) for text in ((folder / name).read_text(), before[name])]
            assert shown[0] == shown[1]
    finally:
        world.pristine.restore()


def _fingerprints(armored: str) -> list[str]:
    argv = ["gpg", "--batch", "--no-keyring", "--with-colons", "--show-keys"]
    out = subprocess.run(argv, input=armored, capture_output=True, encoding="utf-8", check=True).stdout
    return [line.split(":")[9] for line in out.splitlines() if line.startswith("fpr")]
