"""A plan with its configroots on disk."""

import os
from dataclasses import replace

from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.configroot import build_dir, cache, cross
from gentoomuch_portage.configroot.key import Recipe
from gentoomuch_portage.plan.plan import Plan


def lay(plan: Plan, settings: Settings) -> tuple[Plan, list[int]]:
    """The plan with its configroots on disk, and the locks that keep them there.

    Raises:
        ConfigError: a file of the configuration is wrong.
    """
    recipe = Recipe(host=settings.host, base=plan.base, config=settings.config, parts=plan.parts)
    laid = cache.lay(recipe, settings.cache)
    locks = [laid.lock]
    beside = None
    if plan.root != "/":
        beside = cache.lay(recipe._replace(building=True), settings.cache)
        locks.append(beside.lock)
    above = os.environ.get("PORTAGE_TMPDIR") or laid.facts["PORTAGE_TMPDIR"]
    done = replace(
        plan,
        configroot=str(laid.path),
        build_configroot=str(beside.path) if beside else "",
        env={**plan.env, "PORTAGE_TMPDIR": build_dir.folder(above, plan.profile)},
        cpu=laid.facts["machine"],
        build_cpu=beside.facts["machine"] if beside else "",
        abi=laid.facts["abi"],
        build_abi=beside.facts["abi"] if beside else "",
    )
    return cross.sysrooted(done), locks
