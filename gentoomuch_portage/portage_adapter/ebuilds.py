"""The ebuilds that a profile has, with all that says what their sources are."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from gentoomuch_portage.portage_adapter.masktexts import Masked, masked
from gentoomuch_portage.portage_adapter.swap import looking


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
