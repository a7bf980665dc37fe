# SPDX-License-Identifier: GPL-2.0-or-later
"""Turn a wish for a package into jobs. The keys of jobs are made here, from this machine's own files, and only here."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.containers import cleanup, lifecycle
from gentoomuch_portage.emerge import profile_view
from gentoomuch_portage.emerge.profile_view import View
from gentoomuch_portage.errors import RunError
from gentoomuch_portage.farm.jobs import NewJob
from gentoomuch_portage.isa import compiler
from gentoomuch_portage.plan.plan import Plan
from gentoomuch_portage.portage_adapter import atoms, build_inputs, ebuilds
from gentoomuch_portage.portage_adapter.dependency_graph import Graph, Node
from gentoomuch_portage.portage_adapter.ebuilds import Ebuilds
from gentoomuch_portage.single_build import run

_BUILD = frozenset({"DEPEND", "BDEPEND", "IDEPEND"})
_RUN = frozenset({"RDEPEND", "PDEPEND", "IDEPEND"})
_FORMAT = 1
"""Of the inputs; a change of it changes all keys."""


def dependency_cycle(cpv: str, names: Iterable[str]) -> RunError:
    """Packages need each other before they can be built; the farm cannot resolve that."""
    text = f"cannot build {cpv}: a cycle of dependencies: {' '.join(names)}"
    return RunError(text, code="dependency-cycle", hint="gentoomuch build --help")


def plan_wishes(settings: Settings, profile: str, wishes: Iterable[str]) -> Iterator[NewJob]:
    """Yield the jobs of wishes, those first that others need; a job may come several times.

    Args:
        wishes: atoms; of each, the best visible version is built.

    Raises:
        RunError[no-ebuild]: there is none.
        GmError: as ``plan_jobs``.
    """
    with profile_view.load_view(settings, profile) as view:
        cleanup.recover(settings, view.plan)
        with ebuilds.opened(profile_view.environment(view)) as opened:
            names = [_choose_version(opened, wish, profile) for wish in wishes]
        for cpv in names:
            with lifecycle.run_directory(settings.cache) as folder:
                yield from plan_jobs(view, settings, cpv, folder)


def _choose_version(opened: Ebuilds, wish: str, profile: str) -> str:
    try:
        visible = [ebuild.cpv for ebuild in opened.means(wish) if ebuild.visible]
    except LookupError as error:
        raise run.no_ebuild(wish, profile, str(error)) from error
    if not visible:
        raise run.no_ebuild(wish, profile, "no visible version matches")
    return visible[-1]


def plan_jobs(view: View, settings: Settings, cpv: str, folder: Path) -> tuple[NewJob, ...]:
    """Return the jobs of a package, those first that others need.

    Args:
        folder: a new directory.

    Raises:
        RunError[dependency-cycle]: packages need each other.
        GmError: as ``single_build.run.resolve_with_ebuilds``.
    """
    plan, graph = run.resolve_with_ebuilds(view, settings, cpv, folder)
    built = {node.cpv: node for node in graph.nodes if node.source == "ebuild"}
    needs = {name: set(_list_needs(graph, node)) & built.keys() for name, node in built.items()}
    try:
        order = [*TopologicalSorter(needs).static_order()]
    except CycleError as error:
        raise dependency_cycle(cpv, error.args[1]) from error
    env = {"PORTAGE_CONFIGROOT": plan.configroot, **plan.env}
    inputs = build_inputs.read_inputs(env, built.values())
    texts = {name: _describe(plan, graph, node, inputs[name]) for name, node in built.items()}
    keys = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
    return tuple(NewJob(keys[name], name, texts[name], tuple(sorted(keys[each] for each in needs[name])))
                 for name in order)  # fmt: skip


def _list_needs(graph: Graph, node: Node) -> Iterator[str]:
    """Yield what the build of a package installs: its dependencies for the build, with all that they need to run."""
    nodes = {each.name: each for each in graph.nodes}
    pending, seen = list(_list_targets(node, _BUILD)), set()
    while pending:
        name = pending.pop()
        if name not in seen:
            seen.add(name)
            yield name
            pending += _list_targets(nodes[name], _RUN)


def _list_targets(node: Node, kinds: frozenset[str]) -> Iterator[str]:
    for edge in node.edges:
        if edge.kind in kinds:
            yield from edge.packages


def _describe(plan: Plan, graph: Graph, node: Node, inputs: Mapping[str, Any]) -> str:
    """Return all inputs of a build as JSON; of its dependencies only the slots, to which it may be bound."""
    nodes = {each.name: each for each in graph.nodes}
    names = {name for edge in node.edges for name in edge.packages}
    slots = sorted({f"{atoms.package_of(nodes[name].cpv)}:{nodes[name].slot}/{nodes[name].subslot}" for name in names})
    values = inputs["variables"].values()
    machine = compiler.identify_cpu() if any("=native" in value for value in (*values, plan.cpu)) else ""
    described = {**inputs, "format": _FORMAT, "cpu": plan.cpu, "machine": machine, "dependencies": slots}
    return json.dumps(described, sort_keys=True, separators=(",", ":"))
