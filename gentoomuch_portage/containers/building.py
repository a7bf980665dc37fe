"""Carry a plan out in boxes: fetch with the network and nothing else, build without it, then merge what is finished."""

import os
import shutil
import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from gentoomuch_portage import console, files, room
from gentoomuch_portage.containers import boxes, logs, merged, staging
from gentoomuch_portage.containers.boxing import boxed, furnish
from gentoomuch_portage.containers.hearing import heard
from gentoomuch_portage.containers.layout import upper_of
from gentoomuch_portage.containers.mounts import Mount
from gentoomuch_portage.containers.named import by_id
from gentoomuch_portage.containers.places import Places
from gentoomuch_portage.errors import ProgramFailed
from gentoomuch_portage.plan import Plan
from gentoomuch_portage.portage_adapter import front, taking
from gentoomuch_portage.relay import LINE, Hearer
from gentoomuch_portage.settings import Settings
from gentoomuch_portage.watch import Watch

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
    action, options, targets = front.asked(words)
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
    room.needed(plan)
    for folder in (places.pkgdir, places.distdir, places.tmpdir, settings.state / plan.profile, settings.cache):
        files.ensure(folder)
    places.tmpdir.chmod(0o700)
    if status := _run(plan, places, kind, place, ("--fetchonly", "--quiet"), fetching=True):
        return Built(status, None)
    vdb = places.eprefix / "var/db/pkg"

    def changed(uppers: Path | None) -> Path | None:
        return upper_of(boxed(plan, places, place, uppers=uppers).box.mounts, vdb)

    with by_id(plan, settings, vdb, changed) as uppers:
        taken: list[staging.Taken] = []
        try:
            with _told(plan, place, watch) as hearer:
                status = _run(plan, places, kind, place, _ASKED_ALREADY, uppers=uppers)
        finally:  # whatever ended the box: what is finished is kept
            taken += take_over(plan, place)
            if taken:
                console.tell(f"gentoomuch: {len(taken)} finished {_packages(taken)} in {places.pkgdir}")
        if status or plan.root != "/" or "--buildpkgonly" in front.asked(plan.words)[1]:
            if hearer is not None:
                hearer.end(merged=not status or plan.root != "/")
            return Built(status, None)
        numbered = {(one.cpv, one.built): one.build_id for one in taken}
        new = [(cpv, numbered.get((cpv, number), number)) for cpv, number in merged.installed(changed(uppers))]
    made = {
        f"{one.cpv}-{one.build_id}": str(file) for one in taken for file in _files(places.pkgdir, one.cpv, one.build_id)
    }
    return Built(0, _merging(plan, place / "merge", places.pkgdir, new) if new else None, made)


def _packages(found: Sequence[object]) -> str:
    return "package" if len(found) == 1 else "packages"


def take_over(plan: Plan, place: Path) -> list[staging.Taken]:
    """Move finished packages of a box into PKGDIR, and its logs to those of the host."""
    _take_out_logs(place)
    env = {"PORTAGE_CONFIGROOT": plan.configroot, **plan.env}
    return staging.take_over(place, lambda: taking.taker(env), console.warn)


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
        status = boxes.start(kind, found.box).status
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
            files.ensure(target.parent)
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
