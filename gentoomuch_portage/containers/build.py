"""Which box a plan needs, and the plan as it is carried out in there.

Carry a plan out in boxes: fetch with the network and nothing else, build without it, then merge what is finished.
"""

import os
import shlex
import shutil
import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from gentoomuch_portage import console, fs
from gentoomuch_portage.config.profile import size
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.configroot import build_dir
from gentoomuch_portage.configroot.cross import stands
from gentoomuch_portage.containers import artifacts, id_maps, lifecycle, logs, qemu_user
from gentoomuch_portage.containers.helpers import words as words_of
from gentoomuch_portage.containers.host_overlay import view
from gentoomuch_portage.containers.host_paths import Places
from gentoomuch_portage.containers.listen import PIPE, heard, pipe
from gentoomuch_portage.containers.overlay import upper_of
from gentoomuch_portage.containers.project_root import by_id
from gentoomuch_portage.containers.root_system import OURS, PYTHON, standing
from gentoomuch_portage.containers.spec import Bind, Box, Mount, Overlay
from gentoomuch_portage.errors import ProgramFailed
from gentoomuch_portage.events.pipe import LINE, Hearer
from gentoomuch_portage.events.reporter import Watch
from gentoomuch_portage.plan.plan import Plan, Tree
from gentoomuch_portage.portage_adapter import config, emerge
from gentoomuch_portage.portage_adapter import pkgdir as portage_pkgdir

SHUT = f"{OURS}/sandbox"
"""What stands in for sys-apps/sandbox."""
PLAN = f"{OURS}/plan.json"
"""Where a box finds the plan that it carries out."""
_HOSTS = frozenset({"ROOT", "SYSROOT"})


class Boxed(NamedTuple):
    """A box, and what is done in it."""

    box: Box
    plan: Plan


def boxed(
    plan: Plan,
    places: Places,
    run: Path,
    *,
    words: Iterable[str] = (),
    fetching: bool = False,
    uppers: Path | None = None,
) -> Boxed:
    """The box of a plan: the root itself where it stands on its own, otherwise a view of this host.

    Args:
        run: the box's own folder.
        words: behind those of the plan.
        fetching: with the network, and with DISTDIR and PKGDIR written for good.
        uppers: where what is written is kept instead of in the root; a view never writes to ``/``.
    """
    root = Path(plan.root)
    # What is built has to become a package, as only packages leave the box; keys for signing never get in.
    features = f"{os.environ.get('FEATURES', '')} buildpkg binpkg-multi-instance -binpkg-signing -news".strip()
    env = {**plan.env, "FEATURES": features}
    inner = replace(plan, words=(*plan.words, *_trees(plan), *words), isolation="none", env=env)
    if stands(root):
        qemu_user.check(root, PYTHON)
        configroot = Path(plan.configroot)
        trees = [Bind(str(part.folder), str(part.folder)) for _, part in plan.parts if isinstance(part, Tree)]
        box = standing(places, run, root, profile=plan.profile, configroot=configroot, fetching=fetching, uppers=uppers)
        box = box._replace(mounts=(*box.mounts, *trees))
        env = {name: value for name, value in env.items() if name not in _HOSTS} | {"PORTAGE_TMPDIR": "/var/tmp"}
        inner = replace(inner, env=env, root="/", configroot=f"{OURS}/configroot", build_configroot="")
        argv = (*words_of("containers.inner", PYTHON, alone=False), PLAN)
    else:
        box = view(places, run, root=root, fetching=fetching, uppers=uppers)
        inner = replace(inner, env={**env, "PORTAGE_TMPDIR": str(places.tmpdir)})
        argv = (*words_of("containers.inner", alone=False), PLAN)
    ours = _ours(run) if fetching else (*_ours(run), Bind(str(run / PIPE), f"{OURS}/{PIPE}", writable=True))
    mounts = tuple(_limited(one, plan, run) for one in (*box.mounts, *ours))
    env = {**box.env, "GM_SHUT": SHUT, **id_maps.builder(several=id_maps.several())}
    made = box._replace(env=env, mounts=mounts, argv=argv, processes=int(plan.processes), disk=size(plan.disk))
    made = made._replace(kernel=plan.kernel, scratch=inner.env["PORTAGE_TMPDIR"])
    return Boxed(made, inner)


def furnish(run: Path, found: Boxed) -> None:
    """Write down what a box finds below ``OURS``."""
    (run / "plan.json").write_text(found.plan.to_json(), encoding="utf-8")
    lib, python = found.box.env["PYTHONPATH"], found.box.argv[0]
    command = shlex.join(words_of("containers.phase_sandbox", python))
    script = f'#!/bin/sh\nPYTHONPATH={shlex.quote(lib)} exec {command} "$@"\n'
    (run / "sandbox").write_text(script, encoding="utf-8")
    (run / "sandbox").chmod(0o755)
    pipe(run)


def _trees(plan: Plan) -> tuple[str, ...]:
    """A work tree that was built in a box is taken from its package again; what it needs is as the plan says."""
    found = sorted({config.package_of(part.cpv) for _, part in plan.parts if isinstance(part, Tree)})
    if not found or "--usepkg" in plan.words:
        return ()
    return ("--usepkg", f"--usepkg-include={' '.join(found)}")


def _ours(run: Path) -> tuple[Bind, ...]:
    return Bind(str(run / "plan.json"), PLAN), Bind(str(run / "sandbox"), SHUT)


def _limited(mount: Mount, plan: Plan, run: Path) -> Mount:
    """With a limit on what is written, nothing of the disk is written but finished packages."""
    if plan.disk and isinstance(mount, Bind) and mount.target.endswith(".box"):
        return Overlay(mount.source, mount.target, str(run / "upper/tmpdir"))
    return mount


_BUILDS_NOTHING = frozenset(
    {"--pretend", "--fetchonly", "--fetch-all-uri", "--usepkgonly", "--getbinpkgonly", "--resume"}
)
_SUFFIXES = (".gpkg.tar", ".xpak", ".tbz2")
_ASKED_ALREADY = ("--ask=n",)
_INTERRUPTED = 128 + signal.SIGINT


class Built(NamedTuple):
    """What came of a build in boxes."""

    status: int
    """Emerge's exit status."""
    merge: Plan | None
    """What is left to do on the host; None where nothing is."""
    made: Mapping[str, str] = MappingProxyType({})
    """The packages that were built in the box, ``cat/pkg-1.0-2``, and where each lies now."""


def builds(words: Sequence[str]) -> bool:
    """Whether emerge takes a command line for one that may build something."""
    action, options, targets = emerge.asked(words)
    return not action and bool(targets) and not _BUILDS_NOTHING & options


def build(plan: Plan, settings: Settings, kind: str, place: Path, watch: Watch | None = None) -> Built:
    """Fetch and build in boxes of a kind.

    Args:
        place: the boxes' own folder; what is to be merged lies there.
        watch: is told what happens in the box that builds.

    Raises:
        GmError: a container cannot be made.
        KeyboardInterrupt: Ctrl-C ended what ran in it.
    """
    places = Places.of(plan, settings)
    build_dir.needed(plan)
    for folder in (places.pkgdir, places.distdir, places.tmpdir, settings.state / plan.profile, settings.cache):
        fs.ensure(folder)
    places.tmpdir.chmod(0o700)
    if status := _run(plan, places, kind, place, ("--fetchonly", "--quiet"), fetching=True):
        return Built(status, None)
    vdb = places.eprefix / "var/db/pkg"

    def changed(uppers: Path | None) -> Path | None:
        return upper_of(boxed(plan, places, place, uppers=uppers).box.mounts, vdb)

    with by_id(plan, settings, vdb, changed) as uppers:
        taken: list[artifacts.Taken] = []
        try:
            with _told(plan, place, watch) as hearer:
                status = _run(plan, places, kind, place, _ASKED_ALREADY, uppers=uppers)
        finally:  # whatever ended the box: what is finished is kept
            taken += take_over(plan, place)
            if taken:
                console.tell(f"gentoomuch: {len(taken)} finished {_packages(taken)} in {places.pkgdir}")
        if status or plan.root != "/" or "--buildpkgonly" in emerge.asked(plan.words)[1]:
            if hearer is not None:
                hearer.end(merged=not status or plan.root != "/")
            return Built(status, None)
        numbered = {(one.cpv, one.built): one.build_id for one in taken}
        new = [(cpv, numbered.get((cpv, number), number)) for cpv, number in artifacts.installed(changed(uppers))]
    made = {
        f"{one.cpv}-{one.build_id}": str(file) for one in taken for file in _files(places.pkgdir, one.cpv, one.build_id)
    }
    return Built(0, _merging(plan, place / "merge", places.pkgdir, new) if new else None, made)


def _packages(found: Sequence[object]) -> str:
    return "package" if len(found) == 1 else "packages"


def take_over(plan: Plan, place: Path) -> list[artifacts.Taken]:
    """Move finished packages of a box into PKGDIR, and its logs to those of the host."""
    _take_out_logs(place)
    env = {"PORTAGE_CONFIGROOT": plan.configroot, **plan.env}
    return artifacts.take_over(place, lambda: portage_pkgdir.taker(env), console.warn)


def _take_out_logs(place: Path) -> None:
    try:
        logs.take_out(place)
    except (OSError, ProgramFailed) as error:
        console.warn(f"the logs of the container cannot be kept: {error}")


def mounts(plan: Plan, settings: Settings) -> tuple[Mount, ...]:
    """What stands in the box that a plan would be carried out in."""
    run = settings.cache / "containers" / "RUN"
    return boxed(plan, Places.of(plan, settings), run).box.mounts


def _run(
    plan: Plan,
    places: Places,
    kind: str,
    place: Path,
    words: Iterable[str],
    *,
    fetching: bool = False,
    uppers: Path | None = None,
) -> int:
    found = boxed(plan, places, place, words=words, fetching=fetching, uppers=uppers)
    furnish(place, found)
    try:
        status = lifecycle.start(kind, found.box).status
    finally:
        _take_out_logs(place)
    if status == _INTERRUPTED:
        raise KeyboardInterrupt  # who started us has to see that a signal ended this
    return status


@contextmanager
def _told(plan: Plan, place: Path, watch: Watch | None) -> Iterator[Hearer | None]:
    if watch is None:
        yield None
        return
    hearer = Hearer(watch, plan.root)
    with heard(place, hearer.hear, LINE):
        yield hearer


def _merging(plan: Plan, folder: Path, pkgdir: Path, new: Iterable[tuple[str, int]]) -> Plan:
    """A plan that merges these packages and knows no others: they are linked into a PKGDIR of its own."""
    for cpv, build_id in new:
        for file in _files(pkgdir, cpv, build_id):
            target = folder / file.relative_to(pkgdir)
            fs.ensure(target.parent)
            try:
                os.link(file, target)
            except OSError:  # another file system
                shutil.copyfile(file, target)
    words = (*plan.words, "--usepkgonly", "--getbinpkg=n", "--buildpkg=n", *_ASKED_ALREADY)
    features = f"{os.environ.get('FEATURES', '')} binpkg-multi-instance -buildpkg -pkgdir-index-trusted".strip()
    env = {**plan.env, "PKGDIR": str(folder), "FEATURES": features}
    return replace(plan, words=words, env=env, isolation="none")


def _files(pkgdir: Path, cpv: str, build_id: int) -> list[Path]:
    category, name = cpv.split("/")
    below = pkgdir / category
    numbered = [one for suffix in _SUFFIXES for one in below.glob(f"*/{name}-{build_id}{suffix}")] if build_id else []
    return numbered or [below / f"{name}{suffix}" for suffix in _SUFFIXES if (below / f"{name}{suffix}").is_file()]
