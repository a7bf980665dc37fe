# SPDX-License-Identifier: GPL-2.0-or-later
"""List the ebuilds of a profile, and prepare their sources up to the point where user patches are applied.

Two patches stop Portage at that point. They are the only user patches in a configroot that is otherwise the profile's.
The first creates a file in the directory where patches are applied, the second is invalid. So PATCHES and all earlier
steps of the ebuild are done, and no later ones; and no function of Portage is replaced.
"""

import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import portage
from portage.dbapi.dep_expand import dep_expand
from portage.dep import Atom, isvalidatom, match_from_list
from portage.versions import catpkgsplit

from gentoomuch_portage import fs, stored
from gentoomuch_portage.errors import RunError
from gentoomuch_portage.portage_adapter.atoms import atom_errors
from gentoomuch_portage.portage_adapter.masks import Masked, find_masks
from gentoomuch_portage.portage_adapter.patching import query_environment
from gentoomuch_portage.portage_adapter.trees import find_target
from gentoomuch_portage.process import Ran


@dataclass(frozen=True, slots=True, kw_only=True)
class Ebuild:
    """A version of a package."""

    cpv: str
    category: str
    name: str
    version: str
    """Without its revision."""
    revision: str
    """``r0`` if it has none."""
    slot: str
    repository: str
    path: Path
    eapi: str
    live: bool
    visible: bool
    """Whether nothing masks it."""
    key: str
    """A digest over the ebuild, its eclasses, files and Manifest, and USE; it changes if the sources may change."""
    distdir: Path

    @property
    def pf(self) -> str:
        """Return the name with version and revision: ``hello-2.10-r1``."""
        return self.cpv.partition("/")[2]


class Ebuilds:
    """The ebuilds of all repositories of a configroot."""

    def __init__(self, trees: Any) -> None:
        """Store the trees, without reading an ebuild.

        Args:
            trees: Portage's trees of the profile's root.
        """
        self._portdb = trees["porttree"].dbapi
        self._settings = trees["porttree"].settings

    def packages(self, category: str) -> list[str]:
        """Return the names of the packages of a category, sorted; empty for an unknown category."""
        return sorted({cp.partition("/")[2] for cp in self._portdb.cp_all(categories=[category])})

    def categories(self) -> list[str]:
        """Return the categories, sorted."""
        return sorted(self._portdb.categories)

    def versions(self, cp: str) -> list[Ebuild]:
        """Return all versions of a package, the lowest first."""
        visible = {str(cpv) for cpv in self._portdb.xmatch("match-visible", cp)}
        return [self._ebuild(cpv, visible=str(cpv) in visible) for cpv in self._portdb.cp_list(cp)]

    def masked(self, ebuild: Ebuild) -> tuple[Masked, ...]:
        """Return the masks of a version; empty if it is visible."""
        if ebuild.visible:
            return ()
        every = self._portdb.cp_list(f"{ebuild.category}/{ebuild.name}")
        cpv = next(candidate for candidate in every if (candidate, candidate.repo) == (ebuild.cpv, ebuild.repository))
        return tuple(find_masks(cpv, ebuild.repository, self._portdb, self._settings))

    def means(self, text: str) -> list[Ebuild]:
        """Return the versions that an atom matches, the lowest first.

        Raises:
            LookupError: the atom is invalid, or matches packages of several categories.
        """
        expression = f"={text}" if text[:1] not in "=<>~" and isvalidatom(f"={text}") else text
        with atom_errors(text):
            atom = dep_expand(expression, mydb=self._portdb, settings=self._settings)
            atom = Atom(str(atom), allow_repo=True)
        matching = {str(cpv) for cpv in match_from_list(atom, self._portdb.cp_list(atom.cp))}
        return [ebuild for ebuild in self.versions(atom.cp) if ebuild.cpv in matching]

    def _ebuild(self, cpv: Any, *, visible: bool) -> Ebuild:
        category, name, version, revision = catpkgsplit(str(cpv))
        metadata = dict(zip(_KEYS, self._portdb.aux_get(cpv, list(_KEYS), myrepo=cpv.repo), strict=True))
        path = Path(self._portdb.findname(str(cpv), myrepo=cpv.repo))
        return Ebuild(
            cpv=str(cpv),
            category=category,
            name=name,
            version=version,
            revision=revision,
            slot=metadata["SLOT"].partition("/")[0],
            repository=cpv.repo,
            path=path,
            eapi=metadata["EAPI"],
            live="live" in metadata["PROPERTIES"].split() or "9999" in version,
            visible=visible,
            key=self._key(cpv, path, metadata["INHERITED"].split()),
            distdir=Path(self._settings["DISTDIR"]),
        )

    def _key(self, cpv: Any, path: Path, inherited: list[str]) -> str:
        total = hashlib.sha256()
        eclasses = self._portdb.repositories[cpv.repo].eclass_db.eclasses
        below = sorted(file for file in (path.parent / "files").rglob("*") if file.is_file())
        for file in (path, path.parent / "Manifest", *below, *(Path(eclasses[name].location) for name in inherited)):
            if file.is_file():
                total.update(f"{file.name}\0".encode() + file.read_bytes() + b"\0")
        settings = portage.config(clone=self._settings)
        settings.setcpv(cpv, mydb=self._portdb)
        total.update(" ".join(sorted(settings["PORTAGE_USE"].split())).encode())
        return total.hexdigest()[:16]


_KEYS = ("SLOT", "EAPI", "PROPERTIES", "INHERITED")


@contextmanager
def opened(env: Mapping[str, str]) -> Iterator[Ebuilds]:
    """Open the ebuilds of a profile while the block runs.

    Args:
        env: PORTAGE_CONFIGROOT and ROOT of the profile.
    """
    with query_environment(env) as query:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            root = query.get("ROOT", "/")
            trees = portage.create_trees(config_root=query["PORTAGE_CONFIGROOT"], target_root=root)
        yield Ebuilds(find_target(trees))
        find_target(trees)["porttree"].dbapi.close_caches()


_MARK = ".gentoomuch-applies-user-patches-here"
_HERE = f"--- /dev/null\n+++ b/{_MARK}\n@@ -0,0 +1 @@\n+here\n"
_WITHOUT = frozenset({"0", "1", "2", "3", "4", "5"})
"""EAPIs that have no user patches. Source: PMS, "eapply_user"."""
_UNUSED = 30 * 86_400
"""Seconds after which unused sources are removed."""
_LIVE = 86_400
"""Seconds for which the sources of a live ebuild are reused."""


class Unprepared(RunError):
    """Portage failed to unpack or prepare the sources of a package.

    Attributes:
        tail: the last lines of Portage's output.
    """

    code = "unprepared"

    def __init__(self, cpv: str, why: str, tail: str = "") -> None:
        last_lines = f":\n{tail}" if tail else ""
        super().__init__(f"the sources of {cpv} cannot be prepared: {why}{last_lines}")
        self.cpv, self.why, self.tail = cpv, why, tail


@dataclass(frozen=True, slots=True)
class Prepared:
    """Prepared sources, which must not be changed."""

    work: Path
    """The directory of all sources: Portage's WORKDIR."""
    tree: Path
    """The directory in it where user patches are applied."""


Prepare = Callable[[Ebuild, Mapping[str, str], Path], Ran]
"""``prepare(ebuild, env, place)`` runs Portage's ``ebuild`` up to src_prepare, with ``place/tmp`` as PORTAGE_TMPDIR.

``place/configroot`` is the PORTAGE_CONFIGROOT of ``env``. The ebuild is untrusted, and so are the files that it
creates there.
"""


def prepared(ebuild: Ebuild, env: Mapping[str, str], cache: Path, prepare: Prepare) -> Prepared:
    """Load the sources of an ebuild from ``cache/sources``, or prepare them.

    Args:
        env: PORTAGE_CONFIGROOT and ROOT of the profile.

    Raises:
        Unprepared: Portage does not get as far as the user patches.
        GmError: Portage cannot be run.
    """
    if ebuild.eapi in _WITHOUT:
        raise Unprepared(ebuild.cpv, f"its ebuild has EAPI {ebuild.eapi}, which applies no user patches")
    place = cache / "sources" / f"{ebuild.cpv.replace('/', '_')}-{ebuild.key}"
    fs.ensure(place.parent, cache=cache)
    with fs.locked(place.with_name(f".{place.name}.lock")):
        tree = _find_tree(place, ebuild)
        if tree is None:
            fs.remove(place)
            tree = place / "work" / _make(place, ebuild, env, prepare)
        os.utime(place)
        _collect(cache / "sources", place)
    return Prepared(place / "work", tree)


def _find_tree(place: Path, ebuild: Ebuild) -> Path | None:
    """Return where user patches are applied in prepared sources; None if they are missing, damaged or outdated."""

    def parse(below: str) -> Path:
        tree = place / "work" / below
        if not below or ".." in tree.parts or not tree.is_relative_to(place) or not tree.is_dir():
            raise ValueError("not a directory of the sources")
        if ebuild.live and time.time() - (place / "tree").stat().st_mtime > _LIVE:
            raise ValueError("outdated")
        return tree

    return stored.recall(place / "tree", parse)


def _make(place: Path, ebuild: Ebuild, env: Mapping[str, str], prepare: Prepare) -> str:
    """Prepare sources, and return the path below ``place/work`` where user patches are applied."""
    with fs.fresh_folder(place.parent) as fresh:
        configroot = _stopping(fresh / "configroot", Path(env["PORTAGE_CONFIGROOT"]), ebuild)
        variables = {**env, "PORTAGE_CONFIGROOT": str(configroot)}
        ended = prepare(ebuild, {**variables, **quietly({**os.environ, **variables})}, fresh)
        work = fresh / "tmp/portage" / ebuild.category / ebuild.pf / "work"
        mark = _find_mark(fresh, work)
        if mark is None:
            tail = "\n".join((ended.out + ended.err).rstrip().splitlines()[-20:])
            raise Unprepared(ebuild.cpv, f"ebuild ended with {ended.status} before user patches are applied", tail)
        mark.unlink()
        done = fresh / "done"
        done.mkdir(mode=0o700)  # private, as the build has set the modes of the files in it
        work.rename(done / "work")
        below = str(mark.parent.relative_to(work))
        (done / "tree").write_text(below, encoding="utf-8")
        done.rename(place)
        return below


def _find_mark(fresh: Path, work: Path) -> Path | None:
    """Find the mark in WORKDIR; None if Portage did not get that far, or the path contains a symbolic link."""
    way = (work, *(above for above in work.parents if above != fresh and above.is_relative_to(fresh)))
    if any(folder.is_symlink() or not folder.is_dir() for folder in way):
        return None
    return next((Path(above) / _MARK for above, _, names in os.walk(work) if _MARK in names), None)


def _stopping(configroot: Path, plain: Path, ebuild: Ebuild) -> Path:
    """Make a configroot like the profile's, whose only user patches stop Portage."""
    shown = configroot / "etc/portage"
    shown.mkdir(parents=True)
    for entry in (plain / "etc/portage").iterdir():
        if entry.name != "patches":
            (shown / entry.name).symlink_to(entry)
    patches = shown / "patches" / ebuild.category / ebuild.name
    patches.mkdir(parents=True)
    (patches / "0-here.patch").write_text(_HERE, encoding="utf-8")
    (patches / "1-stop.patch").write_text("Here gentoomuch stops.\n", encoding="utf-8")
    return configroot


def quietly(env: Mapping[str, str]) -> dict[str, str]:
    """Return variables that make Portage leave a failed build in place, and write no logs elsewhere."""
    features = f"{env.get('FEATURES', '')} -fail-clean -binpkg-logs".strip()
    return {"FEATURES": features, "PORTAGE_LOGDIR": "", "PORTAGE_ELOG_SYSTEM": "", "NOCOLOR": "yes"}


def _collect(sources: Path, but: Path) -> None:
    """Remove sources that were not used for a month, and directories that killed runs left behind."""
    for folder in sources.iterdir():
        with contextlib.suppress(OSError):
            if folder.is_dir() and folder != but and time.time() - folder.stat().st_mtime > _UNUSED:
                fs.remove_unlocked(folder)
