# SPDX-License-Identifier: GPL-2.0-or-later
"""Compare the packages of a root with visible ebuilds, and with Gentoo's security advisories (GLSA)."""

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple
from xml.parsers.expat import ExpatError

from portage import create_trees
from portage.glsa import Glsa, GlsaFormatException, GlsaTypeException, get_applied_glsas, get_glsa_list
from portage.versions import pkgcmp, pkgsplit

from gentoomuch_portage.portage_adapter.patching import query_environment
from gentoomuch_portage.portage_adapter.trees import find_target

_PACKAGE = re.compile(rb"<package\s[^>]*?name\s*=\s*[\"']([^\"']*)")


class Advisory(NamedTuple):
    """A security advisory that affects a root."""

    id: str
    """As in its file name: ``202401-15``."""
    title: str
    """Its title, or why it cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outdated:
    """An installed package that is not the best version of its slot."""

    cpv: str
    newest: str
    """The best visible version in the same slot; empty if the slot has none any more."""
    behind: int
    """Number of newer visible versions; 0 if ``newest`` is empty or older."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """The packages of a root."""

    installed: int
    outdated: tuple[Outdated, ...]
    """Sorted by name."""
    advisories: tuple[Advisory, ...]
    """Security advisories that affect it."""


def load_root(env: Mapping[str, str]) -> Root:
    """Compare the installed packages of a profile's root with the visible ebuilds of the profile.

    Args:
        env: PORTAGE_CONFIGROOT and ROOT of the profile.
    """
    with query_environment(env) as query, redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        trees = create_trees(query.get("PORTAGE_CONFIGROOT"), query.get("ROOT"))
        here = find_target(trees)
        vardb, portdb = here["vartree"].dbapi, here["porttree"].dbapi
        cpvs = vardb.cpv_all()
        outdated = tuple(find_outdated(vardb, portdb))
        advisories = _find_advisories(here, {cpv.cp for cpv in cpvs})
        portdb.close_caches()
    return Root(installed=len(cpvs), outdated=outdated, advisories=advisories)


def find_outdated(vardb: Any, portdb: Any) -> Iterator[Outdated]:
    """Find the installed packages that are not the best visible version of their slot, sorted.

    Args:
        vardb: Portage's database of installed packages.
        portdb: that of ebuilds, of the same root.
    """
    for cpv in sorted(vardb.cpv_all()):
        pkg = vardb._pkg_str(cpv, None)
        visible = [str(ebuild) for ebuild in portdb.xmatch("match-visible", f"{pkg.cp}:{pkg.slot}")]
        if not visible or visible[-1] != str(cpv):
            newer = [ebuild for ebuild in visible if (pkgcmp(pkgsplit(ebuild), pkgsplit(str(cpv))) or 0) > 0]
            yield Outdated(cpv=str(cpv), newest=visible[-1] if visible else "", behind=len(newer))


def _find_advisories(trees: Any, installed: Collection[str]) -> tuple[Advisory, ...]:
    """Return the advisories that affect a root, sorted by id; without those that the admin marked as applied.

    Args:
        trees: Portage's trees of the root.
        installed: the names of its packages, ``cat/pkg``. Only advisories of these are parsed, since parsing takes
            2 ms each, and Gentoo has thousands.
    """
    settings = trees["vartree"].settings
    folder = Path(settings.get("GLSA_DIR") or f"{settings['PORTDIR']}/metadata/glsa")
    names = {name.encode() for name in installed}
    left = set(get_glsa_list(settings)).difference(get_applied_glsas(settings))
    wanted = (id for id in sorted(left) if names.intersection(_PACKAGE.findall(_read(folder, id))))
    return tuple(advisory for id in wanted for advisory in _load_affecting(trees, settings, id))


def _read(folder: Path, id: str) -> bytes:
    return (folder / f"glsa-{id}.xml").read_bytes()


def _load_affecting(trees: Any, settings: Any, id: str) -> Iterator[Advisory]:
    """Load an advisory if it affects the root, or if it cannot be read."""
    try:
        advisory = Glsa(id, settings, trees["vartree"].dbapi, trees["porttree"].dbapi)
        if advisory.isVulnerable():
            yield Advisory(id, advisory.title)
    except (GlsaFormatException, GlsaTypeException, ExpatError, IndexError, KeyError, ValueError) as error:
        yield Advisory(id, f"cannot read this advisory: {error}")
