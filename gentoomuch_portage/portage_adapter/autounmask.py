# SPDX-License-Identifier: GPL-2.0-or-later
"""Control emerge's own autounmask by a policy, and grant its changes without writing to files of the user.

The policy decides before the resolver considers a masked package. If the resolver requires only configuration changes,
they are granted in a configroot that includes them. Portage then reloads its configuration as for
--autounmask-continue, and resolves again within the same "Calculating dependencies".
"""

import functools
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from _emerge import actions, depgraph
from _emerge.depgraph import depgraph as graph
from _emerge.Scheduler import Scheduler
from portage.util import writemsg

from gentoomuch_portage.portage_adapter import masks, private_api
from gentoomuch_portage.portage_adapter.patching import swapped
from gentoomuch_portage.unmask.ledger import Entry
from gentoomuch_portage.unmask.policy import Candidate

Against = Callable[[str, Candidate], str | None]
"""Kind and package -> the reason not to unmask it, or None."""
Grant = Callable[[tuple[Entry, ...]], str]
"""Required entries -> the configroot that includes them."""

_ROUNDS = 20
"""The maximum number of rounds. Each round grants at least one more entry; a longer chain is a loop."""


class _Run:
    """The state of a run.

    Attributes:
        config: Portage's emerge_config, set before it resolves.
        printed: number of granted entries that were printed.
        rejected: ``(cpv, kind)`` -> the reason.
    """

    def __init__(self, against: Against, grant: Grant, settle: Callable[[], None]) -> None:
        self.against, self.grant, self.settle = against, grant, settle
        self.config: Any = None
        self.granted: list[Entry] = []
        self.printed = 0
        self.rejected: dict[tuple[str, str], str] = {}


@private_api.optional(private_api.UNMASK)
@contextmanager
def unmasking(against: Against, grant: Grant, settle: Callable[[], None], *, profile: str) -> Iterator[None]:
    """Let emerge unmask the packages that the policy allows while the block runs.

    Args:
        grant: is called with the required entries before they are used; may raise an error to end the run.
        settle: is called before the first package is merged; not for --pretend.
        profile: the name to print.
    """
    run = _Run(against, grant, settle)
    with ExitStack() as held:
        for holder, name, wrap in (
            (actions, "action_build", _noting),
            (depgraph, "_backtrack_depgraph", _resolving),
            (graph, "_pkg_visibility_check", _gating_masks),
            (graph, "_pkg_use_enabled", _gating_use),
            (graph, "display_problems", functools.partial(_printing, profile=profile)),
            (Scheduler, "merge", _settling),
        ):
            plain = getattr(holder, name)
            held.enter_context(swapped(holder, name, functools.wraps(plain)(wrap(run, plain))))
        yield


def _noting(run: _Run, plain: Any) -> Any:
    def build(emerge_config: Any, *rest: Any, **named: Any) -> Any:
        run.config = emerge_config
        return plain(emerge_config, *rest, **named)

    return build


def _resolving(run: _Run, plain: Any) -> Any:
    def backtrack(settings: Any, trees: Any, myopts: Any, myparams: Any, *rest: Any, **named: Any) -> Any:
        if run.config is None or myparams.get("autounmask") is False:
            return plain(settings, trees, myopts, myparams, *rest, **named)
        words = {name: value for name, value in myopts.items() if not name.startswith("--autounmask")}
        words["--autounmask-backtrack"] = "y"
        leave = {f"autounmask_keep_{kind}": False for kind in ("use", "license", "keywords", "masks")}
        parameters = {**myparams, "autounmask": True, **leave}
        for _ in range(_ROUNDS):
            ended = plain(settings, trees, words, parameters, *rest, **named)
            resolver = ended[1]
            needed = tuple(sorted(_needed(resolver))) if resolver._dynamic_config._success_without_autounmask else ()
            fresh = tuple(entry for entry in needed if entry.key not in {known.key for known in run.granted})
            if not fresh:
                if run.granted and ended[0]:
                    resolver._dynamic_config._need_config_reload = True  # the configuration of the callers is outdated
                return ended
            os.environ["PORTAGE_CONFIGROOT"] = run.grant((*run.granted, *fresh))
            run.granted += fresh
            settings, trees = _reloaded(run)
        return ended

    return backtrack


def _reloaded(run: _Run) -> tuple[Any, Any]:
    """Reload Portage's configuration, and return its settings and trees.

    Source: _reload_config in _emerge/actions.py of Portage 3.0.83, the same steps as in action_build of 3.0.77.
    """
    config, options = run.config, run.config.opts
    actions.load_emerge_config(emerge_config=config)
    actions.adjust_configs(options, config.trees)
    direct = _takes_installed(config)
    if options.get("--getbinpkg") is True or direct:
        more = {"add_repos": (config.running_config.trees["vartree"].dbapi,)} if direct else {}
        for option in ("--getbinpkg-exclude", "--getbinpkg-include"):
            if option in options:
                more[option.strip("-").replace("-", "_")] = options[option]
        for trees in config.trees.values():
            trees["bintree"].populate(getbinpkgs=True, getbinpkg_refresh=False, **more)
    return config.target_config.settings, config.trees


def _takes_installed(config: Any) -> bool:
    """Whether --quickpkg-direct takes installed packages as binary packages. Source: action_build of Portage 3.0.83."""
    options, running = config.opts, config.running_config.settings["ROOT"]
    taken = os.path.normpath(Path(options.get("--quickpkg-direct-root", running)).absolute())
    own = os.path.normpath(config.target_config.settings["ROOT"])
    return options.get("--usepkg") is True and options.get("--quickpkg-direct", "n") == "y" and taken != own


def _gating_masks(run: _Run, plain: Any) -> Any:
    def visible(self: Any, pkg: Any, autounmask_level: Any = None, trust_graph: bool = True) -> Any:
        if autounmask_level is not None and not pkg.visible:
            reasons = _reasons(self, pkg)
            denied = [kind for kind in reasons if _is_denied(run, kind, pkg, reasons[kind])]
            if denied:
                autounmask_level = None
        return plain(self, pkg, autounmask_level=autounmask_level, trust_graph=trust_graph)

    return visible


def _gating_use(run: _Run, plain: Any) -> Any:
    def enabled(self: Any, pkg: Any, target_use: Any = None) -> Any:
        if target_use is not None and not pkg.built and _is_denied(run, "use", pkg, ""):
            target_use = None
        return plain(self, pkg, target_use)

    return enabled


def _is_denied(run: _Run, kind: str, pkg: Any, reasons: str) -> bool:
    against = run.against(kind, Candidate(cpv=str(pkg.cpv), slot=pkg.slot, repository=pkg.repo or "", reasons=reasons))
    if against:
        run.rejected[(str(pkg.cpv), kind)] = against
    return bool(against)


def _reasons(resolver: Any, pkg: Any) -> dict[str, str]:
    """Return the masks of a package: kind -> reason."""
    settings = resolver._frozen_config.pkgsettings[pkg.root]
    masking = depgraph._get_masking_status(pkg, settings, pkg.root_config, use=resolver._pkg_use_enabled(pkg))
    return {mask.kind: mask.values for mask in masks.masked(masking, pkg.cpv, pkg.repo, settings) if mask.kind}


def _needed(resolver: Any) -> Iterator[Entry]:
    """Yield the entries that packages in the resolver's graph require."""
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
    """Return at most three packages that require a package, nearest first, from the text of Portage's comment."""
    return tuple(re.findall(r"required by (\S+)", resolver._get_dep_chain_as_comment(pkg)))[:3]


def _printing(run: _Run, plain: Any, *, profile: str) -> Any:
    def display(self: Any) -> Any:
        quiet = "--quiet" in self._frozen_config.myopts
        if run.granted[run.printed :] and not quiet:
            writemsg(f"\nUnmasked for profile {profile} (gentoomuch unmask ls --profile {profile}):\n\n", noiselevel=-1)
            for entry in run.granted[run.printed :]:
                comment = f"  # required by {', '.join(entry.required_by)}" if entry.required_by else ""
                writemsg(f"    {entry.kind}: {entry.line}{comment}\n", noiselevel=-1)
            run.printed = len(run.granted)
        ended = plain(self)
        if run.rejected and self._dynamic_config._unsatisfied_deps_for_display:
            writemsg(f"\nProfile {profile} did not unmask:\n\n", noiselevel=-1)
            for (cpv, kind), why in sorted(run.rejected.items()):
                writemsg(f'    ={cpv}: {why}; {kind} = ["={cpv}"] under [unmask] would\n', noiselevel=-1)
        return ended

    return display


def _settling(run: _Run, plain: Any) -> Any:
    def merge(self: Any) -> Any:
        if run.granted:
            run.settle()
        return plain(self)

    return merge
