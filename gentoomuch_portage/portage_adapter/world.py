# SPDX-License-Identifier: GPL-2.0-or-later
"""Compare the packages of a root with @world, which contains the set @machine of a profile."""

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import Any, NamedTuple

import portage
from _emerge import actions
from _emerge.Package import Package
from _emerge.RootConfig import RootConfig
from _emerge.UnmergeDepPriority import UnmergeDepPriority
from portage._sets import load_default_config
from portage._sets.base import InternalPackageSet
from portage.dep import Atom, match_from_list
from portage.exception import PackageSetNotFound

from gentoomuch_portage.portage_adapter import emerge_arguments
from gentoomuch_portage.portage_adapter.masks import Masked, find_masks
from gentoomuch_portage.portage_adapter.patching import query_environment
from gentoomuch_portage.portage_adapter.root_state import Outdated, find_outdated
from gentoomuch_portage.portage_adapter.trees import find_target

_SETS = ("machine", "selected", "system", "profile")
"""The sets that @world consists of, ours included."""


class Held(NamedTuple):
    """A version that is masked."""

    cpv: str
    slot: str
    repository: str
    installed: str
    """The installed version in its place; empty if there is none."""
    masks: tuple[Masked, ...]
    """Empty if no repository has an ebuild of the installed version."""


class Missing(NamedTuple):
    """An atom of @world without an installed package."""

    atom: str
    sets: tuple[str, ...]
    """Those of machine, selected, system and profile that contain it."""
    best: str
    """The version that emerge would install; empty if none is visible."""
    masked: Held | None
    """The best version that is masked, if none is visible; None if no repository has one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldState:
    """The differences between a root and its @world, each sorted."""

    wanted: int
    """Atoms of @world, with nested sets."""
    installed: int
    missing: tuple[Missing, ...]
    superfluous: tuple[str, ...]
    """cpvs that ``emerge --depclean`` would remove."""
    broken: tuple[tuple[str, str], ...]
    """Atom and cpv of each missing dependency of an installed package; emerge --depclean removes nothing then."""
    outdated: tuple[Outdated, ...]
    """Without superfluous packages."""
    held: tuple[Held, ...]


class _Opened(NamedTuple):
    """Portage's objects for a root: ``RootConfig``, the databases of installed packages and ebuilds, all trees."""

    config: Any
    vardb: Any
    portdb: Any
    trees: Any


class UnknownSet(LookupError):
    """A set of @world names a set that does not exist; the text is its name."""


def load_state(env: Mapping[str, str], arguments: Sequence[str] = ()) -> WorldState:
    """Compare the packages of a profile's root with its @world.

    Args:
        env: PORTAGE_CONFIGROOT and ROOT of the profile.
        arguments: options of emerge, as ``--with-bdeps=n`` decides what is superfluous.

    Raises:
        UnknownSet: a set contains one that does not exist.
    """
    with _opened(env) as opened:
        vardb, portdb = opened.vardb, opened.portdb
        atoms = _list_atoms(opened.config)
        superfluous, broken = _find_superfluous(opened, arguments) if atoms else ((), ())
        missing = _find_missing(atoms, opened)
        outdated = [package for package in find_outdated(vardb, portdb) if package.cpv not in superfluous]
        gone = [package.cpv for package in outdated if not package.newest]
        held = {*_find_newer(atoms.keys() - missing, opened), *_find_unavailable(gone, opened)}
        return WorldState(
            wanted=len(atoms),
            installed=len(vardb.cpv_all()),
            missing=tuple(_missing(atom, atoms[atom], opened) for atom in missing),
            superfluous=superfluous,
            broken=broken,
            outdated=tuple(package for package in outdated if package.newest),
            held=tuple(sorted(held)),
        )


def load_missing(env: Mapping[str, str]) -> tuple[str, ...]:
    """Return the atoms of @world that no installed package matches, sorted.

    Raises:
        UnknownSet: a set contains one that does not exist.
    """
    with _opened(env) as opened:
        return tuple(map(str, _find_missing(_list_atoms(opened.config), opened)))


@contextmanager
def _opened(env: Mapping[str, str]) -> Iterator[_Opened]:
    """Load Portage for the target root, and show nothing of what it prints while the block runs.

    ``load_emerge_config`` would create directories in the root.
    """
    with ExitStack() as around:
        env = around.enter_context(query_environment(env))
        around.enter_context(redirect_stdout(StringIO()))
        around.enter_context(redirect_stderr(StringIO()))
        every = portage.create_trees(config_root=env["PORTAGE_CONFIGROOT"], target_root=env.get("ROOT", "/"))
        for trees in every.values():
            settings = trees["vartree"].settings
            trees["root_config"] = RootConfig(settings, trees, load_default_config(settings, trees))
        target = find_target(every)
        yield _Opened(target["root_config"], target["vartree"].dbapi, target["porttree"].dbapi, every)
        target["porttree"].dbapi.close_caches()


def _list_atoms(config: Any) -> dict[Any, tuple[str, ...]]:
    """Return the atoms of @world, with nested sets -> the sets that contain them."""
    atoms: dict[Any, tuple[str, ...]] = {}
    try:
        for name in _SETS:
            if name in config.sets:
                for atom in config.setconfig.getSetAtoms(name):
                    atoms[atom] = (*atoms.get(atom, ()), name)
    except PackageSetNotFound as error:
        raise UnknownSet(str(error.value)) from error
    return atoms


def _find_missing(atoms: Iterable[Any], opened: _Opened) -> list[Any]:
    """Return the atoms that neither an installed package nor package.provided matches, sorted."""
    provided = opened.config.settings.pprovideddict
    missing = (atom for atom in atoms if not opened.vardb.match(atom))
    return sorted((atom for atom in missing if not match_from_list(atom, provided.get(atom.cp, ()))), key=str)


def _find_superfluous(opened: _Opened, arguments: Sequence[str]) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Return the packages that ``emerge --depclean`` would remove, and the missing dependencies that prevent it."""
    options, targets = _parse_options(opened.config.settings, arguments), InternalPackageSet(allow_repo=True)
    result = actions._calc_depclean(opened.config.settings, opened.trees, {}, options, "depclean", targets, None)
    if result.returncode == 0:
        return tuple(sorted(str(package.cpv) for package in result.cleanlist)), ()
    unsatisfied = result.depgraph._dynamic_config._initially_unsatisfied_deps if result.depgraph else ()
    broken = {
        (str(dependency.atom), str(dependency.parent.cpv))
        for dependency in unsatisfied
        if isinstance(dependency.parent, Package) and dependency.priority > UnmergeDepPriority.SOFT
    }
    return (), tuple(sorted(broken))


def _missing(atom: Any, sets: tuple[str, ...], opened: _Opened) -> Missing:
    best = str(opened.portdb.xmatch("bestmatch-visible", atom))
    hidden = None if best else _find_masked(atom, opened)
    return Missing(str(atom), sets, best, _held(hidden, "", opened) if hidden else None)


def _parse_options(settings: Any, arguments: Sequence[str]) -> dict[str, Any]:
    """Return the options of ``emerge --depclean`` with these arguments and EMERGE_DEFAULT_OPTS."""
    depclean = ("--depclean", "--pretend", "--quiet")
    try:
        defaults = shlex.split(settings.get("EMERGE_DEFAULT_OPTS", ""))
        return emerge_arguments.parse((*defaults, *arguments, *depclean)).options
    except (SystemExit, ValueError):  # emerge itself reports the error
        return emerge_arguments.parse(depclean).options


def _find_newer(atoms: Iterable[Any], opened: _Opened) -> Iterator[Held]:
    """Find masked versions that are newer than all visible ones, the best one of each atom."""
    for atom in atoms:
        cpv, here = _find_masked(atom, opened), opened.vardb.match(atom)
        if cpv and here and cpv not in here:
            yield _held(cpv, str(here[-1]), opened)


def _find_masked(atom: Any, opened: _Opened) -> Any:
    """Return the best version above all visible ones; None if there is none.

    Live ebuilds are masked by design: they only count for an atom that nothing else matches.
    """
    visible = opened.portdb.xmatch("bestmatch-visible", atom)
    every = list(opened.portdb.xmatch("match-all", atom))
    newer = every[max((at for at, cpv in enumerate(every, 1) if cpv == visible), default=0) :]
    released = [cpv for cpv in newer if not _is_live(cpv, opened.portdb)]
    return next(reversed(released or ([] if visible else newer)), None)


def _find_unavailable(cpvs: Iterable[str], opened: _Opened) -> Iterator[Held]:
    """Explain why the ebuilds of installed packages are not visible."""
    for text in cpvs:
        cpv = opened.vardb._pkg_str(text, None)
        ebuilds = [ebuild for ebuild in opened.portdb.cp_list(cpv.cp) if ebuild == cpv]
        yield _held(ebuilds[-1], text, opened) if ebuilds else Held(text, cpv.slot, cpv.repo, text, ())


def _is_live(cpv: Any, portdb: Any) -> bool:
    return "live" in portdb.aux_get(cpv, ["PROPERTIES"], myrepo=cpv.repo)[0].split() or "9999" in cpv.version


def _held(cpv: Any, installed: str, opened: _Opened) -> Held:
    masks = tuple(find_masks(cpv, cpv.repo, opened.portdb, opened.config.settings))
    slot = opened.portdb.aux_get(cpv, ["SLOT"], myrepo=cpv.repo)[0].partition("/")[0]
    return Held(str(cpv), slot, cpv.repo, installed, masks)


class Unknown(NamedTuple):
    """An entry of the set @machine that nothing can be installed for."""

    entry: str
    """The entry of @machine."""
    name: str
    """The unknown atom or ``@SET``: the entry, or a part of the set that it names."""
    of_set: bool
    """Whether the unknown name is a set."""


def find_unknown(env: Mapping[str, str], entries: Iterable[str]) -> tuple[Unknown, ...]:
    """Find sets that do not exist and atoms that no ebuild matches, also in nested sets.

    Args:
        env: PORTAGE_CONFIGROOT and ROOT of the profile.
        entries: of the set @machine.
    """
    with _opened(env) as opened:
        return tuple(dict.fromkeys(unknown for entry in entries for unknown in _check(entry, entry, opened, set())))


def _check(entry: str, name: str, opened: _Opened, checked: set[str]) -> Iterator[Unknown]:
    checked.add(name)
    if not name.startswith("@"):
        if not opened.portdb.xmatch("match-all", Atom(name, allow_repo=True).without_use):
            yield Unknown(entry, name, False)
    elif name[1:] not in opened.config.sets:
        yield Unknown(entry, name, True)
    elif name[1:] not in _SETS:  # those are Portage's own
        for below in sorted(map(str, opened.config.sets[name[1:]])):
            if below not in checked:
                yield from _check(entry, below, opened, checked)
