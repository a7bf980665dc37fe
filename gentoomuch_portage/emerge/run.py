"""The walk of a run for a profile: request, settings, plugins, plan, configroot, Portage, record.

Each step hands the next one a finished thing, and nothing goes back.
"""

import os
import time
from collections.abc import Container, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from pluggy import PluginManager

from gentoomuch_portage import __version__, console
from gentoomuch_portage.config import profile as config_profile
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.configroot import build_dir, cache, cross
from gentoomuch_portage.configroot.prepare import lay
from gentoomuch_portage.dotgentoo.arguments import folders
from gentoomuch_portage.emerge import banner
from gentoomuch_portage.errors import BadSetting, ProfileBeaten, refused
from gentoomuch_portage.events.log import Events
from gentoomuch_portage.events.reporter import Watch
from gentoomuch_portage.plan import file as plan_file
from gentoomuch_portage.plan.plan import MakeProfile, Mounted, Plan, make_plan
from gentoomuch_portage.plan.request import WORDS, Request, WordLeftOut, WordNeedsProfile
from gentoomuch_portage.plugins import manager
from gentoomuch_portage.portage_adapter import emerge, private_api
from gentoomuch_portage.portage_adapter.binpkg import Binpkg

_TIMES = 5
"""How often emerge is run at most where plugins know better after each time."""
_OF_PROFILES = frozenset({"audit", "binpkg", "cpu", "unmask"})
"""Plugins that have nothing to say where a .gentoo folder is installed without a profile: that is plain emerge."""
_KEPT_BY = {"isolation": "isolation", "locked": "unmask", "unmask": "unmask"}
"""Words, and the plugins without which they mean nothing."""
_FOR_PROFILES = ("locked", "unmask")
"""Words that mean nothing without a profile."""
_FOR_RUNS = (*_FOR_PROFILES, "isolation", "json", "no")
"""Words that mean nothing to plain emerge."""


def walk(called: str, argv: Iterable[str], plugins: Iterable[tuple[str, object]] = ()) -> int:
    """Ask, plan, run, tell; the exit status."""
    console.stand_in()
    with console.shown() as end:
        try:
            end.status = _walk(called, argv, plugins)
        except OSError as error:  # of ours: emerge answers its own
            raise refused(error) from error
    return end.status


def _walk(called: str, argv: Iterable[str], plugins: Iterable[tuple[str, object]]) -> int:
    request = Request.of(argv, os.environ, called=called)
    if not {"help", "version", "explain"}.isdisjoint(request.said):
        emerge.end_with_reader()
    if "help" in request.said or "version" in request.said:
        return _tell(request.said)
    settings = Settings.of(os.environ, eprefix=emerge.eprefix(), said=request.said)
    name = request.said.get("profile") or settings.chosen
    if not name and "plan" not in request.said:
        alone = not folders(request.words)
        _refuse(_FOR_RUNS if alone else _FOR_PROFILES, request.said)
        if alone:
            return _without(request)
    private_api.check()
    return _with(request, settings, name, plugins)


def prepare(
    request: Request, settings: Settings, name: str, plugins: Iterable[tuple[str, object]] = ()
) -> tuple[Plan, PluginManager]:
    """The plan of a request and the plugins that carry it out.

    Args:
        name: of the profile; empty where a .gentoo folder is installed without one.

    Raises:
        GmError: the profile, a plugin or the request is wrong.
    """
    plan = plan_file.read(request) if "plan" in request.said else None
    without = plan_file.without(plan) if plan else request.without if name else request.without | _OF_PROFILES
    _check_kept(request, without)
    taking_part = manager.make_manager(settings.cache, without=without, strict=settings.strict, also=plugins)
    if plan is None:
        profile = config_profile.read(settings, name) if name else config_profile.host_alone("dotgentoo")
        parts = manager.parts(taking_part, request=request, settings=settings, profile=profile)
        plan = replace(make_plan(request, profile, parts), without=",".join(sorted(without)))
    if beaten := next((word for word in request.words if word.startswith("--config-root")), ""):
        raise ProfileBeaten(beaten, plan.profile)
    return plan, taking_part


def _check_kept(request: Request, without: Container[str]) -> None:
    """Refuse a word whose plugin is left out, so that nobody would keep it."""
    for word, plugin in _KEPT_BY.items():
        if word in request.said and plugin in without and (word, request.said[word]) != ("isolation", "none"):
            raise WordLeftOut(word, plugin)


def _with(request: Request, settings: Settings, name: str, plugins: Iterable[tuple[str, object]]) -> int:
    plan, taking_part = prepare(request, settings, name, plugins)
    if plan.base == "none" and not any(isinstance(part, MakeProfile) for _, part in plan.parts):
        told, remedy = 'base = "none" needs a make_profile', "gentoomuch profile ls --gentoo"
        raise BadSetting(config_profile.read(settings, plan.profile).where("base"), 0, told, remedy=remedy)
    plan, locks = lay(plan, settings)
    if "explain" in request.said:
        plan = _with_mounts(plan, settings)
        console.say(plan.to_json().rstrip() if request.said["explain"] == "json" else console.explained(plan))
        return 0
    build_dir.make(plan)
    events = Events.into(request.said.get("json"))
    try:
        with _in_root(plan):
            return _carry_out(plan, taking_part, settings, Watch(plan, settings, taking_part, events))
    finally:
        _tell_of_altered(plan, settings)
        for lock in locks:
            os.close(lock)


def _in_root(plan: Plan) -> AbstractContextManager[None]:
    """Keep a root of the profile's own from being removed or exported meanwhile."""
    if plan.root == "/" or not emerge.changes(plan.words):
        return nullcontext()
    from gentoomuch_portage.containers import root_lock

    return root_lock.at_work(Path(plan.root))


def _with_mounts(plan: Plan, settings: Settings) -> Plan:
    """The plan with what stands in its container, where it is to be carried out in one."""
    if plan.isolation == "none":
        return plan
    from gentoomuch_portage.containers import build, spec

    laid = build.mounts(plan, settings)
    parts = tuple(("isolation", Mounted(spec.kind(one), one.target, str(one))) for one in laid)
    return replace(plan, parts=(*plan.parts, *parts))


def _tell_of_altered(plan: Plan, settings: Settings) -> None:
    """Say so where emerge wrote into a configroot, as --autounmask-write does: the next run makes it again."""
    for root in filter(None, (plan.configroot, plan.build_configroot)):
        for file in cache.altered(Path(root)):
            name = file.relative_to(Path(root) / "etc/portage")
            console.warn(f"emerge wrote {name} into a configroot that will not last: {file}")
            console.tell(f"gentoomuch:     try: copy what it says into a layer, below {settings.config}/layers")


def _carry_out(plan: Plan, taking_part: PluginManager, settings: Settings, watch: Watch) -> int:
    """Run emerge, and tell who listens how it began and how it ended, however it ended."""
    watch.begin()
    begun, status = time.time(), 70

    def reject(binpkg: Binpkg) -> str | None:
        reason: str | None = manager.first(taking_part, "gm_reject_binpkg", binpkg=binpkg, plan=plan, settings=settings)
        if reason:
            watch.refused(binpkg.name, binpkg.where, reason)
        return reason

    try:
        for _ in range(_TIMES):
            asked = {"plan": plan, "settings": settings, "reject": reject, "watch": watch}
            status = int(manager.first(taking_part, "gm_run_emerge", **asked))
            if status == 0 or not manager.first(taking_part, "gm_again", plan=plan, settings=settings, status=status):
                break
        banner.tell(plan.words, plan)
        if status and plan.root != "/" and (error := cross.lacks(plan)):
            console.refuse(error)  # emerge said only that something failed, and its status stands
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
        raise
    except KeyboardInterrupt as signalled:
        status = 128 + getattr(signalled, "number", 2)
        raise
    finally:
        seconds = time.time() - begun
        watch.end(status, seconds)
        told: dict[str, Any] = {"plan": plan, "settings": settings, "status": status, "seconds": seconds}
        manager.hear(taking_part, "gm_after_run", **told)
    return status


def _refuse(words: Iterable[str], said: Mapping[str, str]) -> None:
    """Refuse words that would be dropped; no isolation is what there is anyway."""
    for word in words:
        if word in said and (word, said[word]) != ("isolation", "none"):
            raise WordNeedsProfile(word)


def _without(request: Request) -> int:
    """Plain emerge, though a word of ours was there."""
    if request.said.get("explain") == "json":
        plain = Plan(profile="", base="host", root=os.environ.get("ROOT") or "/", words=request.words)
        console.say(plain.to_json().rstrip())
        return 0
    if "explain" in request.said:
        console.say("no profile is given or set: this is plain emerge " + " ".join(request.words))
        return 0
    status = emerge.emerge(request.words)
    banner.tell(request.words)
    return status


def _tell(said: Mapping[str, str]) -> int:
    if "version" in said:
        console.say(f"gentoomuch-portage {__version__} (Portage {private_api.version()})")
    else:
        console.say("Usage: gm-emerge [--gm-WORD[=VALUE] ...] [any word of emerge ...]\n" + console.our_words(WORDS))
    return 0
