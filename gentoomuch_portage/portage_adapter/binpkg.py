"""Binary packages as plain data, and what a package that is built records of itself."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from gentoomuch_portage.errors import bare
from gentoomuch_portage.portage_adapter.patching import swapped


class Place(NamedTuple):
    """A file of a binhost, as its index tells of it."""

    url: str
    size: int
    """Bytes; 0 where the index does not tell."""
    digests: tuple[tuple[str, str], ...]
    """``("SHA512", "...")``, the strongest first."""


class Binpkg(NamedTuple):
    """One instance of a binary package."""

    cpv: str
    root: str
    """The ROOT that it is offered for."""
    build_id: int
    """0 where it has none."""
    build_time: int
    """Seconds since the epoch; 0 where it does not tell."""
    use: frozenset[str]
    """The flags that were on."""
    iuse: frozenset[str]
    """The flags that it has."""
    chost: str
    path: Path | None
    """Where it lies; None where it has to be fetched."""
    url: str
    """Where it can be fetched; empty where it lies here. With a path as well: it was fetched, has the digests of its
    index, and is judged once more before it is merged, in a child of the run's process."""
    size: int
    """Bytes; 0 where the index does not tell."""
    digests: tuple[tuple[str, str], ...]
    """``("SHA512", "...")``, as the index tells them, the strongest first."""
    slot: str = ""
    """Without its subslot."""
    patches: str = ""
    """Portage's digest over its user patches; empty where it tells of none."""
    others: tuple[Place, ...] = ()
    """All instances of the same package that have to be fetched, in the order in which the resolver asks."""

    @property
    def place(self) -> Place:
        """Where it can be fetched."""
        return Place(self.url, self.size, self.digests)

    @property
    def where(self) -> str:
        """Where it lies, or where it can be fetched, as people are told."""
        return str(self.path or bare(self.url))

    @property
    def name(self) -> str:
        """``cat/pkg-1.0-2``, as Portage writes an instance."""
        return f"{self.cpv}-{self.build_id}" if self.build_id else self.cpv


Reject = Callable[[Binpkg], str | None]
"""Why a binary package must not be used, or None."""


def shown(pkg: Any) -> Binpkg:
    """A package of Portage's resolver as plain data."""
    tree = pkg.root_config.trees["bintree"]
    cpv = pkg.cpv
    remote = tree.isremote(cpv)
    place = _place(tree, cpv) if remote else Place("", int(cpv.file_size or 0), ())
    return Binpkg(
        cpv=str(cpv),
        root=pkg.root_config.settings["ROOT"],
        build_id=int(cpv.build_id or 0),
        build_time=int(cpv.build_time or 0),
        use=frozenset(pkg.use.enabled),
        iuse=frozenset(pkg.iuse.all),
        chost=pkg._metadata.get("CHOST") or "",
        path=None if remote else Path(tree.getname(cpv)),
        url=place.url,
        size=place.size,
        digests=place.digests,
        slot=pkg.slot,
        patches=pkg.user_patches,
        others=_others(tree, cpv.cp) if remote else (),
    )


def _place(tree: Any, cpv: Any) -> Place:
    return place_of(tree._remotepkgs[tree.dbapi._instance_key(cpv)])


def place_of(entry: Any) -> Place:
    """Where a package lies that an index of a binhost tells of."""
    cpv = entry["CPV"]
    base, path = entry.get("BASE_URI", ""), entry.get("PATH") or f"{cpv}.tbz2"
    size = str(entry.get("SIZE") or cpv.file_size or 0)
    digests = tuple((kind, entry[kind]) for kind in ("SHA512", "SHA256", "SHA1", "MD5") if entry.get(kind))
    return Place(f"{base.rstrip('/')}/{path}", int(size) if size.isdigit() else 0, digests)


def _others(tree: Any, cp: str) -> tuple[Place, ...]:
    """The instances that lie on binhosts, newest first."""
    return tuple(_place(tree, cpv) for cpv in reversed(tree.dbapi.cp_list(cp)) if tree.isremote(cpv))


RECORDED = "GM_REQUIRES"
"""The file of build-info, and so of a binary package's metadata, that tells what the package needs of a CPU."""
BUILT_FOR = "GM_PROFILE"
"""The file that tells the profile that it was built for, if for one."""


@contextmanager
def recorded(requirement: Callable[[dict[str, str], frozenset[str]], str], profile: str = "") -> Iterator[None]:
    """As long as the block runs, each package built records what it needs, and for which profile it was built.

    Args:
        requirement: gets the variables that the package was built with and its enabled USE flags.
        profile: empty where there is none.
    """
    from portage.package.ebuild import doebuild

    plain = doebuild._post_src_install_write_metadata

    @functools.wraps(plain)
    def written(settings: Any) -> None:
        plain(settings)
        record(settings, requirement, profile)

    with swapped(doebuild, "_post_src_install_write_metadata", written):
        yield


def record(settings: Any, requirement: Callable[[dict[str, str], frozenset[str]], str], profile: str = "") -> None:
    """Write what a package needs, and the profile, into its build-info.

    Args:
        settings: Portage's, or the variables of an ebuild's phase.
    """
    info = Path(settings["PORTAGE_BUILDDIR"]) / "build-info"
    (info / RECORDED).write_text(f"{requirement(_built_with(settings, info), _flags_on(settings))}\n", encoding="utf-8")
    if profile:
        (info / BUILT_FOR).write_text(f"{profile}\n", encoding="utf-8")


def _built_with(settings: Any, info: Path) -> dict[str, str]:
    """The variables that code was built with, as the ebuild left them: build-info has some, its environment the others.

    Source: __dyn_install and __save_ebuild_env of Portage; go-env.eclass exports GOARM and its like in pkg_setup.
    """
    from gentoomuch_portage.isa.languages import (
        VARIABLES,
        exported,  # only where something is built
    )

    environment = Path(settings["T"]) / "environment"
    text = environment.read_text(encoding="utf-8", errors="replace") if environment.is_file() else ""
    told_by_it = exported(text)
    found = {}
    for name in VARIABLES:
        file = info / name
        told = file.read_text(encoding="utf-8").strip() if file.is_file() else told_by_it.get(name)
        found[name] = told if told is not None else settings.get(name) or ""
    return found


def _flags_on(settings: Any) -> frozenset[str]:
    return frozenset((settings.get("PORTAGE_USE") or "").split())
