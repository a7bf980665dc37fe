# SPDX-License-Identifier: GPL-2.0-or-later
"""Merge several /etc/portage: that of the host, then each layer, then the lines of plugins.

Four rules, by type of file. If Portage reads a directory of pieces, each layer adds its piece. make.conf is joined
(configroot/make_conf.py). sets/machine is joined to the set @machine. Every other file of a layer replaces the file of
that name of an earlier layer.
"""

import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from gentoomuch_portage import ownership
from gentoomuch_portage.config import schema
from gentoomuch_portage.config.portage_names import MACHINE, PATCH_SUFFIXES, PROFILE_BASHRC, VCS_DIRS
from gentoomuch_portage.configroot.make_conf import Piece
from gentoomuch_portage.errors import BadFile, BadLayer, sourced_outside
from gentoomuch_portage.plan.plan import File, Layer, Line, Part, Patches
from gentoomuch_portage.portage_adapter import atoms as portage_atoms
from gentoomuch_portage.portage_adapter import config_files
from gentoomuch_portage.portage_adapter.config_errors import check_sections

STACKED = frozenset({"repos.conf", "binrepos.conf", "sets.conf", "mirrors"})
"""Directories of pieces, besides package.*. Source: portage(5)."""
SECTIONS = frozenset({"repos.conf", "binrepos.conf", "sets.conf"})
"""Those of them with [sections]. Portage reports an error in a file and ignores the whole file."""
IN_PROFILE = frozenset({"soname.provided", "use.force", "use.mask", "use.stable.force", "use.stable.mask"})
"""The same in profile/. Source: portage(5), and each reader in portage's _config."""
SKIPPED = frozenset({"make.profile", "gnupg"})
"""Written separately (make.profile), or not read from a configroot (gnupg)."""
_MACHINE_SET = """[machine]
class = portage.sets.files.StaticFileSet
filename = %(PORTAGE_CONFIGROOT)setc/portage/machine
world-candidate = false

[world]
packages = @profile @selected @system @machine
"""
"""The set, as a part of @world. The file is outside of sets/, as Portage would record its name in the world file, which
other configurations read as well. Source: share/config/sets/portage.conf of Portage."""
FOR_BUILDING = frozenset({"env", "patches", "savedconfig", "repos.conf", "binrepos.conf", "sets", "sets.conf"})
"""Files of layers, besides package.*, that apply to build dependencies in ``/``: not the flags and the make_profile
of another machine."""

_LOGIN = re.compile(r"//[^/?#\s]*@")
"""Name and password in a URL."""


@dataclass(frozen=True, slots=True)
class Source:
    """A directory with the layout of /etc/portage."""

    name: str
    folder: Path
    inside: Path | None = None
    """No link in it may lead out of this directory. None for the host's own: its links are followed, and its package.*
    are not checked, because Portage reports errors in them."""
    sealed: bool = False
    """Whether files outside of that directory must not be sourced: a profile of another machine reads no file of this
    host."""


@dataclass(slots=True)
class Composed:
    """The content of a configroot, before it is written."""

    files: dict[str, tuple[bytes, int, int]] = field(default_factory=dict)
    """Path below etc/portage -> content, mode, group (-1: of this process)."""
    inputs: dict[str, str] = field(default_factory=dict)
    """Path of each file and directory that was read -> ``signature``."""
    pieces: list[Piece] = field(default_factory=list)
    """The make.conf of each source."""
    defaults: list[Piece] = field(default_factory=list)
    """The profile/make.defaults of each source."""
    hidden: list[tuple[Path, Path]] = field(default_factory=list)
    """A file, and the file of a later layer that replaces it."""
    folders: set[str] = field(default_factory=set)
    """Paths below etc/portage that contain files."""
    origins: dict[str, Path] = field(default_factory=dict)
    """Path below etc/portage -> its source file."""
    machine: dict[str, tuple[Path, int]] = field(default_factory=dict)
    """Atom or ``@NAME`` of the set @machine -> the file and line that add it; line 0 for plugins."""
    invalid: list[BadFile] = field(default_factory=list)
    """The invalid lines of layers."""


def compose(sources: Iterable[Source], added: Iterable[tuple[str, Part]], *, building: bool = False) -> Composed:
    """Merge layers.

    Args:
        sources: in order; later ones override earlier ones.
        added: parts of plugins; only ``Patches``, ``File`` and ``Line`` are used.
        building: for build dependencies in ``/``.

    Raises:
        BadFile, BadLayer: a file is invalid, unreadable, or a link out of the configuration. All invalid lines of
            package.* are in one error.
    """
    result = Composed()
    sources = tuple(sources)
    known: dict[str, str] = {}
    width = len(str(len(sources) + 1))
    for number, source in enumerate(sources):
        _record_input(result, source.folder)
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
                _add_files(result, source, path, name + turn, checked=atoms, building=building)
    added = tuple(added)
    _add_patch_sets(result, [part for _, part in added if isinstance(part, Patches)])
    _add_parts(result, added, known, f"{len(sources):0{width}}-plugins", building=building)
    for piece in result.pieces:
        for path in piece.find_sourced():
            _record_input(result, path)
    portage_atoms.raise_first(result.invalid)
    _check_sources(result, sources)
    return result


def _stacked(name: str) -> bool:
    """Whether Portage reads a directory of pieces for a name below etc/portage."""
    match name.split("/"):
        case ["profile", file]:
            return file in IN_PROFILE or file.startswith("package.")
        case [file]:
            return file in STACKED or file.startswith("package.")
    return False


def _for_building(name: str) -> bool:
    """Whether a file applies to build dependencies in ``/``."""
    top = name.split("/", 1)[0]
    return top in FOR_BUILDING or top.startswith("package.")


def _add_patch_sets(result: Composed, sets: list[Patches]) -> None:
    """Add the patches of sets, under names that keep the order of the sets and do not collide."""
    for number, part in enumerate(sets):
        source = Source(part.name, part.folder, part.folder.parents[1])
        for path in _tree(result, source, part.folder):
            match path.relative_to(part.folder).parts:
                case (category, package, name) if name.endswith(PATCH_SUFFIXES):
                    target = f"patches/{category}/{package}/{patch_name(number, len(sets), part.name, name)}"
                    _add_files(result, source, path, target)


def patch_name(turn: int, sets: int, name: str, file: str) -> str:
    """Return the name of a set's patch in a configroot: ``00-musl-fix.patch``.

    Portage applies patches in the order of their names; of equal names only that of the most specific directory.

    Args:
        turn: of the set, from 0.
        sets: number of sets.
        name: of the set.
    """
    return f"{turn:0{max(2, len(str(sets - 1)))}}-{name}-{file}"


def _add_parts(
    result: Composed, added: Iterable[tuple[str, Part]], known: dict[str, str], piece_name: str, *, building: bool
) -> None:
    """Add the files and lines of plugins, after all layers."""
    generated = _generate(added)
    own = generated.pop(MACHINE, "").split()
    if building:
        generated = {name: text for name, text in generated.items() if _for_building(name) or name == PROFILE_BASHRC}
    else:
        generated |= _add_machine(result, own, generated.get("sets.conf", ""))
    if text := generated.pop("make.conf", ""):
        values = _values(text, known)
        result.pieces.append(Piece(layer="plugins", files=((Path("plugins"), text),), values=values))
    for name, text in generated.items():
        target = f"{name}/{piece_name}" if _stacked(name) else name
        before = result.files[target][0] + b"\n" if name == PROFILE_BASHRC and target in result.files else b""
        _remove_hidden(result, target, Path("plugins"))
        private = name == "binrepos.conf" and _LOGIN.search(text)  # only emerge itself reads it, never as another user
        result.files[target] = (before + text.encode(), 0o600 if private else 0o644, -1)


def _add_machine(result: Composed, own: Iterable[str], sections: str) -> dict[str, str]:
    """Return the files of the set @machine; none if it is empty, so that the set does not exist.

    Args:
        own: atoms and sets of plugins.
        sections: other sections of the same file of sets.conf.
    """
    for entry in own:
        result.machine.setdefault(entry, (Path("plugins"), 0))
    if not result.machine:
        return {}
    return {"machine": "".join(f"{entry}\n" for entry in sorted(result.machine)), "sets.conf": sections + _MACHINE_SET}


def _parse_machine(file: Path, content: bytes, *, checked: bool) -> dict[str, tuple[Path, int]]:
    """Return the entries of one sets/machine, each with its file and line.

    Raises:
        BadFile: a line of a layer is neither an atom nor a set.
    """
    entries: dict[str, tuple[Path, int]] = {}
    for number, line in enumerate(content.decode(errors="replace").splitlines(), 1):
        entry = line.partition("#")[0].strip()
        if checked and entry and not re.fullmatch(schema.PACKAGE, entry):
            hint = "one on each line: category/package, another atom, or @SET"
            raise BadFile(file, number, f"{entry!r} is neither a valid atom nor a set", hint=hint)
        if entry:
            entries.setdefault(entry, (file, number))
    return entries


def signature(path: Path) -> str:
    """Return text that changes whenever a file or a directory changes; ``-`` if it does not exist."""
    try:
        stat = path.stat()
    except OSError:
        return "-"
    return f"{stat.st_mtime_ns}.{stat.st_ctime_ns}.{stat.st_size}.{stat.st_ino}"


def _record_input(result: Composed, path: Path) -> None:
    result.inputs[str(path)] = signature(path)


def _entries(result: Composed, source: Source) -> Iterator[tuple[Path, str]]:
    """Generate the entries of a source, sorted, with their names below etc/portage; one level deeper in profile/."""
    if source.inside is None:
        old = source.folder.parent / "make.conf"  # Portage reads it before etc/portage/make.conf
        _record_input(result, old)
        if old.exists():
            yield old, "make.conf"
    for path in _children(source.folder):
        if path.name == "profile" and path.is_dir():
            _record_input(result, path)
            yield from ((below, f"profile/{below.name}") for below in _children(path))
        elif path.name not in SKIPPED:
            yield path, path.name


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(
            path for path in folder.iterdir() if not path.name.startswith(".") and not path.name.endswith("~")
        )
    except FileNotFoundError:
        return []
    except PermissionError as error:
        raise BadFile(folder, 0, "this user cannot read it", hint="run it as root, or make it readable") from error


def _piece(result: Composed, source: Source, path: Path, known: dict[str, str]) -> Piece:
    for file in _tree(result, source, path):
        _record_input(result, file)
    values = config_files.make_conf(path, known, inside=source.inside if source.sealed else None)
    files = tuple((file, file.read_text(encoding="utf-8", errors="replace")) for file in config_files.file_list(path))
    return Piece(layer=source.name, files=files, values=values)


def _values(text: str, known: dict[str, str]) -> dict[str, str]:
    """Return the variables that Portage reads from a generated text."""
    with tempfile.NamedTemporaryFile("w", prefix="gm-", suffix=".conf", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        return config_files.make_conf(Path(file.name), known)


def _add_files(
    result: Composed, source: Source, path: Path, name: str, *, checked: bool = False, building: bool = False
) -> None:
    """Add a file, or every file of a directory.

    Args:
        checked: whether it is a package.* of a layer.
        building: the set @machine is only that of the host.
    """
    for file in _tree(result, source, path):
        target = name if file == path else f"{name}/{file.relative_to(path)}"
        try:
            stat = file.stat()
            content = file.read_bytes()
        except OSError as error:
            raise BadFile(
                file, 0, error.strerror or "cannot be read", hint="run it as root, or make it readable"
            ) from error
        of_layer = source.inside is not None
        if target == MACHINE and (of_layer or not building):
            entries = _parse_machine(file, content, checked=of_layer)
            result.machine |= {entry: place for entry, place in entries.items() if entry not in result.machine}
            continue
        if checked:
            result.invalid += portage_atoms.find_invalid_lines(file)
        if name.split("/", 1)[0] in SECTIONS:
            check_sections(file)
        if (before := result.origins.get(target)) and result.files[target][0] != content:
            result.hidden.append((before, file))
        _remove_hidden(result, target, file)
        result.origins[target] = file
        result.files[target] = (content, stat.st_mode & 0o777, stat.st_gid if not stat.st_mode & 0o004 else -1)


def _check_sources(result: Composed, sources: Iterable[Source]) -> None:
    """Reject a file of a sealed layer that sources a configuration file outside of it, for example of this host.

    Files below /usr and /lib may be sourced: they belong to packages.

    Raises:
        BadLayer[sourced-outside]: a file does so.
    """
    layers = [(source.folder, source.inside) for source in sources if source.sealed]
    known = {name: value for piece in result.pieces for name, value in piece.values.items()}
    for name, path in result.origins.items():
        inside = next((inside for folder, inside in layers if path.is_relative_to(folder)), None)
        first, _, below = name.partition("/")
        if inside is None:
            continue
        if first == "env" and "/" not in below:
            with suppress(BadFile):  # Portage reports its errors itself
                config_files.make_conf(path, dict(known), inside=inside)
        elif first == "env" or first.startswith("bashrc") or (first == "profile" and "bashrc" in below):
            _check_script(path)


def _check_script(path: Path) -> None:
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        match = _SOURCES_OUTSIDE.search(line) or _OWN_FOLDER.search(line)
        if match:
            raise sourced_outside(path, number, match[1])


_SOURCES_OUTSIDE = re.compile(
    r"""^(?:[^#'"]|'[^']*'|"[^"]*")*?(?<![\w./-])(?:source|\.)\s+["']?(/(?!usr/(?!local/)|lib(?:32|64)?/)[^\s"';|&)]*)"""
)
"""A line of bash that sources a file by its absolute path."""
_OWN_FOLDER = re.compile(
    r"^(?!\s*(?:echo|einfo|elog|ewarn|eerror|einfon)\b)[^#]*?(?<![\w}./-])(?<![\w}][\"'])(/etc/portage/[^\s\"';|&)]*)"
)
"""A line of bash with an absolute path of the configuration, for example the files of a loop. A path after a variable,
also a quoted one, is not absolute."""


def _remove_hidden(result: Composed, name: str, path: Path) -> None:
    """Remove what a later layer hides by a directory in place of a file, or a file in place of a directory."""
    above = {str(folder) for folder in PurePosixPath(name).parents}
    hidden = [other for other in above if other in result.files]
    if name in result.folders:
        hidden += [other for other in result.files if other.startswith(f"{name}/")]
    for other in hidden:
        result.hidden.append((result.origins.pop(other, Path("plugins")), path))
        del result.files[other]
    result.folders |= above


def _tree(result: Composed, source: Source, path: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """Generate the files at and below a path, following links; every directory is recorded as an input."""
    _record_input(result, path)
    real = Path(os.path.realpath(path))  # resolve() raises on a loop
    if source.inside is not None and not real.is_relative_to(source.inside.resolve()):
        raise BadLayer(path, 0, f"link to {real}, outside of {source.inside}", hint="replace it by a copy")
    if real in above:
        raise BadLayer(path, 0, f"link to its own parent directory {real}", hint="remove it")
    if source.inside is not None:
        ownership.check_path("this configuration", path)
    if path.is_dir():
        for below in _children(path):
            if not (below.name in VCS_DIRS and below.is_dir()):
                yield from _tree(result, source, below, (*above, real))
    elif path.is_file():
        yield path
    elif path.is_symlink() and source.inside is not None:
        raise BadLayer(path, 0, f"broken link to {os.readlink(path)}", hint=f"rm {path}")


def _generate(added: Iterable[tuple[str, Part]]) -> dict[str, str]:
    """Return file -> text of plugins; the lines of one file sorted by plugin, whole files first."""
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


def list_sources(parts: Iterable[tuple[str, Part]], *, host: Path | None, config: Path) -> tuple[Source, ...]:
    """Return the host's own directory, if the profile uses it, and the layers of a plan."""
    base = (Source("host", host),) if host is not None else ()
    layers = (part for _, part in parts if isinstance(part, Layer))
    return (*base, *(Source(part.name, part.folder, config, sealed=host is None) for part in layers))
