"""A folder of binary packages as Portage sees it: its lock, its header, and what Portage writes about a package.

Put finished binary packages into PKGDIR and its index.
"""

import hashlib
import io
import os
import re
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from gentoomuch_portage.errors import NoPrivilege
from gentoomuch_portage.pkgindex import entry as pkgindex_entry
from gentoomuch_portage.portage_adapter.patching import environment, swapped

SUFFIXES = (".gpkg.tar", ".tbz2", ".xpak")
"""How the names of binary packages end. Source: SUPPORTED_*_EXTENSIONS of portage.const."""


class Heard(NamedTuple):
    """What Portage made of some files."""

    entries: tuple[bytes, ...]
    """Their entries in ``Packages``, for the header that was given."""
    complaints: str
    """What it said of those that are no packages."""


@dataclass(frozen=True, slots=True)
class Pkgdir:
    """A folder of packages, with the configuration that Portage reads it by."""

    folder: Path
    tree: Any
    """Portage's binarytree, for this package alone."""

    @property
    def compressed(self) -> bool:
        """Whether ``Packages.gz`` is kept."""
        return "compress-index" in self.tree.settings.features

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only one that writes the index, builders that run emerge included.

        Raises:
            NoPrivilege: this user may not write there.
        """
        from portage.exception import PortageException
        from portage.locks import lockfile, unlockfile

        try:
            held = lockfile(self.tree._pkgindex_file, wantnewlockfile=1)
        except (PortageException, OSError) as error:
            told = f"the index of {self.folder} cannot be locked: {error}"
            raise NoPrivilege(told, remedy="run it as the owner of that folder") from error
        try:
            yield
        finally:
            unlockfile(held)

    def header(self, before: bytes, packages: int) -> bytes:
        """The header that Portage writes now.

        Args:
            before: the one there was, with its empty line; empty where there was none.
            packages: how many entries follow it.
        """
        index = self._index(before)
        self.tree._update_pkgindex_header(index.header)
        index.header["TIMESTAMP"], index.header["PACKAGES"] = str(int(time.time())), str(packages)
        return written(index)

    def heard(self, paths: Collection[str], header: bytes) -> Heard:
        """Let Portage read some packages as it does for ``emaint binhost --fix``.

        Args:
            paths: below the folder.
            header: the entries leave out what stands in it.
        """
        tree, said = self.tree, io.StringIO()
        tree.populated = True  # or its first package would let it read the whole folder
        with redirect_stderr(said), redirect_stdout(said):
            with swapped(os, "walk", partial(_walk, paths)), swapped(tree, "_load_pkgindex", tree._new_pkgindex):
                tree._populate_local(reindex=True)
            entries = tuple(_entries(tree, self._index(header)))
        return Heard(entries, re.sub(r"\033\[[0-9;]*m", "", said.getvalue()))

    def _index(self, header: bytes) -> Any:
        index = self.tree._new_pkgindex()
        if header:
            index.readHeader(io.StringIO(header.decode("utf-8", "replace")))
        index.modified = False  # or it would write a TIMESTAMP of its own
        return index


def pkgdir(folder: Path | None) -> Pkgdir:
    """The packages of a folder, or of PKGDIR, under the configuration that the environment names."""
    from portage import create_trees

    told = {"PKGDIR": str(folder.absolute())} if folder else {}
    with environment(told):
        trees = create_trees(os.environ.get("PORTAGE_CONFIGROOT"), os.environ.get("ROOT"), env={**os.environ})
    tree = trees[trees._target_eroot]["bintree"]
    return Pkgdir(Path(tree.pkgdir), tree)


def written(index: Any) -> bytes:
    """A PackageIndex as the text of a file."""
    out = io.StringIO()
    index.write(out)
    return out.getvalue().encode("utf-8", "backslashreplace")


def parted(text: bytes) -> tuple[bytes, list[bytes]]:
    """Header and entries of the text of an index."""
    header, _, body = text.partition(b"\n\n")
    return header + b"\n\n", list(pkgindex_entry.each(body))


def _walk(paths: Collection[str], top: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """As os.walk tells of a folder that holds these files alone."""
    below: dict[str, list[str]] = {}
    for path in sorted(paths):
        parent, _, name = path.rpartition("/")
        below.setdefault(parent, []).append(name)
    for parent, names in below.items():
        yield f"{top}/{parent}".rstrip("/"), [], names


def _entries(tree: Any, index: Any) -> Iterator[bytes]:
    """Source: BinhostHandler.fix of emaint, which reads digests of what _populate_local found."""
    from portage.exception import InvalidDependString

    for cpv in tree.dbapi.cpv_all():
        entry = tree._pkgindex_entry(cpv)
        try:
            tree._eval_use_flags(cpv, entry)
        except InvalidDependString:
            continue  # _populate_local said so already
        index.packages[:] = [entry]
        yield from parted(written(index))[1]


Take = Callable[[Path, str, int], int]
"""``take(file, cpv, build_id)`` moves a package into PKGDIR and returns the BUILD_ID that it has there."""


def taker(env: Mapping[str, str]) -> Take:
    """What takes packages over, for one PKGDIR.

    Args:
        env: PORTAGE_CONFIGROOT and ROOT of the profile, PKGDIR where it is set.
    """
    import portage

    with environment(env):
        trees = portage.create_trees(config_root=env["PORTAGE_CONFIGROOT"], target_root=env.get("ROOT", "/"))
    tree = trees[trees._target_eroot]["bintree"]
    tree.populate()

    def take(file: Path, cpv: str, build_id: int) -> int:
        with environment(env):
            return _taken(tree, file, cpv, build_id)

    return take


def _taken(tree: Any, file: Path, cpv: str, build_id: int) -> int:
    from portage.versions import _pkg_str

    numbered = build_id and "binpkg-multi-instance" in tree.settings.features
    folder = Path(tree.pkgdir, cpv.split("/")[0], *([_package(cpv)] if numbered else []))
    folder.mkdir(parents=True, exist_ok=True)
    # The same name each time: whoever is killed here and tries again leaves no copy behind.
    fresh = folder / f".{hashlib.sha256(bytes(file)).hexdigest()[:16]}.{file.name}"
    given = build_id
    try:
        _copied(file, fresh)
        place = folder / (_name(cpv, given, file) if numbered else _name(cpv, 0, file))
        while numbered and not _linked(fresh, place):
            given += 1  # somebody was faster with the one that it was built with
            place = folder / _name(cpv, given, file)
            if not place.exists():
                _renumber(tree, fresh, cpv, given)
        if not numbered:
            fresh.rename(place)
    finally:
        fresh.unlink(missing_ok=True)
    told = _pkg_str(cpv, metadata={"BUILD_ID": str(given), "PATH": str(place)}, settings=tree.settings)
    if tree.inject(told, current_pkg_path=str(place), allocated_pkg_path=str(place)) is None:
        place.unlink()
        raise ValueError(f"{file.name} is no binary package that Portage takes")
    file.unlink()
    return given


def _package(cpv: str) -> str:
    from portage.versions import cpv_getkey

    return str(cpv_getkey(cpv)).split("/")[1]


def _name(cpv: str, build_id: int, file: Path) -> str:
    suffix = next(one for one in (".gpkg.tar", ".tbz2", ".xpak") if file.name.endswith(one))
    return f"{cpv.split('/')[1]}{f'-{build_id}' if build_id else ''}{suffix}"


def _copied(file: Path, fresh: Path) -> None:
    fresh.unlink(missing_ok=True)
    number = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(number, "rb") as read, fresh.open("xb") as written:
        shutil.copyfileobj(read, written)
        written.flush()
        os.fsync(written.fileno())


def _linked(fresh: Path, place: Path) -> bool:
    """Give a whole package its name, in one step; False where another one has it."""
    try:
        os.link(fresh, place)
    except FileExistsError:
        return False
    except OSError:  # a file system without links
        if place.exists():
            return False
        fresh.rename(place)
    return True


def _renumber(tree: Any, file: Path, cpv: str, build_id: int) -> None:
    """Give a package another BUILD_ID: somebody was faster with the one that it was built with."""
    import portage.gpkg
    import portage.xpak

    if file.name.endswith(".gpkg.tar"):
        package = portage.gpkg.gpkg(tree.settings, cpv, str(file))
        metadata = {**package.get_metadata(), "BUILD_ID": f"{build_id}\n".encode()}
        package.update_metadata(metadata, new_basename=f"{cpv}-{build_id}", force=True)
    else:
        archive = portage.xpak.tbz2(str(file))
        archive.recompose_mem(portage.xpak.xpak_mem({**archive.get_data(), b"BUILD_ID": f"{build_id}\n".encode()}))
