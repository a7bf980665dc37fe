# SPDX-License-Identifier: GPL-2.0-or-later
"""Build the work trees of a patch set on the host or in a container, incrementally where that is safe."""

import errno
import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple

from gentoomuch_portage import fs, stored
from gentoomuch_portage.config.isolation_kinds import AUTO, AUTOMATIC, VM
from gentoomuch_portage.config.profile import size
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.configroot.cache import build_configroots
from gentoomuch_portage.containers import detect, distfiles, lifecycle, root_lock
from gentoomuch_portage.containers.host_overlay import host_view
from gentoomuch_portage.containers.host_paths import Places
from gentoomuch_portage.containers.spec import Bind, ContainerSpec, Tmpfs
from gentoomuch_portage.errors import missing_container
from gentoomuch_portage.git import run_git, write_tree
from gentoomuch_portage.patches import save
from gentoomuch_portage.patches.prepare import unknown_package
from gentoomuch_portage.patches.worktree import PatchTree
from gentoomuch_portage.plan.plan import Patches, Plan
from gentoomuch_portage.portage_adapter import atoms
from gentoomuch_portage.portage_adapter import ebuilds as portage_ebuilds
from gentoomuch_portage.portage_adapter.ebuilds import Ebuild, Ebuilds
from gentoomuch_portage.process import Ran, run


def choose_container(plan: Plan, settings: Settings) -> str:
    """Return the kind of container for a plan; ``none`` for the host.

    Raises:
        MachineError[missing-container]: the plan names a container type that does not work here.
    """
    if plan.isolation == VM.name:
        raise missing_container(plan.isolation, (*AUTOMATIC, AUTO), word="--isolation")
    return detect.resolve_or_host(plan.isolation, settings.cache)


def run_build(
    plan: Plan,
    settings: Settings,
    inside: str,
    place: Path,
    argv: Sequence[str],
    env: Mapping[str, str],
    *,
    visible: Sequence[Path] = (),
    fetching: bool = False,
) -> Ran:
    """Run a program of Portage.

    Args:
        inside: a kind of container, or ``none``.
        place: ``place/tmp`` is kept for the next build. It is the PORTAGE_TMPDIR of a container, which does not see
            ``place`` itself. Other users cannot enter ``place``, and so cannot run files that a build left there.
        env: additional variables.
        visible: additional paths of the host for a container, read-only.
        fetching: give a container the network, and copy its downloads to DISTDIR.

    Raises:
        Busy: the root is being removed or exported.
        MissingProgram: it, or the program of the container, is not on PATH.
    """
    built = fs.ensure(place / _TMP)
    if inside == "none":
        env = {**os.environ, **env, "PORTAGE_TMPDIR": str(built)}
        return run(argv, env=env, keep=True, accept=(), atom="sys-apps/portage")
    place.chmod(0o700)
    built.chmod(0o1777)  # as /var/tmp
    places = Places.load(plan, settings)
    places = places._replace(distdir=Path(env.get("DISTDIR") or places.distdir))
    for path in (places.pkgdir, places.distdir):
        fs.ensure(path)
    with root_lock.shared(Path(plan.root)), lifecycle.run_directory(settings.cache) as folder:
        spec = _container(plan, places, folder, built, argv, env, fetching=fetching)
        spec = spec._replace(mounts=(*spec.mounts, *(Bind(str(path), str(path)) for path in visible)))
        try:
            ran = lifecycle.start(inside, spec, keep=True)
            if fetching:
                distfiles.take_over(folder, places.distdir)
            return ran
        finally:
            lifecycle.disarm(built)


def _container(
    plan: Plan,
    places: Places,
    folder: Path,
    built: Path,
    argv: Sequence[str],
    env: Mapping[str, str],
    *,
    fetching: bool,
) -> ContainerSpec:
    """Return a copy-on-write view of this host with ``built`` as the build directory."""
    root = Path(plan.root) if Path(plan.root).is_dir() else Path("/")
    made = host_view(places, folder, root=root, fetching=fetching, staged=True, uppers=folder / "upper")
    tmpdir = Bind(str(built), made.scratch, writable=True)
    mounts = tuple(tmpdir if mount.target == made.scratch else mount for mount in made.mounts)
    if str(root) != plan.root:  # Portage creates a missing ROOT
        mounts = (*mounts, Tmpfs(plan.root))
    made = made._replace(mounts=mounts, scratch_source="", processes=int(plan.processes), disk=size(plan.disk))
    features = f"{env.get('FEATURES', '')} -pid-sandbox".strip()  # most isolation kinds allow no second /proc
    env = {**made.env, **env, "FEATURES": features, "PORTAGE_TMPDIR": made.scratch}
    return made._replace(argv=tuple(argv), env=env)


_TMP = "tmp"
"""Directory for PORTAGE_TMPDIR below that of a set. Notes and logs are beside it, where no build writes."""
_INPUTS = re.compile(
    r"(^|/)(configure|GNUmakefile|[Mm]akefile|SConstruct|wscript|CMakeLists\.txt|meson\.build|meson_options\.txt|"
    r"meson\.options|Cargo\.(toml|lock)|setup\.(py|cfg)|pyproject\.toml)$|\.(ac|am|in|m4|cmake|mk|pro|sh)$"
)
"""Files that src_prepare and src_configure read: a change requires these phases again."""
_ERROR = re.compile(r"\berror\b|\bError \d|undefined reference|FAILED", re.IGNORECASE)
Start = Callable[[Sequence[str], Mapping[str, str]], Ran]
"""Runs a program with an environment, on the host or in the container of the plan."""


@dataclass(frozen=True, slots=True)
class BuildResult:
    """The result of the build of one package."""

    bench: PatchTree
    status: int
    """0: built; 1: failed; 128 + N: ended by signal N; 70: the container could not be created."""
    again: bool
    """Whether the previous build directory was used."""
    log: Path
    folder: Path
    """Portage's build directory of the package."""
    tail: str
    """The relevant part of the log; empty after success."""


def build_worktrees(
    settings: Settings, plan: Plan, benches: list[PatchTree], ebuilds: Ebuilds
) -> Iterator[BuildResult]:
    """Build the work trees of a set in order, up to the first that fails.

    Args:
        plan: of the profile.

    Raises:
        MachineError[missing-container]: the plan names a container type that does not work here.
        GmError: a work tree cannot be saved as a patch.
    """
    inside = choose_container(plan, settings)
    name = benches[0].set
    above = fs.ensure(settings.cache / "trying" / name, cache=settings.cache)
    fs.ensure(above / "patches" / name, cache=settings.cache)
    _stage(settings, benches, above / "patches" / name)
    with _with_trial(plan, Patches(name, above / "patches" / name), settings) as ready:
        env = {"ROOT": ready.root, "SYSROOT": "/", **ready.env, "PORTAGE_CONFIGROOT": ready.configroot}
        place = above / ("host" if inside == "none" else "container") / ready.profile
        start = partial(run_build, ready, settings, inside, place)
        for bench in benches:
            _check_place(place / _TMP / "portage" / bench.cpv, settings.cache, inside)
            result = _build_one(bench, _ebuild(bench, ebuilds), start, env, place)
            yield result
            if result.status:
                return


def _check_place(folder: Path, cache: Path, inside: str) -> None:
    """Check that Portage can create a build directory: it would end by SIGTERM, with a traceback.

    Raises:
        NoPrivilege, ReadOnly: a directory above it is closed to this user.
    """
    fs.remove_obstacle(folder, cache)
    if inside == "none":  # in a container, other users of ours own them
        fs.check_writable(folder.parent)


def _stage(settings: Settings, benches: list[PatchTree], folder: Path) -> None:
    """Write the set with the patches of its work trees."""
    save.make_empty(folder)
    plain = settings.config / "patches" / benches[0].set
    if plain.is_dir():
        shutil.copytree(plain, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*"))
    for bench in benches:
        save.store(bench, save.make_patches(bench), folder)


@contextmanager
def _with_trial(plan: Plan, trial: Patches, settings: Settings) -> Iterator[Plan]:
    """Provide the plan with a trial of a set: in its place if the profile has the set, otherwise after all others."""
    parts = tuple(
        (plugin, trial if isinstance(part, Patches) and part.name == trial.name else part)
        for plugin, part in plan.parts
    )
    if not any(part == trial for _, part in parts):
        parts = (*parts, ("patches", trial))
    ready, locks = build_configroots(replace(plan, parts=parts), settings)
    try:
        yield ready
    finally:
        for lock in locks:
            os.close(lock)


def _ebuild(bench: PatchTree, ebuilds: Ebuilds) -> Ebuild:
    match = next((ebuild for ebuild in ebuilds.versions(_cp(bench)) if ebuild.cpv == bench.cpv), None)
    if match is None:
        raise unknown_package(bench.cpv)
    return match


def _cp(bench: PatchTree) -> str:
    return atoms.package_of(bench.cpv)


def _build_one(bench: PatchTree, ebuild: Ebuild, start: Start, env: Mapping[str, str], place: Path) -> BuildResult:
    """Build one package, in the previous build directory if that is safe."""
    fs.ensure(place)
    note, log = place / f"{ebuild.pf}.json", place / f"{ebuild.pf}.log"
    tree, key = write_tree(bench.tree), _key(ebuild, env)
    before = _load_previous(note, key)
    intact = before is not None and before.state == _state(place / _TMP, bench)
    again = before is not None and intact and _update(bench, before.tree, tree, place / _TMP)
    fs.remove(note)
    quiet_env = {**env, **portage_ebuilds.quietly({**os.environ, **env})}
    phases = ["install"] if again else ["clean", "install"]
    if not intact:
        _remove_build_directory(place / _TMP, bench)
    ran = start(["ebuild", str(ebuild.path), *phases], quiet_env)
    fs.write_cache(log, ran.out + ran.err)
    if _is_configured(place / _TMP, bench) and (state := _state(place / _TMP, bench)):
        fs.write_cache(note, json.dumps({"key": key, "tree": tree, "state": state}))
    status = 128 - ran.status if ran.status < 0 else ran.status if ran.status >= 64 else min(ran.status, 1)
    folder = place / _TMP / "portage" / bench.cpv
    return BuildResult(bench, status, again, log, folder, extract_error(ran.out + ran.err) if status else "")


def _key(ebuild: Ebuild, env: Mapping[str, str]) -> str:
    """Return a key that changes with every input of a build except the work tree."""
    etc = Path(env["PORTAGE_CONFIGROOT"]) / "etc/portage"
    total = hashlib.sha256(ebuild.key.encode())
    for path in sorted(etc.rglob("*")):
        if path.is_file() and path.relative_to(etc).parts[0] != "patches":
            total.update(f"{path.relative_to(etc)}\0".encode() + path.read_bytes())
    return total.hexdigest()


class _Previous(NamedTuple):
    """The note of the previous build."""

    tree: str
    """The git tree of its sources."""
    state: str
    """The state of its build directory after it."""


def _load_previous(note: Path, key: str) -> _Previous | None:
    """Return the note of the previous build; None if it was of another ebuild or profile, or if there was none."""

    def parse(text: str) -> _Previous | None:
        note_content = json.loads(text)
        is_same = note_content["key"] == key
        return _Previous(str(note_content["tree"]), str(note_content["state"])) if is_same else None

    return stored.recall(note, parse)


def _state(tmpdir: Path, bench: PatchTree) -> str:
    """Return a digest of a build directory that changes with any of its files; empty if it is missing.

    It covers type, size, time and inode, like the index of git, but no content. Directories that only users of a
    container can read are skipped.
    """
    total = hashlib.sha256()
    try:
        with _build_directory(tmpdir, bench) as top:
            for folder, folders, names, number in os.fwalk(dir_fd=top):
                folders.sort()
                for name in sorted((*folders, *names)):
                    status = os.stat(name, dir_fd=number, follow_symlinks=False)
                    content = (status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else ()
                    facts = (status.st_mode, status.st_ino, *content)
                    total.update(repr((folder, name, facts)).encode(errors="surrogateescape"))
    except OSError:
        return ""
    return total.hexdigest()


def _is_configured(tmpdir: Path, bench: PatchTree) -> bool:
    """Whether the build directory of a package exists, and src_configure has succeeded there."""
    with suppress(OSError), _build_directory(tmpdir, bench) as folder:
        return stat.S_ISREG(os.stat(".configured", dir_fd=folder, follow_symlinks=False).st_mode)
    return False


@contextmanager
def _build_directory(tmpdir: Path, bench: PatchTree, *, parent: bool = False) -> Iterator[int]:
    """Open the build directory without following links, because ebuilds have created everything below it.

    Args:
        parent: open the directory that contains it.

    Raises:
        OSError: it is missing, or its path contains a link.
    """
    parts = ("portage", *bench.cpv.split("/"))
    top = os.open(tmpdir, fs.FOLDER)
    try:
        with fs.within(top, parts[:-1] if parent else parts) as folder:
            yield folder
    finally:
        os.close(top)


def _remove_build_directory(tmpdir: Path, bench: PatchTree) -> None:
    """Remove a damaged build directory as far as this user can: Portage's ``clean`` leaves directories among its marks.

    No link of an ebuild is followed.
    """
    with suppress(OSError), _build_directory(tmpdir, bench, parent=True) as parent:
        name = bench.cpv.rpartition("/")[2]
        try:
            os.unlink(name, dir_fd=parent)  # rmtree would wait for a pipe
        except IsADirectoryError:
            shutil.rmtree(name, ignore_errors=True, dir_fd=parent)


def _update(bench: PatchTree, before: str, now: str, tmpdir: Path) -> bool:
    """Copy files that changed since the previous build into its build directory, unless that is unsafe.

    It is safe for existing files that neither src_prepare nor src_configure read, and that were not modified after they
    were patched.

    Args:
        before: the git tree of the previous build.
        now: the git tree to build.
        tmpdir: PORTAGE_TMPDIR, with the unchanged build directory of the previous build.
    """
    if not _is_configured(tmpdir, bench):
        return False
    fields = run_git(bench.tree, "diff", "--raw", "--no-renames", "--no-abbrev", "-z", before, now).out.split("\0")[:-1]
    changes = [(*entry.split(), name) for entry, name in zip(fields[::2], fields[1::2], strict=True)]
    if any(
        kind != "M" or old_mode.lstrip(":") != new_mode or not new_mode.startswith("100") or _INPUTS.search(name)
        for old_mode, new_mode, *_, kind, name in changes
    ):
        return False
    try:
        with _build_directory(tmpdir, bench) as folder, fs.within(folder, ("work", *Path(bench.inside).parts)) as here:
            if any(_blob(here, name) != blob for _, _, blob, _, _, name in changes):
                return False
            for *_, name in changes:
                with _open_file(here, name, os.O_WRONLY | os.O_TRUNC) as file:
                    file.write((bench.tree / name).read_bytes())
            for mark in (".compiled", ".tested", ".installed"):
                with suppress(FileNotFoundError):
                    os.unlink(mark, dir_fd=folder)
    except OSError:
        return False
    return True


@contextmanager
def _open_file(here: int, name: str, flags: int) -> Iterator[IO[bytes]]:
    """Open a regular file below an open directory.

    Raises:
        OSError: it is not a regular file, or its path contains a link.
    """
    *above, last = Path(name).parts
    with fs.within(here, tuple(above)) as folder:
        number = os.open(last, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    with os.fdopen(number, "wb" if flags & os.O_WRONLY else "rb") as file:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), name)
        yield file


def _blob(here: int, name: str) -> str:
    """Return git's object name of the content of a file.

    Raises:
        OSError: it is not a regular file, or its path contains a link.
    """
    with _open_file(here, name, os.O_RDONLY) as file:
        content = file.read()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def extract_error(log: str, *, most: int = 40) -> str:
    """Return the part of a build log from the first error on, without Portage's own report."""
    lines = re.sub(r"\033\[[0-9;]*[A-Za-z]", "", log).rstrip().splitlines()
    report = next(
        (number for number, line in enumerate(lines) if re.search(r"\* ERROR: .* failed \(", line)), len(lines)
    )
    own = lines[:report] or lines
    first = next((number for number, line in enumerate(own) if _ERROR.search(line)), max(0, len(own) - most // 2))
    return "\n".join([*own[max(0, first - 2) : first - 2 + most if first > 1 else most], *lines[report : report + 2]])
