"""Sources as user patches find them: unpacked and prepared by Portage, up to the moment when they are applied.

Portage is stopped there by two patches of ours, the only ones in a configroot that is otherwise the profile's: the
first leaves a file where patches are applied, the second is none. So PATCHES and all that an ebuild does before have
happened, and nothing that it does after; and no function of Portage is replaced.

The ebuilds that a profile has, with all that says what their sources are.
"""

import contextlib
import hashlib
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from gentoomuch_portage import fs
from gentoomuch_portage.errors import RunError
from gentoomuch_portage.portage_adapter.masks import Masked, masked
from gentoomuch_portage.portage_adapter.patching import looking
from gentoomuch_portage.process import run


@dataclass(frozen=True, slots=True, kw_only=True)
class Ebuild:
    """A version of a package."""

    cpv: str
    category: str
    name: str
    version: str
    """Without its revision."""
    revision: str
    """``r0`` where it has none."""
    slot: str
    repository: str
    path: Path
    eapi: str
    live: bool
    visible: bool
    """Whether nothing masks it."""
    key: str
    """Changes whenever its sources may: a digest over the ebuild, its eclasses, files and Manifest, and USE."""
    distdir: Path

    @property
    def pf(self) -> str:
        """``hello-2.10-r1``."""
        return self.cpv.partition("/")[2]


class Ebuilds:
    """The ebuilds of all repositories of a configroot."""

    def __init__(self, trees: Any) -> None:
        """Look at nothing yet.

        Args:
            trees: Portage's, of the root that the profile is for.
        """
        self._portdb = trees["porttree"].dbapi
        self._settings = trees["porttree"].settings

    def packages(self, category: str) -> list[str]:
        """The names of the packages of a category, sorted; empty where there is no such category."""
        return sorted({cp.partition("/")[2] for cp in self._portdb.cp_all(categories=[category])})

    def categories(self) -> list[str]:
        """The categories, sorted."""
        return sorted(self._portdb.categories)

    def of(self, cp: str) -> list[Ebuild]:
        """All versions of a package, the lowest first."""
        visible = {str(one) for one in self._portdb.xmatch("match-visible", cp)}
        return [self._ebuild(cpv, visible=str(cpv) in visible) for cpv in self._portdb.cp_list(cp)]

    def masked(self, ebuild: Ebuild) -> tuple[Masked, ...]:
        """What masks a version; empty where it is visible."""
        import portage
        from portage.package.ebuild.getmaskingstatus import _getmaskingstatus

        if ebuild.visible:
            return ()
        settings = portage.config(clone=self._settings)
        found = _getmaskingstatus(ebuild.cpv, settings, self._portdb, ebuild.repository)
        every = self._portdb.cp_list(f"{ebuild.category}/{ebuild.name}")
        cpv = next(one for one in every if (one, one.repo) == (ebuild.cpv, ebuild.repository))
        return tuple(masked(found, cpv, ebuild.repository, settings))

    def means(self, text: str) -> list[Ebuild]:
        """The versions that an atom means, the lowest first.

        Raises:
            LookupError: it is none, or means packages of several categories.
        """
        from portage.dbapi.dep_expand import dep_expand
        from portage.dep import Atom, isvalidatom, match_from_list
        from portage.exception import AmbiguousPackageName, InvalidAtom

        asked = f"={text}" if text[:1] not in "=<>~" and isvalidatom(f"={text}") else text
        try:
            atom = dep_expand(asked, mydb=self._portdb, settings=self._settings)
            atom = Atom(str(atom), allow_repo=True)
        except AmbiguousPackageName as error:
            raise LookupError(f"{text!r} means {' and '.join(error.args[0])}") from error
        except InvalidAtom as error:
            raise LookupError(f"{text!r} is no atom") from error
        matching = {str(one) for one in match_from_list(atom, self._portdb.cp_list(atom.cp))}
        return [one for one in self.of(atom.cp) if one.cpv in matching]

    def _ebuild(self, cpv: Any, *, visible: bool) -> Ebuild:
        from portage.versions import catpkgsplit

        category, name, version, revision = catpkgsplit(str(cpv))
        told = dict(zip(_KEYS, self._portdb.aux_get(cpv, list(_KEYS), myrepo=cpv.repo), strict=True))
        path = Path(self._portdb.findname(str(cpv), myrepo=cpv.repo))
        return Ebuild(
            cpv=str(cpv),
            category=category,
            name=name,
            version=version,
            revision=revision,
            slot=told["SLOT"].partition("/")[0],
            repository=cpv.repo,
            path=path,
            eapi=told["EAPI"],
            live="live" in told["PROPERTIES"].split() or "9999" in version,
            visible=visible,
            key=self._key(cpv, path, told["INHERITED"].split()),
            distdir=Path(self._settings["DISTDIR"]),
        )

    def _key(self, cpv: Any, path: Path, inherited: list[str]) -> str:
        import portage

        total = hashlib.sha256()
        eclasses = self._portdb.repositories[cpv.repo].eclass_db.eclasses
        below = sorted(one for one in (path.parent / "files").rglob("*") if one.is_file())
        for one in (path, path.parent / "Manifest", *below, *(Path(eclasses[name].location) for name in inherited)):
            if one.is_file():
                total.update(f"{one.name}\0".encode() + one.read_bytes() + b"\0")
        settings = portage.config(clone=self._settings)
        settings.setcpv(cpv, mydb=self._portdb)
        total.update(" ".join(sorted(settings["PORTAGE_USE"].split())).encode())
        return total.hexdigest()[:16]


_KEYS = ("SLOT", "EAPI", "PROPERTIES", "INHERITED")


@contextmanager
def opened(env: Mapping[str, str]) -> Iterator[Ebuilds]:
    """The ebuilds of a profile.

    Args:
        env: PORTAGE_CONFIGROOT and ROOT of the profile.
    """
    import portage

    with looking(env) as env:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            root = env.get("ROOT", "/")
            trees = portage.create_trees(config_root=env["PORTAGE_CONFIGROOT"], target_root=root)
        yield Ebuilds(trees[trees._target_eroot])
        trees[trees._target_eroot]["porttree"].dbapi.close_caches()


_MARK = ".gentoomuch-applies-user-patches-here"
_HERE = f"--- /dev/null\n+++ b/{_MARK}\n@@ -0,0 +1 @@\n+here\n"
_WITHOUT = frozenset({"0", "1", "2", "3", "4", "5"})
"""EAPIs that have no user patches. Source: PMS, "eapply_user"."""
_UNUSED = 30 * 86_400
"""Seconds after which sources that nobody used are removed."""
_LIVE = 86_400
"""Seconds for which the sources of a live ebuild are taken again."""


class Unprepared(RunError):
    """The sources of a package cannot be had as user patches would find them.

    Attributes:
        tail: what Portage said last.
    """

    code = "unprepared"

    def __init__(self, cpv: str, why: str, tail: str = "") -> None:
        told = f":\n{tail}" if tail else ""
        super().__init__(f"the sources of {cpv} cannot be prepared: {why}{told}")
        self.cpv, self.why, self.tail = cpv, why, tail


@dataclass(frozen=True, slots=True)
class Prepared:
    """Sources that are not to be changed."""

    work: Path
    """All of them: Portage's WORKDIR."""
    tree: Path
    """The folder in it where user patches are applied."""


def prepared(ebuild: Ebuild, env: Mapping[str, str], cache: Path) -> Prepared:
    """The sources of an ebuild, made once and kept below ``cache/sources``.

    Args:
        env: PORTAGE_CONFIGROOT and ROOT of the profile.

    Raises:
        Unprepared: Portage does not get so far.
        MissingProgram: Portage's ``ebuild`` is not on PATH.
    """
    if ebuild.eapi in _WITHOUT:
        raise Unprepared(ebuild.cpv, f"its ebuild has EAPI {ebuild.eapi}, which applies no user patches")
    place = cache / "sources" / f"{ebuild.cpv.replace('/', '_')}-{ebuild.key}"
    with fs.locked(cache / "sources" / f".{place.name}.lock"):
        if not _usable(place, ebuild):
            shutil.rmtree(place, ignore_errors=True)
            _make(place, ebuild, env, cache)
        os.utime(place)
        _collect(cache / "sources", place)
    return Prepared(place / "work", place / "work" / (place / "tree").read_text(encoding="utf-8"))


def _usable(place: Path, ebuild: Ebuild) -> bool:
    made = place / "tree"
    return made.is_file() and not (ebuild.live and time.time() - made.stat().st_mtime > _LIVE)


def _make(place: Path, ebuild: Ebuild, env: Mapping[str, str], cache: Path) -> None:
    with fs.fresh_folder(place.parent) as fresh:
        configroot = _stopping(fresh / "configroot", Path(env["PORTAGE_CONFIGROOT"]), ebuild)
        told = {**os.environ, **env, "PORTAGE_CONFIGROOT": str(configroot), "PORTAGE_TMPDIR": str(fresh)}
        ended = run(
            ["ebuild", str(ebuild.path), "clean", "prepare"],
            env={**told, **quietly(told), **_distdir(ebuild.distdir, cache)},
            keep=True,
            accept=(),
            atom="sys-apps/portage",
        )
        work = fresh / "portage" / ebuild.category / ebuild.pf / "work"
        mark = next((Path(above) / _MARK for above, _, names in os.walk(work) if _MARK in names), None)
        if mark is None:
            tail = "\n".join((ended.out + ended.err).rstrip().splitlines()[-20:])
            raise Unprepared(ebuild.cpv, f"ebuild ended with {ended.status} before user patches are applied", tail)
        mark.unlink()
        done = fresh / "done"
        done.mkdir()
        work.rename(done / "work")
        (done / "tree").write_text(str(mark.parent.relative_to(work)), encoding="utf-8")
        done.rename(place)


def _stopping(configroot: Path, plain: Path, ebuild: Ebuild) -> Path:
    """A configroot as the profile's, whose only user patches stop Portage."""
    shown = configroot / "etc/portage"
    shown.mkdir(parents=True)
    for one in (plain / "etc/portage").iterdir():
        if one.name != "patches":
            (shown / one.name).symlink_to(one)
    patches = shown / "patches" / ebuild.category / ebuild.name
    patches.mkdir(parents=True)
    (patches / "0-here.patch").write_text(_HERE, encoding="utf-8")
    (patches / "1-stop.patch").write_text("Here gentoomuch stops.\n", encoding="utf-8")
    return configroot


def quietly(env: Mapping[str, str]) -> dict[str, str]:
    """Variables that let Portage leave a failed build where it is, and nothing anywhere else."""
    features = f"{env.get('FEATURES', '')} -fail-clean -binpkg-logs".strip()
    return {"FEATURES": features, "PORTAGE_LOGDIR": "", "PORTAGE_ELOG_SYSTEM": "", "NOCOLOR": "yes"}


def _distdir(distdir: Path, cache: Path) -> dict[str, str]:
    """A place of our own to fetch to, where this user may not write the profile's."""
    if os.access(distdir, os.W_OK):
        return {}
    own = fs.ensure(cache / "distfiles")
    return {"DISTDIR": str(own), "PORTAGE_RO_DISTDIRS": str(distdir)}


def _collect(sources: Path, but: Path) -> None:
    """Remove what nobody used for long, and what killed runs left behind."""
    for folder in sources.iterdir():
        with contextlib.suppress(OSError):
            if folder.is_dir() and folder != but and time.time() - folder.stat().st_mtime > _UNUSED:
                fs.remove_unheld(folder)
