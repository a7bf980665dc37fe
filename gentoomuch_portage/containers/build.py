# SPDX-License-Identifier: GPL-2.0-or-later
"""Carry out a plan in containers: fetch with the network, build without it, then merge the finished packages.

The container is either a root with its own Portage, or a copy-on-write view of the host.
"""

import os
import shutil
import signal
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from gentoomuch_portage import console, fs
from gentoomuch_portage.config.isolation_kinds import NONE
from gentoomuch_portage.config.profile import size
from gentoomuch_portage.config.settings import REJECTED, Settings
from gentoomuch_portage.configroot import build_dir
from gentoomuch_portage.configroot.cross import has_own_portage
from gentoomuch_portage.containers import (
    artifacts,
    distfiles,
    helpers,
    id_maps,
    lifecycle,
    logs,
    qemu_user,
    resolution,
    root_lock,
)
from gentoomuch_portage.containers.host_overlay import host_view
from gentoomuch_portage.containers.host_paths import Places, failure_logs
from gentoomuch_portage.containers.listen import PIPE, listening, make_pipe
from gentoomuch_portage.containers.overlay import find_upper
from gentoomuch_portage.containers.phase_sandbox import CLOSED
from gentoomuch_portage.containers.project_root import project_root
from gentoomuch_portage.containers.root_system import LOGDIR, OURS, PYTHON, TMPDIR, own_system, state_overlay
from gentoomuch_portage.containers.spec import Bind, ContainerSpec, Mount, Overlay
from gentoomuch_portage.errors import ProgramFailed
from gentoomuch_portage.events.pipe import LINE, PipeReader
from gentoomuch_portage.plan.plan import Plan, Unmask, WorkTree
from gentoomuch_portage.plugins.hookspec import RunListener
from gentoomuch_portage.portage_adapter import atoms, emerge_arguments
from gentoomuch_portage.portage_adapter.binpkg import SUFFIXES, Binpkg, Reject
from gentoomuch_portage.startup import LazyModule
from gentoomuch_portage.unmask import ledger

if TYPE_CHECKING:
    from gentoomuch_portage.portage_adapter import binhosts, pkgdir_add
else:
    # They import half of Portage, and neither a fresh root nor a run that finishes no package needs them.
    binhosts = LazyModule("gentoomuch_portage.portage_adapter.binhosts")
    pkgdir_add = LazyModule("gentoomuch_portage.portage_adapter.pkgdir_add")

PLAN = f"{OURS}/plan.json"
"""The plan that a container carries out, inside of it."""
FETCH_FAILURES, BUILD_FAILURES = "failures/fetch", "failures/build"
"""In the directory of a run: ``Settings.rejected`` of its two containers, if the run uses binhosts."""
_HOSTS = frozenset({"ROOT", "SYSROOT"})
_LARGEST_LEDGER = 1 << 20
"""Bytes."""


class PreparedContainer(NamedTuple):
    """A container, and the plan that it carries out."""

    spec: ContainerSpec
    plan: Plan


def prepare_container(
    plan: Plan,
    places: Places,
    run: Path,
    *,
    words: Iterable[str] = (),
    fetching: bool = False,
    uppers: Path | None = None,
) -> PreparedContainer:
    """Describe the container of a plan: its root if that has its own Portage, otherwise a view of this host.

    Args:
        run: the directory of the run.
        words: emerge options after those of the plan.
        fetching: whether the container has the network, and writes what it fetches to the host.
        uppers: the directory that stores changes instead of the root; a view never writes to ``/``.
    """
    root = Path(plan.root)
    # All results must be packages, as only packages leave the container; signing keys never enter it.
    features = f"{os.environ.get('FEATURES', '')} buildpkg binpkg-multi-instance -binpkg-signing -news".strip()
    env = {**plan.env, "FEATURES": features}
    inner = replace(plan, arguments=(*plan.arguments, *_tree_options(plan), *words), isolation=NONE, env=env)
    trees = [Bind(str(part.folder), str(part.folder)) for _, part in plan.parts if isinstance(part, WorkTree)]
    if has_own_portage(root):
        qemu_user.check(root, PYTHON)
        configroot = Path(plan.configroot)
        spec = own_system(
            places, run, root, profile=plan.profile, configroot=configroot, fetching=fetching, uppers=uppers
        )
        env = {name: value for name, value in env.items() if name not in _HOSTS} | {"PORTAGE_TMPDIR": TMPDIR}
        if places.logdir == failure_logs(places, plan.profile):
            env |= {"PORTAGE_LOGDIR": LOGDIR}
        inner = replace(inner, env=env, root="/", configroot=f"{OURS}/configroot", build_configroot="")
        argv = (*helpers.command("containers.inner", PYTHON, standalone=False), PLAN)
    else:
        spec = host_view(places, run, root=root, fetching=fetching, uppers=uppers)
        logdir = {"PORTAGE_LOGDIR": str(places.logdir)} if places.logdir else {}
        inner = replace(inner, env={**env, **logdir, "PORTAGE_TMPDIR": str(places.tmpdir)})
        argv = (*helpers.command("containers.inner", standalone=False), PLAN)
    inputs = [Bind(str(run / "plan.json"), PLAN), Bind(str(run / PIPE), f"{OURS}/{PIPE}", writable=True)]
    failures = run / (FETCH_FAILURES if fetching else BUILD_FAILURES)
    if failures.is_dir():
        target = Path(spec.env["GM_CACHE"], REJECTED.format(profile=plan.profile))
        inputs.append(Bind(str(failures), str(target), writable=True))
    mounts = tuple(_limit(mount, spec, plan, run) for mount in (*spec.mounts, *trees, *inputs))
    env = {
        **spec.env,
        CLOSED: _closed(places, spec.env, inner),
        **id_maps.build_user(several=id_maps.has_several_users()),
    }
    spec = spec._replace(
        env=env,
        mounts=mounts,
        argv=argv,
        processes=int(plan.processes),
        disk=size(plan.disk),
        kernel=plan.kernel,
    )
    return PreparedContainer(spec, inner)


def write_inputs(run: Path, prepared: PreparedContainer) -> None:
    """Write the files that a container finds below ``OURS``."""
    (run / "plan.json").write_text(prepared.plan.to_json(), encoding="utf-8")
    make_pipe(run)


def _tree_options(plan: Plan) -> tuple[str, ...]:
    """Return the options that reuse the packages of work trees; their dependencies are resolved as usual."""
    packages = sorted({atoms.package_of(part.cpv) for _, part in plan.parts if isinstance(part, WorkTree)})
    if not packages or "--usepkg" in plan.arguments:
        return ()
    return ("--usepkg", f"--usepkg-include={' '.join(packages)}")


def _closed(places: Places, env: Mapping[str, str], inner: Plan) -> str:
    """Return the directories that no phase of an ebuild may write, one a line; its own build directory is excepted."""
    own = [places.logdir, LOGDIR] if places.logdir else []
    build_directories = Path(inner.env["PORTAGE_TMPDIR"], "portage")
    closed = (
        places.pkgdir,
        places.distdir,
        places.binhost_cache,
        *own,
        build_directories,
        env["GM_STATE"],
        env["GM_CACHE"],
    )
    return "\n".join(map(str, closed))


def _limit(mount: Mount, spec: ContainerSpec, plan: Plan, run: Path) -> Mount:
    """With a limit on written bytes, only finished packages are written to the disk."""
    if plan.disk and isinstance(mount, Bind) and mount.source == spec.scratch_source:
        return Overlay(mount.source, mount.target, str(run / "upper/tmpdir"))
    return mount


_NO_BUILD = frozenset({"--pretend", "--fetchonly", "--fetch-all-uri", "--usepkgonly", "--getbinpkgonly", "--resume"})
CONFIRMED = ("--ask=n",)
_INTERRUPTED = 128 + signal.SIGINT


class BuildResult(NamedTuple):
    """The result of a build in containers."""

    status: int
    """Emerge's exit status."""
    merge: Plan | None
    """What remains to be done on the host; None if nothing does."""
    packages: Mapping[str, str] = MappingProxyType({})
    """The packages that were built in the container, ``cat/pkg-1.0-2``, and their files."""
    fetched: frozenset[str] = frozenset()
    """The packages of binhosts to merge, ``cat/pkg-1.0-2``; emerge verifies them as without a container."""


def may_build(words: Sequence[str]) -> bool:
    """Return whether an emerge command line may build a package."""
    action, options, targets = emerge_arguments.parse(words)
    return not action and bool(targets) and not _NO_BUILD & options.keys()


def build(
    plan: Plan, settings: Settings, kind: str, run: Path, listener: RunListener | None = None, *, below: str = ""
) -> BuildResult:
    """Fetch and build in containers.

    Args:
        run: the directory of the run, which stores the packages to merge.
        listener: receives the events of the container that builds.
        below: the upper layers of an earlier container, which this one sees.

    Raises:
        GmError: a container cannot be created.
        KeyboardInterrupt: Ctrl-C ended its program.
    """
    root_lock.check_closed(Path(plan.root))
    places = with_logdir(Places.load(plan, settings), plan.profile)
    build_dir.check_exists(places.tmpdir)
    for folder in (places.pkgdir, places.distdir, settings.state / plan.profile, settings.cache):
        fs.ensure(folder)
    find_highest = _load_indexes(plan, places)
    with recording(plan, places, run, resolves=True, builds=False, find_highest=find_highest):
        if status := run_container(plan, places, kind, run, ("--fetchonly", "--quiet"), fetching=True):
            return BuildResult(status, None)
    distfiles.take_over(run, places.distdir)
    fetched = artifacts.list_fetched(run)
    vdb = places.eprefix / "var/db/pkg"

    def upper_vdb(uppers: Path | None) -> Path | None:
        return find_upper(prepare_container(plan, places, run, uppers=uppers).spec.mounts, vdb)

    with _ledger(plan, settings, run), project_root(plan, settings, vdb, upper_vdb) as uppers:
        admitted: list[artifacts.Admitted] = []
        try:
            reader = None if listener is None else PipeReader(listener, plan.root)
            with recording(plan, places, run, resolves=False, builds=True, reader=reader):
                status = run_container(plan, places, kind, run, CONFIRMED, uppers=uppers, below=below)
        finally:  # finished packages are saved however the container ended
            artifacts.remove_fetched(run, fetched)
            admitted += take_over(plan, run)
            if admitted:
                noun = "package" if len(admitted) == 1 else "packages"
                console.info(f"gentoomuch: {len(admitted)} finished {noun} in {places.pkgdir}")
        if status:
            console.info("gentoomuch: a container has only listed files of the host; see [container] show in profiles")
        if status or plan.root != "/" or "--buildpkgonly" in emerge_arguments.parse(plan.arguments)[1]:
            if reader is not None:
                reader.finish(merged=not status or plan.root != "/")
            return BuildResult(status, None, _list_built(places.pkgdir, admitted))
        resolved = resolution.load(run)
        merges = artifacts.find_merges(upper_vdb(uppers), resolved, admitted, places.pkgdir, console.warning)
    remote = {merge.name for merge in resolved.merges if merge.is_remote and (merge.cpv, merge.build_id) in merges}
    merge = _merge_plan(plan, run / "merge", places.pkgdir, merges, fetches=bool(remote)) if merges else None
    return BuildResult(0, merge, _list_built(places.pkgdir, admitted), frozenset(remote))


def _list_built(pkgdir: Path, admitted: Iterable[artifacts.Admitted]) -> dict[str, str]:
    """Return the packages that were taken over, ``cat/pkg-1.0-2``, and their files."""
    return {
        f"{package.cpv}-{package.build_id}": str(file)
        for package in admitted
        for file in _files(pkgdir, package.cpv, package.build_id)
    }


def uses_binhosts(plan: Plan) -> bool:
    """Return whether a plan takes packages from binhosts."""
    return emerge_arguments.uses_binhosts(plan.arguments, plan.default_options)


def _load_indexes(plan: Plan, places: Places) -> Callable[[str], int]:
    """Load the indexes of binhosts on the host, which records what it has accepted; containers use the same ones.

    A root with its own Portage fetches them itself.

    Returns:
        A function that returns the highest BUILD_ID of a cpv on binhosts: emerge in a container continues after it.
    """
    if uses_binhosts(plan) and not has_own_portage(Path(plan.root)):
        cache = places.settings.cache
        indexes = fs.ensure(cache / "binhosts" / plan.profile, cache=cache)
        fs.ensure(places.binhost_cache)
        return binhosts.load_indexes({"PORTAGE_CONFIGROOT": plan.configroot, **plan.env}, indexes)
    return lambda _cpv: 0


def reject_others(fetched: frozenset[str], reject: Reject, binpkg: Binpkg) -> str | None:
    """Return the reason to reject a package on the host: of binhosts, a run merges only what its container resolved."""
    return "the run did not resolve it" if binpkg.url and binpkg.name not in fetched else reject(binpkg)


def with_logdir(places: Places, profile: str) -> Places:
    """Add a directory for the logs of failed builds if the host has none."""
    return places if places.logdir else places._replace(logdir=fs.ensure(failure_logs(places, profile)))


@contextmanager
def _ledger(plan: Plan, settings: Settings, run: Path) -> Iterator[None]:
    """Add what emerge unmasks in a root with its own Portage to the ledger of the profile.

    Only the ledger is copied from the container's state, and only the kinds of changes that the profile allows.
    """
    yield
    file = Path(state_overlay(settings.state, plan.profile, run).upper, Path(ledger.file_name(plan.profile)).name)
    allowed = {part.kind for _, part in plan.parts if isinstance(part, Unmask) and part.allowed}
    try:
        entries = ledger.parse(artifacts.read_text_below(run, file, most=_LARGEST_LEDGER) or "[]")
        new = [entry for entry in entries if ledger.is_valid(entry) and entry.kind in allowed]
    except (ValueError, TypeError, KeyError, RecursionError):
        console.warning("cannot read the ledger of the container; what was unmasked in it is not recorded")
        return
    if new:
        ledger.change(settings.state, plan.profile, lambda before: ledger.merge(before, new))


def take_over(plan: Plan, run: Path) -> list[artifacts.Admitted]:
    """Move finished packages of a container into the PKGDIR of its run, and its logs to those of the host.

    Args:
        plan: of any profile; a run that was killed may belong to another one, with a PKGDIR of its own.
    """
    resolved = resolution.load(run)
    _take_out_logs(run, resolved.cpvs)
    env = {"PORTAGE_CONFIGROOT": plan.configroot, **plan.env, "PKGDIR": resolved.pkgdir}
    return artifacts.take_over(run, lambda: pkgdir_add.taker(env), console.warning)


def _take_out_logs(run: Path, cpvs: Collection[str]) -> None:
    try:
        logs.take_out(run, cpvs, console.warning)
    except (OSError, ProgramFailed) as error:
        console.warning(f"cannot save the logs of the container: {console.escape_unprintable(str(error))}")


def list_mounts(plan: Plan, settings: Settings) -> tuple[Mount, ...]:
    """Return the mounts of the container that would carry out a plan."""
    run = settings.cache / "containers" / "RUN"
    return prepare_container(plan, Places.load(plan, settings), run).spec.mounts


def run_container(
    plan: Plan,
    places: Places,
    kind: str,
    run: Path,
    words: Iterable[str],
    *,
    fetching: bool = False,
    uppers: Path | None = None,
    below: str = "",
) -> int:
    """Run emerge for a plan in a container, and take out the logs; return its exit status.

    Args:
        words: emerge options after those of the plan.
        fetching: whether the container has the network.
        uppers: the directory of its upper layers.
        below: the upper layers of an earlier container, which this one sees.

    Raises:
        KeyboardInterrupt: Ctrl-C ended its program.
    """
    prepared = prepare_container(plan, places, run, words=words, fetching=fetching, uppers=uppers)
    write_inputs(run, prepared)
    try:
        status = lifecycle.start(kind, prepared.spec._replace(below=below)).status
        if not status and places.logdir == failure_logs(places, plan.profile):
            lifecycle.remove_trees([run / logs.FOLDER])  # only logs of failed builds are wanted there
    finally:
        _take_out_logs(run, resolution.load(run).cpvs)
    if status == _INTERRUPTED:
        raise KeyboardInterrupt  # the caller has to see that a signal ended this run
    return status


@contextmanager
def recording(
    plan: Plan,
    places: Places,
    run: Path,
    *,
    resolves: bool,
    builds: bool,
    reader: PipeReader | None = None,
    find_highest: Callable[[str], int] = lambda _cpv: 0,
) -> Iterator[None]:
    """Record on the host what the container reports while the block runs.

    Args:
        run: the directory of the run.
        resolves: whether its list of packages is that of the run.
        builds: whether it makes packages.
        reader: receives the reports as well, to show them.
        find_highest: returns the highest BUILD_ID of a cpv outside of PKGDIR.
    """
    recorder = resolution.Recorder(
        run,
        profile=plan.profile,
        pkgdir=places.pkgdir,
        resolves=resolves,
        builds=builds,
        find_highest=find_highest,
    )

    def read_line(line: bytes) -> None:
        recorder.read_line(line)
        if reader is not None:
            reader.read_line(line)

    with listening(run, read_line, LINE):
        yield


def _merge_plan(plan: Plan, folder: Path, pkgdir: Path, packages: Iterable[tuple[str, int]], *, fetches: bool) -> Plan:
    """Return a plan that merges only these packages: those in PKGDIR are linked into a PKGDIR of its own.

    Args:
        fetches: whether some are of binhosts.
    """
    fs.ensure(folder)
    for cpv, build_id in packages:
        for file in _files(pkgdir, cpv, build_id):
            target = folder / file.relative_to(pkgdir)
            fs.ensure(target.parent)
            try:
                os.link(file, target)
            except OSError:  # another file system
                shutil.copyfile(file, target)
    words = (*plan.arguments, "--usepkgonly", f"--getbinpkg={'y' if fetches else 'n'}", "--buildpkg=n", *CONFIRMED)
    features = f"{os.environ.get('FEATURES', '')} binpkg-multi-instance -buildpkg -pkgdir-index-trusted".strip()
    env = {**plan.env, "PKGDIR": str(folder), "FEATURES": features}
    return replace(plan, arguments=words, env=env, isolation=NONE)


def _files(pkgdir: Path, cpv: str, build_id: int) -> list[Path]:
    category, name = cpv.split("/")
    below = pkgdir / category
    numbered = [file for suffix in SUFFIXES for file in below.glob(f"*/{name}-{build_id}{suffix}")] if build_id else []
    return numbered or [below / f"{name}{suffix}" for suffix in SUFFIXES if (below / f"{name}{suffix}").is_file()]
