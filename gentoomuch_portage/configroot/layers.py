"""One /etc/portage out of several: what lies below, then each layer, then what plugins add.

Three rules, by kind of file: what Portage reads as a directory of pieces gets each layer's piece in
turn; make.conf is joined (configroot/make_conf.py); everything else is keyed by its name, and the later layer wins.
"""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from gentoomuch_portage.configroot.make_conf import Piece
from gentoomuch_portage.errors import BadFile, BadLayer
from gentoomuch_portage.plan.plan import File, Layer, Line, Part, Patches
from gentoomuch_portage.portage_adapter import config as portage_config
from gentoomuch_portage.portage_adapter.config_errors import check_sections

STACKED = frozenset({"repos.conf", "binrepos.conf", "sets.conf", "mirrors"})
"""Directories of pieces, besides package.*. Source: portage(5)."""
SECTIONS = frozenset({"repos.conf", "binrepos.conf", "sets.conf"})
"""Those of them that are made of [sections]. Portage tells of an error in one and goes on without all of it."""
IN_PROFILE = frozenset({"soname.provided", "use.force", "use.mask", "use.stable.force", "use.stable.mask"})
"""The same in profile/. Source: portage(5), and each reader in portage's _config."""
LEFT_OUT = frozenset({"make.profile", "gnupg"})
"""Said otherwise (make.profile), or not read from a configroot (gnupg)."""
OTHER_TOOLS = frozenset({"CVS", "RCS", "SCCS"})
"""Directories that Portage passes over, besides those with a dot. Source: portage.const.VCS_DIRS."""
PATCHES = (".patch", ".diff")
"""What a file is called that Portage takes for a patch. Source: eapply_user in phase-helpers.sh."""
BASH = "profile/profile.bashrc"
"""Read by Portage in every phase. What plugins add stands behind what the layers say."""
FOR_BUILDING = frozenset({"env", "patches", "savedconfig", "repos.conf", "binrepos.conf", "sets", "sets.conf"})
"""What a layer says of packages that are installed in ``/`` for building, besides package.*: not the
flags and the make_profile of another machine."""

_LOGIN = re.compile(r"//[^/?#\s]*@")
"""Name and password in a URL."""


@dataclass(frozen=True, slots=True)
class Source:
    """A folder laid out like /etc/portage."""

    name: str
    folder: Path
    inside: Path | None = None
    """No link in it may lead out of this folder. None for the host's own: its links are the owner's affair,
    and of its package.* files Portage complains as it always did, where we would refuse."""


@dataclass(slots=True)
class Composed:
    """What a configroot shows, before it is written."""

    files: dict[str, tuple[bytes, int, int]] = field(default_factory=dict)
    """Path below etc/portage -> content, mode, group (-1: ours)."""
    inputs: dict[str, str] = field(default_factory=dict)
    """Path of each file and folder that was looked at -> ``signature``."""
    pieces: list[Piece] = field(default_factory=list)
    """The make.conf of each source."""
    defaults: list[Piece] = field(default_factory=list)
    """The profile/make.defaults of each source."""
    hidden: list[tuple[Path, Path]] = field(default_factory=list)
    """A file, and the file of a later layer that took its place."""
    folders: set[str] = field(default_factory=set)
    """Paths below etc/portage that hold files."""
    origins: dict[str, Path] = field(default_factory=dict)
    """Path below etc/portage -> the file that it came from."""


def compose(sources: Iterable[Source], added: Iterable[tuple[str, Part]], *, building: bool = False) -> Composed:
    """Add layers up.

    Args:
        sources: in order; later ones win.
        added: parts of plugins; of these only ``Patches``, ``File`` and ``Line`` are laid.
        building: for the packages that are installed in ``/`` for building.

    Raises:
        BadFile, BadLayer: a file is wrong, unreadable, or a link that leads out of the configuration.
    """
    result = Composed()
    sources = tuple(sources)
    known: dict[str, str] = {}
    width = len(str(len(sources) + 1))
    for number, source in enumerate(sources):
        _look(result, source.folder)
        for path, name in _entries(result, source):
            if building and source.inside is not None and not _for_building(name):
                continue
            if name == "make.conf":
                result.pieces.append(_piece(result, source, path, known))
            elif name == "profile/make.defaults":
                result.defaults.append(_piece(result, source, path, {}))
            else:
                turn = f"/{number:0{width}}-{source.name}" if _stacked(name) else ""
                atoms = path.name.startswith("package.") and source.inside is not None
                _lay(result, source, path, name + turn, checked=atoms)
    added = tuple(added)
    _lay_sets(result, [part for _, part in added if isinstance(part, Patches)])
    _add(result, added, known, f"{len(sources):0{width}}-plugins", building=building)
    for piece in result.pieces:
        for path in piece.sourced():
            _look(result, path)
    return result


def _stacked(name: str) -> bool:
    """Whether Portage reads a name below etc/portage as a directory of pieces."""
    match name.split("/"):
        case ["profile", one]:
            return one in IN_PROFILE or one.startswith("package.")
        case [one]:
            return one in STACKED or one.startswith("package.")
    return False


def _for_building(name: str) -> bool:
    """Whether it says something of packages that are installed in ``/`` for building."""
    top = name.split("/", 1)[0]
    return top in FOR_BUILDING or top.startswith("package.")


def _lay_sets(result: Composed, sets: list[Patches]) -> None:
    """Lay the patches of sets, each under a name that keeps the order of the sets, and no set over another."""
    for number, part in enumerate(sets):
        source = Source(part.name, part.folder, part.folder.parents[1])
        for one in _tree(result, source, part.folder):
            match one.relative_to(part.folder).parts:
                case (category, package, name) if name.endswith(PATCHES):
                    at = f"patches/{category}/{package}/{patch_name(number, len(sets), part.name, name)}"
                    _lay(result, source, one, at)


def patch_name(turn: int, sets: int, name: str, file: str) -> str:
    """The name of a set's patch in a configroot: ``00-musl-fix.patch``.

    Portage applies patches in the order of their names, and of equal names only that of the most telling folder.

    Args:
        turn: of the set, from 0.
        sets: how many there are.
        name: of the set.
    """
    return f"{turn:0{max(2, len(str(sets - 1)))}}-{name}-{file}"


def _add(
    result: Composed, added: Iterable[tuple[str, Part]], known: dict[str, str], turn: str, *, building: bool
) -> None:
    """Lay what plugins add, behind all layers."""
    generated = _generated(added)
    if building:
        generated = {name: text for name, text in generated.items() if _for_building(name) or name == BASH}
    if text := generated.pop("make.conf", ""):
        values = _values(text, known)
        result.pieces.append(Piece(layer="plugins", files=((Path("plugins"), text),), values=values))
    for name, text in generated.items():
        at = f"{name}/{turn}" if _stacked(name) else name
        before = result.files[at][0] + b"\n" if name == BASH and at in result.files else b""
        _make_way(result, at, Path("plugins"))
        private = name == "binrepos.conf" and _LOGIN.search(text)  # it is read by emerge itself, never as another user
        result.files[at] = (before + text.encode(), 0o600 if private else 0o644, -1)


def signature(path: Path) -> str:
    """What changes whenever a file or a folder does; ``-`` where there is none."""
    try:
        seen = path.stat()
    except OSError:
        return "-"
    return f"{seen.st_mtime_ns}.{seen.st_ctime_ns}.{seen.st_size}.{seen.st_ino}"


def _look(result: Composed, path: Path) -> None:
    result.inputs[str(path)] = signature(path)


def _entries(result: Composed, source: Source) -> Iterator[tuple[Path, str]]:
    """The entries of a source, sorted, with their names below etc/portage; one level deeper in profile/."""
    if source.inside is None:
        old = source.folder.parent / "make.conf"  # Portage reads it before etc/portage/make.conf
        _look(result, old)
        if old.exists():
            yield old, "make.conf"
    for path in _children(source.folder):
        if path.name == "profile" and path.is_dir():
            _look(result, path)
            yield from ((below, f"profile/{below.name}") for below in _children(path))
        elif path.name not in LEFT_OUT:
            yield path, path.name


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(one for one in folder.iterdir() if not one.name.startswith(".") and not one.name.endswith("~"))
    except FileNotFoundError:
        return []
    except PermissionError as error:
        raise BadFile(
            folder, 0, "it cannot be read by this user", remedy="run it as root, or open it for reading"
        ) from error


def _piece(result: Composed, source: Source, path: Path, known: dict[str, str]) -> Piece:
    for one in _tree(result, source, path):
        _look(result, one)
    values = portage_config.make_conf(path, known)
    files = tuple((one, one.read_text(encoding="utf-8", errors="replace")) for one in portage_config.file_list(path))
    return Piece(layer=source.name, files=files, values=values)


def _values(text: str, known: dict[str, str]) -> dict[str, str]:
    """What Portage reads in a generated text."""
    import tempfile

    with tempfile.NamedTemporaryFile("w", prefix="gm-", suffix=".conf", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        return portage_config.make_conf(Path(file.name), known)


def _lay(result: Composed, source: Source, path: Path, name: str, *, checked: bool = False) -> None:
    """Put a file, or every file of a folder, into the tree."""
    for one in _tree(result, source, path):
        at = name if one == path else f"{name}/{one.relative_to(path)}"
        try:
            seen = one.stat()
            content = one.read_bytes()
        except OSError as error:
            raise BadFile(
                one, 0, error.strerror or "it cannot be read", remedy="run it as root, or open it for reading"
            ) from error
        if checked:
            portage_config.check_atoms(one)
        if name.split("/", 1)[0] in SECTIONS:
            check_sections(one)
        if (before := result.origins.get(at)) and result.files[at][0] != content:
            result.hidden.append((before, one))
        _make_way(result, at, one)
        result.origins[at] = one
        result.files[at] = (content, seen.st_mode & 0o777, seen.st_gid if not seen.st_mode & 0o004 else -1)


def _make_way(result: Composed, at: str, path: Path) -> None:
    """Take away what a later layer hides by having a folder where there was a file, or a file for a folder."""
    above = {str(folder) for folder in PurePosixPath(at).parents}
    gone = [other for other in above if other in result.files]
    if at in result.folders:
        gone += [other for other in result.files if other.startswith(f"{at}/")]
    for other in gone:
        result.hidden.append((result.origins.pop(other, Path("plugins")), path))
        del result.files[other]
    result.folders |= above


def _tree(result: Composed, source: Source, path: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """The files at and below a path, links followed; every folder on the way is looked at."""
    _look(result, path)
    real = Path(os.path.realpath(path))  # resolve() raises on a loop
    if source.inside is not None and not real.is_relative_to(source.inside.resolve()):
        raise BadLayer(path, 0, f"this link leads out of {source.inside}, to {real}", remedy="copy what it means")
    if real in above:
        raise BadLayer(path, 0, f"this link leads back to {real}", remedy="remove it")
    if path.is_dir():
        for below in _children(path):
            if not (below.name in OTHER_TOOLS and below.is_dir()):
                yield from _tree(result, source, below, (*above, real))
    elif path.is_file():
        yield path
    elif path.is_symlink() and source.inside is not None:
        raise BadLayer(path, 0, f"this is a broken link to {os.readlink(path)}", remedy=f"rm {path}")


def _generated(added: Iterable[tuple[str, Part]]) -> dict[str, str]:
    """What plugins add, by file; the lines of one file sorted by plugin, whole files first."""
    texts: dict[str, str] = {}
    for plugin, part in sorted(
        ((plugin, part) for plugin, part in added if isinstance(part, File | Line)),
        key=lambda pair: (isinstance(pair[1], Line), pair[0]),
    ):
        texts[part.file] = (
            texts.get(part.file, "")
            + part.text.rstrip("\n")
            + (f"  # {plugin}\n" if part.file.startswith("package.") and isinstance(part, Line) else "\n")
        )
    return texts


def sources_of(parts: Iterable[tuple[str, Part]], *, host: Path | None, config: Path) -> tuple[Source, ...]:
    """The host's own folder, where it lies below, and the layers of a plan."""
    below = (Source("host", host),) if host is not None else ()
    return (*below, *(Source(part.name, part.folder, config) for _, part in parts if isinstance(part, Layer)))
