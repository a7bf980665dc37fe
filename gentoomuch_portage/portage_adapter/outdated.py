"""What of a root is out of date, by Portage's own account."""

from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO

from gentoomuch_portage.portage_adapter.swap import looking


@dataclass(frozen=True, slots=True, kw_only=True)
class Outdated:
    """An installed package that is not the best of its slot."""

    cpv: str
    newest: str
    """The best that nothing masks, in the same slot; empty where there is none any more."""
    behind: int
    """How many versions lie between, the newest one counted; 0 where there is none, or it is older."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """What is installed in a root."""

    installed: int
    outdated: tuple[Outdated, ...]
    """By name."""


def looked_at(env: Mapping[str, str]) -> Root:
    """What is installed in a profile's root, held against the ebuilds that the profile has and does not mask.

    Args:
        env: PORTAGE_CONFIGROOT and ROOT of the profile.
    """
    from portage import create_trees
    from portage.versions import pkgcmp, pkgsplit

    with looking(env) as env, redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        trees = create_trees(env.get("PORTAGE_CONFIGROOT"), env.get("ROOT"))
        here = trees[trees._target_eroot]
        vardb, portdb = here["vartree"].dbapi, here["porttree"].dbapi
        found = []
        every = sorted(vardb.cpv_all())
        for cpv in every:
            pkg = vardb._pkg_str(cpv, None)
            offered = [str(one) for one in portdb.xmatch("match-visible", f"{pkg.cp}:{pkg.slot}")]
            if not offered or offered[-1] != str(cpv):
                newer = [one for one in offered if (pkgcmp(pkgsplit(one), pkgsplit(str(cpv))) or 0) > 0]
                found.append(Outdated(cpv=str(cpv), newest=offered[-1] if offered else "", behind=len(newer)))
        portdb.close_caches()
    return Root(installed=len(every), outdated=tuple(found))
