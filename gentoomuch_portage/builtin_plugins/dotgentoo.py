# SPDX-License-Identifier: GPL-2.0-or-later
"""``gm-emerge .``: build the project of this work tree, as its .gentoo directory describes it.

Nothing of a directory is executed before the user trusts it; its files are parsed strictly.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

from gentoomuch_portage import console, fs
from gentoomuch_portage.config.profile import Profile
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.dotgentoo.arguments import is_project
from gentoomuch_portage.plan.plan import EmergeOption, Note, Part, Plan, Replacement, WorkTree
from gentoomuch_portage.plan.request import Request
from gentoomuch_portage.plugins.hookspec import hookimpl
from gentoomuch_portage.portage_adapter.binpkg import DOTGENTOO, Binpkg

if TYPE_CHECKING:
    from gentoomuch_portage.dotgentoo.plan_parts import Project

_ALWAYS_BUILDS = frozenset({"--buildpkgonly", "--fetchonly", "--fetch-all-uri", "--onlydeps", "--root"})
"""Options for which the installed state is irrelevant or unknown."""


@hookimpl
def gm_parts(request: Request, settings: Settings, profile: Profile) -> Iterator[Part]:
    if not any(map(is_project, request.arguments)):
        return
    from gentoomuch_portage.dotgentoo import (
        plan_parts,
        trust,
        worktree,  # only for directories
    )
    from gentoomuch_portage.portage_adapter import emerge_arguments, installed

    action, options, targets = emerge_arguments.parse(request.arguments)
    projects = plan_parts.load_projects(word for word in targets if is_project(word))
    repositories = plan_parts.find_repositories(settings, profile)
    for project in projects:
        if action:
            yield Replacement(project.word, project.folder.cp)
            continue
        lifted = plan_parts.find_security_masks(project.folder, settings, repositories)
        yield Note(f"{project.folder.path} has the ID {project.id}")
        if not trust.is_trusted(settings.state, project.id, lifted, request.options.get("trust", "")):
            if "explain" in request.options:
                yield Note(f"{project.folder.path} is not trusted: this plan does not use it, and does not ask")
                continue
            trust.ask_user(project.folder, project.id, lifted, settings.state)
        tree = worktree.copy_tree(project.folder.project, settings.cache)
        yield from plan_parts.generate_parts(project, repositories, tree, settings.cache)
        state = f"{project.id} {tree.digest}"
        contained = "isolation" not in request.options and not trust.is_fully_trusted(
            settings.state, project.id, request.options.get("trust", "")
        )
        yield WorkTree(project.folder.cpv, tree.path, state, "yes" if contained else "")
        unchanged = (
            not options.keys() & _ALWAYS_BUILDS
            and installed.installed_worktree(project.folder.cpv, _root(profile)) == state
        )
        yield from _words(project, unchanged=unchanged, alone=len(targets) == len(projects) == 1)


def _root(profile: Profile) -> str:
    return str(profile.root) if profile.foreign else os.environ.get("ROOT") or "/"


def _words(project: "Project", *, unchanged: bool, alone: bool) -> Iterator[Part]:
    """Generate the atom; for an unchanged project only --noreplace, which --selective=n overrides."""
    if unchanged:
        console.info(f"{project.folder.cpv} is already installed from {project.folder.project}")
    if unchanged and alone:
        yield EmergeOption("--noreplace")
    yield Replacement(project.word, "" if unchanged and not alone else project.atom)


@hookimpl(wrapper=True)
def gm_run_emerge(plan: Plan) -> Iterator[None]:
    trees = [part for _, part in plan.parts if isinstance(part, WorkTree)]
    if not trees:
        return (yield)
    from gentoomuch_portage.portage_adapter import binpkg_build

    with ExitStack() as stack:
        for part in trees:
            if (lock := fs.lock_shared(part.folder)) is not None:
                stack.callback(os.close, lock)
        stack.enter_context(binpkg_build.worktrees_recorded({part.cpv: part.description for part in trees}))
        return (yield)


@hookimpl
def gm_reject_binpkg(binpkg: Binpkg, plan: Plan, settings: Settings) -> str | None:
    state = next(
        (part.description for _, part in plan.parts if isinstance(part, WorkTree) and part.cpv == binpkg.cpv), None
    )
    if state is None:
        return None
    from gentoomuch_portage.binpkg.http import BinpkgUnreadable, Pools, proxy_of_environment
    from gentoomuch_portage.binpkg.metadata import MetadataReader
    from gentoomuch_portage.binpkg.source import BadBinpkg

    try:
        pools = Pools(proxy_of_environment, binhosts=settings.logins)
        metadata = MetadataReader(settings.cache, {DOTGENTOO}, pools).read(binpkg)
    except (BadBinpkg, BinpkgUnreadable) as error:
        return f"has no record of its sources: {error.why}"
    return None if metadata.get(DOTGENTOO, "").strip() == state else "was built from another state of the work tree"
