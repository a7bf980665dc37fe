# SPDX-License-Identifier: GPL-2.0-or-later
"""Represent binary packages as plain data, and name the files of our metadata; does not import Portage."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from gentoomuch_portage.errors import bare


class Place(NamedTuple):
    """A file of a binhost, as described by its index."""

    url: str
    size: int
    """Size in bytes; 0 if unknown."""
    digests: tuple[tuple[str, str], ...]
    """``("SHA512", "...")``, the strongest first."""


class Binpkg(NamedTuple):
    """One instance of a binary package."""

    cpv: str
    root: str
    """The ROOT that it may be merged to."""
    build_id: int
    """0 if it has none."""
    build_time: int
    """Seconds since the epoch; 0 if unknown."""
    use: frozenset[str]
    """The enabled USE flags."""
    iuse: frozenset[str]
    """All USE flags of the package."""
    chost: str
    path: Path | None
    """Its file; None if it has to be fetched."""
    url: str
    """Its URL; empty if it is stored on this machine. A package with both a path and a URL was fetched, matches the
    digests of its index, and is checked again before it is merged, in a child process."""
    size: int
    """Size in bytes; 0 if unknown."""
    digests: tuple[tuple[str, str], ...]
    """``("SHA512", "...")``, from the index, the strongest first."""
    slot: str = ""
    """Without its subslot."""
    patches: str = ""
    """Portage's digest of its user patches; empty without patches."""
    others: tuple[Place, ...] = ()
    """All instances of the same package on binhosts, in the order in which the resolver tries them."""

    @property
    def place(self) -> Place:
        """Return its URL, size and digests."""
        return Place(self.url, self.size, self.digests)

    @property
    def where(self) -> str:
        """Return its path or URL for messages."""
        return str(self.path or bare(self.url))

    @property
    def name(self) -> str:
        """Return ``cat/pkg-1.0-2``, as Portage writes an instance."""
        return f"{self.cpv}-{self.build_id}" if self.build_id else self.cpv


Reject = Callable[[Binpkg], str | None]
"""Return the reason to reject a binary package, or None."""


def to_binpkg(pkg: Any) -> Binpkg:
    """Convert a package of Portage's resolver to plain data."""
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
        chost=tree.dbapi.aux_get(cpv, ["CHOST"])[0],
        path=None if remote else Path(tree.getname(cpv)),
        url=place.url,
        size=place.size,
        digests=place.digests,
        slot=pkg.slot,
        patches=getattr(pkg, "user_patches", ""),  # Portage has it since 3.0.83
        others=_others(tree, cpv.cp) if remote else (),
    )


def _place(tree: Any, cpv: Any) -> Place:
    return place_of(tree._remotepkgs[tree.dbapi._instance_key(cpv)])


def place_of(entry: Any) -> Place:
    """Return URL, size and digests of an entry of a binhost's index."""
    cpv = entry["CPV"]
    base, path = entry.get("BASE_URI", ""), entry.get("PATH") or f"{cpv}.tbz2"
    size = str(entry.get("SIZE") or cpv.file_size or 0)
    digests = tuple((kind, entry[kind]) for kind in ("SHA512", "SHA256", "SHA1", "MD5") if entry.get(kind))
    return Place(f"{base.rstrip('/')}/{path}", int(size) if size.isdigit() else 0, digests)


def _others(tree: Any, cp: str) -> tuple[Place, ...]:
    """Return the instances on binhosts, newest first."""
    return tuple(_place(tree, cpv) for cpv in reversed(tree.dbapi.cp_list(cp)) if tree.isremote(cpv))


SUFFIXES = (".gpkg.tar", ".tbz2", ".xpak")
"""Suffixes of file names of binary packages. Source: SUPPORTED_*_EXTENSIONS of portage.const."""
RECORDED = "GM_REQUIRES"
"""The file in build-info, and so in the metadata, with the CPU features that a package requires."""
BUILT_FOR = "GM_PROFILE"
"""The file in build-info with the profile that the package was built for."""
PATCHES = "GM_PATCHES"
"""The file in build-info with the user patches of the package, one a line: ``DIGEST NAME``."""
DOTGENTOO = "GM_DOTGENTOO"
"""The file in build-info with the ID of the .gentoo directory and the digest of the work tree."""


class Built(NamedTuple):
    """A built package that is neither merged nor packaged yet."""

    cpv: str
    slot: str
    """Without its subslot."""
    repository: str
    root: str
    """The ROOT that it is for."""
    requires: str
    """The CPU requirement that was recorded at build time."""
    image: Path
    """The directory with the files that it would install."""
