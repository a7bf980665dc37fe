# SPDX-License-Identifier: GPL-2.0-or-later
"""Differences between profiles and their roots: packages that are missing, superfluous, out of date, or held back."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.emerge.profile_view import View, load_view
from gentoomuch_portage.emerge.unmask_grants import Grants
from gentoomuch_portage.errors import ConfigError, GmError
from gentoomuch_portage.portage_adapter import atoms, world
from gentoomuch_portage.portage_adapter.root_state import Outdated
from gentoomuch_portage.portage_adapter.world import UnknownSet
from gentoomuch_portage.reports import binpkgs
from gentoomuch_portage.reports.why import Mask, explain_masks


def unknown_set(profile: str, name: str) -> ConfigError:
    """A set of a profile contains a set that does not exist."""
    return ConfigError(
        f"set '@{name}' of @world not found", code="unknown-set", hint=f"gentoomuch profile lint {profile}"
    )


class Missing(NamedTuple):
    """An atom of @world that no installed package matches."""

    atom: str
    sets: tuple[str, ...]
    """Those of machine, selected, system and profile that contain it."""
    best: str
    """The version that a run would install; empty if there is none."""
    unmasks: tuple[str, ...]
    """Kinds of masks that the run would lift, as ``[unmask]`` allows."""


class Held(NamedTuple):
    """A version that is not installed because it is masked, or an installed one that is not available any more."""

    cpv: str
    installed: str
    """The installed version in its place; empty if there is none."""
    masks: tuple[Mask, ...]
    """Empty if no repository has its ebuild."""


class Rejected(NamedTuple):
    """A binary package that a run rejects, of a version that it would install."""

    binpkg: str
    cpv: str
    reasons: tuple[tuple[str, str], ...]
    """Code and text: ``cpu``, or the name of a plugin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Differences between a profile and its root."""

    profile: str
    root: str = ""
    wanted: int = 0
    """Atoms of @world, with @machine."""
    installed: int = 0
    missing: tuple[Missing, ...] = ()
    superfluous: tuple[str, ...] = ()
    """cpvs that ``emerge --depclean`` would remove."""
    broken: tuple[tuple[str, str], ...] = ()
    """Atom and cpv of each missing dependency of an installed package."""
    outdated: tuple[Outdated, ...] = ()
    held: tuple[Held, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    error: str = ""
    """Why the profile is invalid; empty if it is valid."""
    hint: str = ""
    """Of the error."""
    exit_status: int = 0
    """Of the error."""

    @property
    def pending(self) -> bool:
        """Whether an update or a cleanup would do something. What is held back or rejected does not count."""
        return bool(self.missing or self.superfluous or self.broken or self.outdated)


def load_statuses(settings: Settings, names: Iterable[str]) -> Iterator[Status]:
    """Load profiles one after the other; an invalid one has its error."""
    for name in names:
        try:
            with load_view(settings, name) as view:
                yield load_status(view, settings)
        except GmError as error:
            yield Status(profile=name, error=error.message, hint=error.hint, exit_status=error.status)


def load_missing(env: Mapping[str, str], profile: str) -> tuple[str, ...]:
    """Return the atoms of @world, with @machine, that no installed package matches.

    Args:
        env: PORTAGE_CONFIGROOT and ROOT of the profile.

    Raises:
        ConfigError[unknown-set]: a set contains one that does not exist.
    """
    try:
        return world.load_missing(env)
    except UnknownSet as error:
        raise unknown_set(profile, str(error)) from error


def load_status(view: View, settings: Settings) -> Status:
    """Compare the root of a profile with its @world.

    Raises:
        ConfigError[unknown-set]: a set contains one that does not exist.
    """
    plan = view.plan
    env = {"ROOT": plan.root, "SYSROOT": "/", **plan.env, "PORTAGE_CONFIGROOT": plan.configroot}
    try:
        state = world.load_state(env, plan.arguments)
    except UnknownSet as error:
        raise unknown_set(plan.profile, str(error)) from error
    explained = _Explained(Grants(plan, settings))
    missing = tuple(map(explained.missing, state.missing))
    targets = {package.best for package in missing} | {package.newest for package in state.outdated}
    return Status(
        profile=plan.profile,
        root=plan.root,
        wanted=state.wanted,
        installed=state.installed,
        missing=missing,
        superfluous=state.superfluous,
        broken=state.broken,
        outdated=state.outdated,
        held=tuple(sorted((*explained.held, *map(explained.explain, state.held)))),
        rejected=tuple(_find_rejected(view, settings, targets - {""})),
    )


class _Explained:
    """Explains masks, and collects missing packages that a run would not unmask.

    Attributes:
        held: these packages.
    """

    def __init__(self, grants: Grants) -> None:
        self._grants = grants
        self.held: list[Held] = []

    def explain(self, held: world.Held) -> Held:
        """Return a version with the reasons of its masks."""
        identity = (held.cpv, held.slot, held.repository)
        return Held(held.cpv, held.installed, tuple(explain_masks(held.masks, identity, self._grants.against)))

    def missing(self, package: world.Missing) -> Missing:
        """Return a missing package with the version that a run would unmask, if none is visible."""
        hidden = self.explain(package.masked) if package.masked else None
        if hidden and not any(mask.against for mask in hidden.masks):
            return Missing(package.atom, package.sets, hidden.cpv, tuple(mask.kind for mask in hidden.masks))
        self.held += [hidden] if hidden else []
        return Missing(package.atom, package.sets, package.best, ())


def _find_rejected(view: View, settings: Settings, targets: set[str]) -> Iterator[Rejected]:
    """Find versions that are to be installed whose binary packages are all rejected by the filter."""
    names = tuple(sorted({atoms.package_of(cpv) for cpv in targets}))
    judged = binpkgs.judge_binpkgs(view, settings, names) if names else []
    usable = {package.offer.binpkg.cpv for package in judged if package.taken}
    for package in judged:
        binpkg = package.offer.binpkg
        cpu = () if package.verdict.accept else ((package.verdict.code, package.verdict.reason),)
        if (reasons := (*cpu, *package.rejected)) and binpkg.cpv in targets - usable:
            yield Rejected(binpkg.name, binpkg.cpv, reasons)


def as_data(status: Status) -> dict[str, Any]:
    """Return a profile as ``--json`` prints it."""
    state = "invalid" if status.error else "pending" if status.pending else "current"
    return {
        "profile": status.profile,
        "root": status.root,
        "state": state,
        "wanted": status.wanted,
        "installed": status.installed,
        "missing": [package._asdict() for package in status.missing],
        "superfluous": list(status.superfluous),
        "broken": [{"atom": atom, "cpv": cpv} for atom, cpv in status.broken],
        "outdated": [asdict(package) for package in status.outdated],
        "held": [
            {"cpv": held.cpv, "installed": held.installed, "masks": [mask._asdict() for mask in held.masks]}
            for held in status.held
        ],
        "rejected": [
            {
                "binpkg": package.binpkg,
                "cpv": package.cpv,
                "reasons": [{"code": code, "reason": reason} for code, reason in package.reasons],
            }
            for package in status.rejected
        ],
        "error": status.error,
    }
