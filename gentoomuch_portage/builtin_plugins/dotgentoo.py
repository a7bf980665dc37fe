"""``gm-emerge .``: the project in this work tree, as its .gentoo folder says, for this run.

Nothing of a folder is run before it was allowed; what may be read before is read strictly.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

from gentoomuch_portage import console, fs
from gentoomuch_portage.config.profile import Profile
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.dotgentoo.arguments import means_folder
from gentoomuch_portage.plan.plan import Instead, Part, Plan, Show, Tree, Word
from gentoomuch_portage.plan.request import Request
from gentoomuch_portage.plugins.hookspec import hookimpl
from gentoomuch_portage.portage_adapter import emerge
from gentoomuch_portage.portage_adapter.binpkg import Binpkg

if TYPE_CHECKING:
    from gentoomuch_portage.dotgentoo.plan_parts import Project

_BUILDS_ANYHOW = frozenset({"--buildpkgonly", "--fetchonly", "--fetch-all-uri", "--onlydeps", "--root"})
"""Options with which it does not matter, or cannot be told, what is installed."""


@hookimpl
def gm_parts(request: Request, settings: Settings, profile: Profile) -> Iterator[Part]:
    if not any(map(means_folder, request.words)):
        return
    from gentoomuch_portage.dotgentoo import (
        plan_parts,
        trust,
        worktree,  # only where a word means a folder
    )
    from gentoomuch_portage.portage_adapter import installed

    action, options, targets = emerge.asked(request.words)
    projects = plan_parts.projects(word for word in targets if means_folder(word))
    there = plan_parts.repositories(settings, profile)
    for one in projects:
        if action:
            yield Instead(one.word, one.folder.cp)
            continue
        lifted = plan_parts.security(one.folder, settings, there)
        yield Show(f"{one.folder.path} has the ID {one.id}")
        if not trust.allows(settings.state, one.id, lifted, request.said.get("trust", "")):
            if "explain" in request.said:
                yield Show(f"{one.folder.path} has not been allowed: nothing of it is used, nor asked for in this plan")
                continue
            trust.ask(one.folder, one.id, lifted, settings.state)
        tree = worktree.copied(one.folder.project, settings.cache)
        yield from plan_parts.added(one, there, tree, settings.cache)
        told = f"{one.id} {tree.digest}"
        contained = "isolation" not in request.said and not trust.fully(
            settings.state, one.id, request.said.get("trust", "")
        )
        yield Tree(one.folder.cpv, tree.path, told, "yes" if contained else "")
        unchanged = (
            not options & _BUILDS_ANYHOW and installed.installed_worktree(one.folder.cpv, _root(profile)) == told
        )
        yield from _words(one, unchanged=unchanged, alone=len(targets) == len(projects) == 1)


def _root(profile: Profile) -> str:
    return str(profile.root) if profile.foreign else os.environ.get("ROOT") or "/"


def _words(project: "Project", *, unchanged: bool, alone: bool) -> Iterator[Part]:
    """The atom; of an unchanged project only what emerge's own --noreplace does, which --selective=n takes back."""
    if unchanged:
        console.tell(f"{project.folder.cpv} is installed from {project.folder.project} as it is")
    if unchanged and alone:
        yield Word("--noreplace")
    yield Instead(project.word, "" if unchanged and not alone else project.atom)


@hookimpl(wrapper=True)
def gm_run_emerge(plan: Plan) -> Iterator[None]:
    found = [part for _, part in plan.parts if isinstance(part, Tree)]
    if not found:
        return (yield)
    from gentoomuch_portage.portage_adapter import installed

    with ExitStack() as around:
        for part in found:
            if (lock := fs.hold(part.folder)) is not None:
                around.callback(os.close, lock)
        around.enter_context(installed.told({part.cpv: part.told for part in found}))
        return (yield)


@hookimpl
def gm_reject_binpkg(binpkg: Binpkg, plan: Plan, settings: Settings) -> str | None:
    told = next((part.told for _, part in plan.parts if isinstance(part, Tree) and part.cpv == binpkg.cpv), None)
    if told is None:
        return None
    from gentoomuch_portage.binpkg.http import Pools, Unread, proxy_of_environment
    from gentoomuch_portage.binpkg.metadata import Reader
    from gentoomuch_portage.binpkg.source import BadBinpkg
    from gentoomuch_portage.portage_adapter import installed

    try:
        found = Reader(settings.cache, {installed.NAME}, Pools(proxy_of_environment)).read(binpkg)
    except (BadBinpkg, Unread) as error:
        return f"does not tell what it was built from: {error.why}"
    return None if found.get(installed.NAME, "").strip() == told else "was built from another state of the work tree"
