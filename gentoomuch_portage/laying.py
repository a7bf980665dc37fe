"""A plan with its configroots on disk."""

import os
from dataclasses import replace

from gentoomuch_portage import configroot
from gentoomuch_portage.plan import Plan
from gentoomuch_portage.recipe import Recipe
from gentoomuch_portage.settings import Settings


def lay(plan: Plan, settings: Settings) -> tuple[Plan, list[int]]:
    """The plan with its configroots on disk, and the locks that keep them there.

    Raises:
        ConfigError: a file of the configuration is wrong.
    """
    recipe = Recipe(host=settings.host, base=plan.base, config=settings.config, parts=plan.parts)
    laid = configroot.lay(recipe, settings.cache)
    locks = [laid.lock]
    building = build_cpu = ""
    if plan.root != "/":
        beside = configroot.lay(recipe._replace(building=True), settings.cache)
        building = str(beside.path)
        build_cpu = beside.facts["machine"]
        locks.append(beside.lock)
    above = os.environ.get("PORTAGE_TMPDIR") or laid.facts["PORTAGE_TMPDIR"]
    env = {**plan.env, "PORTAGE_TMPDIR": f"{above}/gentoomuch-{os.geteuid()}/{plan.profile}"}
    cpu = laid.facts["machine"]
    done = replace(plan, configroot=str(laid.path), build_configroot=building, env=env, cpu=cpu, build_cpu=build_cpu)
    return done, locks
