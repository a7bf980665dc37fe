"""Emerge's own autounmask, led by a policy; what it needs is granted, and never written to a file of the user.

The resolver asks before it considers a package that something masks: a policy answers. Where it ends in changes
alone, they are granted (a configroot that has them), Portage reads its configuration again as it does for
--autounmask-continue, and resolves again, within the one "Calculating dependencies".
"""

import functools
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from gentoomuch_portage.portage_adapter import masks
from gentoomuch_portage.portage_adapter.patching import swapped
from gentoomuch_portage.unmask.ledger import Entry
from gentoomuch_portage.unmask.policy import Candidate

Against = Callable[[str, Candidate], str | None]
"""Kind and package -> why it may not be unmasked, or None."""
Grant = Callable[[tuple[Entry, ...]], str]
"""Entries that are needed -> the configroot that has them."""

_ROUNDS = 20
"""Each round grants at least one more entry; a chain that needs more than so many is a loop."""


class _Run:
    """What is known while emerge runs.

    Attributes:
        config: Portage's emerge_config, as soon as it resolves.
        told: how many of the granted ones the user was told.
        refused: ``(cpv, kind)`` -> why.
    """

    def __init__(self, against: Against, grant: Grant, settle: Callable[[], None]) -> None:
        self.against, self.grant, self.settle = against, grant, settle
        self.config: Any = None
        self.direct = False
        self.granted: list[Entry] = []
        self.told = 0
        self.refused: dict[tuple[str, str], str] = {}


@contextmanager
def unmasking(against: Against, grant: Grant, settle: Callable[[], None], *, profile: str) -> Iterator[None]:
    """As long as the block runs, emerge unmasks what the policy allows.

    Args:
        grant: called with what is needed, before it is used; may raise to refuse the run.
        settle: called before the first package is merged, never for --pretend.
        profile: whose name the user is told.
    """
    from _emerge import actions, depgraph
    from _emerge.depgraph import depgraph as graph
    from _emerge.Scheduler import Scheduler

    run = _Run(against, grant, settle)
    with ExitStack() as held:
        for holder, name, wrap in (
            (actions, "_resolve_in_process", _noting),
            (depgraph, "_backtrack_depgraph", _resolving),
            (graph, "_pkg_visibility_check", _gating_masks),
            (graph, "_pkg_use_enabled", _gating_use),
            (graph, "display_problems", functools.partial(_telling, profile=profile)),
            (Scheduler, "merge", _settling),
        ):
            plain = getattr(holder, name)
            held.enter_context(swapped(holder, name, functools.wraps(plain)(wrap(run, plain))))
        yield


def _noting(run: _Run, plain: Any) -> Any:
    def resolve(emerge_config: Any, spinner: Any, myparams: Any, quickpkg_direct: Any) -> Any:
        run.config, run.direct = emerge_config, quickpkg_direct
        return plain(emerge_config, spinner, myparams, quickpkg_direct)

    return resolve


def _resolving(run: _Run, plain: Any) -> Any:
    def backtrack(settings: Any, trees: Any, myopts: Any, myparams: Any, *rest: Any, **named: Any) -> Any:
        if run.config is None or myparams.get("autounmask") is False:
            return plain(settings, trees, myopts, myparams, *rest, **named)
        words = {name: value for name, value in myopts.items() if not name.startswith("--autounmask")}
        words["--autounmask-backtrack"] = "y"
        leave = {f"autounmask_keep_{kind}": False for kind in ("use", "license", "keywords", "masks")}
        asked = {**myparams, "autounmask": True, **leave}
        for _ in range(_ROUNDS):
            ended = plain(settings, trees, words, asked, *rest, **named)
            resolver = ended[1]
            needed = tuple(sorted(_needed(resolver))) if resolver._dynamic_config._success_without_autounmask else ()
            fresh = tuple(one for one in needed if one.key not in {known.key for known in run.granted})
            if not fresh:
                if run.granted and ended[0]:
                    resolver._dynamic_config._need_config_reload = True  # what Portage's callers hold is the old one
                return ended
            os.environ["PORTAGE_CONFIGROOT"] = run.grant((*run.granted, *fresh))
            run.granted += fresh
            settings, trees = _reloaded(run)
        return ended

    return backtrack


def _reloaded(run: _Run) -> tuple[Any, Any]:
    """Let Portage read its configuration again; its settings and trees."""
    from _emerge.actions import _reload_config

    _reload_config(run.config, run.direct)
    settings, trees, _ = run.config
    return settings, trees


def _gating_masks(run: _Run, plain: Any) -> Any:
    def visible(self: Any, pkg: Any, autounmask_level: Any = None, trust_graph: bool = True) -> Any:
        if autounmask_level is not None and not pkg.visible:
            reasons = _reasons(self, pkg)
            denied = [kind for kind in reasons if _denied(run, kind, pkg, reasons[kind])]
            if denied:
                autounmask_level = None
        return plain(self, pkg, autounmask_level=autounmask_level, trust_graph=trust_graph)

    return visible


def _gating_use(run: _Run, plain: Any) -> Any:
    def enabled(self: Any, pkg: Any, target_use: Any = None) -> Any:
        if target_use is not None and not pkg.built and _denied(run, "use", pkg, ""):
            target_use = None
        return plain(self, pkg, target_use)

    return enabled


def _denied(run: _Run, kind: str, pkg: Any, reasons: str) -> bool:
    against = run.against(kind, Candidate(cpv=str(pkg.cpv), slot=pkg.slot, repository=pkg.repo or "", reasons=reasons))
    if against:
        run.refused[(str(pkg.cpv), kind)] = against
    return bool(against)


def _reasons(resolver: Any, pkg: Any) -> dict[str, str]:
    """What masks a package, by our kinds; for package.mask with its text."""
    from _emerge.depgraph import _get_masking_status

    settings = resolver._frozen_config.pkgsettings[pkg.root]
    found = _get_masking_status(pkg, settings, pkg.root_config, use=resolver._pkg_use_enabled(pkg))
    return {one.kind: one.told for one in masks.masked(found, pkg.cpv, pkg.repo, settings) if one.kind}


def _needed(resolver: Any) -> Iterator[Entry]:
    """What the resolver would have to change, for packages that it really wants."""
    wanted = resolver._dynamic_config
    for pkg in wanted._needed_unstable_keywords:
        if pkg in wanted.digraph:
            reasons = _reasons(resolver, pkg)
            value = "**" if "live" in reasons else reasons.get("keywords", "")
            yield Entry(atom=f"={pkg.cpv}", kind="keywords", value=value, required_by=_requesters(resolver, pkg))
    for pkg in wanted._needed_p_mask_changes:
        if pkg in wanted.digraph:
            reason = _reasons(resolver, pkg).get("mask", "")
            yield Entry(atom=f"={pkg.cpv}", kind="mask", reason=reason, required_by=_requesters(resolver, pkg))
    for pkg, (_, changes) in wanted._needed_use_config_changes.items():
        if pkg in wanted.digraph:
            flags = " ".join(flag if on else f"-{flag}" for flag, on in sorted(changes.items()))
            yield Entry(atom=f"={pkg.cpv}", kind="use", value=flags, required_by=_requesters(resolver, pkg))
    for pkg, missing in wanted._needed_license_changes.items():
        if pkg in wanted.digraph:
            names = " ".join(sorted(missing))
            yield Entry(atom=f"={pkg.cpv}", kind="license", value=names, required_by=_requesters(resolver, pkg))


def _requesters(resolver: Any, pkg: Any) -> tuple[str, ...]:
    """Who asked for a package, nearest first. Portage words it for a comment."""
    return tuple(re.findall(r"required by (\S+)", resolver._get_dep_chain_as_comment(pkg)))[:3]


def _telling(run: _Run, plain: Any, *, profile: str) -> Any:
    def display(self: Any) -> Any:
        from portage.util import writemsg

        quiet = "--quiet" in self._frozen_config.myopts
        if run.granted[run.told :] and not quiet:
            writemsg(f"\nUnmasked for profile {profile} (gentoomuch unmask ls --profile {profile}):\n\n", noiselevel=-1)
            for one in run.granted[run.told :]:
                asked = f"  # required by {', '.join(one.required_by)}" if one.required_by else ""
                writemsg(f"    {one.kind}: {one.line}{asked}\n", noiselevel=-1)
            run.told = len(run.granted)
        ended = plain(self)
        if run.refused and self._dynamic_config._unsatisfied_deps_for_display:
            writemsg(f"\nProfile {profile} did not unmask:\n\n", noiselevel=-1)
            for (cpv, kind), why in sorted(run.refused.items()):
                writemsg(f'    ={cpv}: {why}; {kind} = ["={cpv}"] under [unmask] would\n', noiselevel=-1)
        return ended

    return display


def _settling(run: _Run, plain: Any) -> Any:
    def merge(self: Any) -> Any:
        if run.granted:
            run.settle()
        return plain(self)

    return merge
