# SPDX-License-Identifier: GPL-2.0-or-later
"""Moved packages in the files of a profile, and their new names: ``gentoomuch profile update``."""

import difflib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from gentoomuch_portage import fs
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.configroot import moved
from gentoomuch_portage.configroot.statements import Place
from gentoomuch_portage.emerge.profile_view import View
from gentoomuch_portage.errors import BadFile
from gentoomuch_portage.unmask import ledger


@dataclass(frozen=True, slots=True)
class Moved:
    """A place that names a package by its old name."""

    old: str
    new: str
    place: Place
    """Line 0 for a directory of patches."""

    @property
    def text(self) -> str:
        """The change, for people."""
        return f"{self.old} is {self.new} now"


@dataclass(frozen=True, slots=True)
class Update:
    """The changes that give moved packages their new names."""

    texts: dict[Path, tuple[str, str]] = field(default_factory=dict)
    """File -> its text, and its new text."""
    patches: dict[Path, Path] = field(default_factory=dict)
    """Patch -> its new path."""

    def __bool__(self) -> bool:
        """Return whether anything changes."""
        return bool(self.texts or self.patches)


def find_moved(view: View, settings: Settings) -> Iterator[Moved]:
    """Find the places in the layers, patch sets, profile and ledger of a profile that name moved packages."""
    renames = moved.load(Path(view.plan.configroot))
    if not renames:
        return
    for file, old_text in _texts(view, settings):
        for number, line in enumerate(old_text.splitlines(), 1):
            new_line = _rename(file, view, settings, line, renames)
            if new_line != line:
                old = next((old for old in sorted(renames, key=len, reverse=True) if old in line), line.strip())
                yield Moved(old, renames.get(old, new_line.strip()), Place(file, number))
    for folder, new in sorted({(old.parent, new.parent) for old, new in _find_patches(view, renames).items()}):
        yield Moved(f"{folder.parent.name}/{folder.name}", f"{new.parent.name}/{new.name}", Place(folder, 0))


def find_update(view: View, settings: Settings) -> Update:
    """Return the changes that a profile needs.

    Raises:
        BadFile: a patch of the new name exists already.
    """
    renames = moved.load(Path(view.plan.configroot))
    update = Update()
    if not renames:
        return update
    for file, old in _texts(view, settings):
        lines = old.splitlines(keepends=True)
        new = "".join(_rename(file, view, settings, line, renames) for line in lines)
        if new != old:
            update.texts[file] = (old, new)
    update.patches.update(_find_patches(view, renames))
    for old_path, new_path in update.patches.items():
        if os.path.lexists(new_path):
            raise BadFile(
                new_path, 0, f"exists, and {old_path} has its new name", hint=f"remove one of them: {old_path}"
            )
    return update


def _texts(view: View, settings: Settings) -> Iterator[tuple[Path, str]]:
    """Yield each file that can name packages, with its text: of layers, the profile, its defaults, and its ledger."""
    folders = tuple(layer.folder for layer in view.layers)
    origins = {path for name, path in view.composed.origins.items() if moved.has_atoms(name)}
    machine = {path for path, line in view.composed.machine.values() if line}
    for path in sorted(origins | machine):
        if any(path.is_relative_to(folder) for folder in folders):
            yield path, path.read_text(encoding="utf-8", errors="surrogateescape")
    for path in _quoted(view, settings):
        with suppress(FileNotFoundError):
            yield path, path.read_text(encoding="utf-8", errors="surrogateescape")


def _quoted(view: View, settings: Settings) -> tuple[Path, ...]:
    """Return the files in which atoms are in quotes: TOML and JSON."""
    return settings.config / "gentoomuch.toml", view.profile.file, ledger.path(settings.state, view.profile.name)


def _rename(file: Path, view: View, settings: Settings, line: str, renames: Mapping[str, str]) -> str:
    """Return a line with the new names."""
    if file in _quoted(view, settings):
        for old, new in renames.items():
            line = line.replace(f'"{old}"', f'"{new}"').replace(f"'{old}'", f"'{new}'")
        return line
    return moved.rename_lines(line, renames)


def _find_patches(view: View, renames: Mapping[str, str]) -> dict[Path, Path]:
    """Return the patches of moved packages with their new paths."""
    paths = {}
    for name, path in view.composed.origins.items():
        match name.split("/"):
            case ["patches", category, package, _] if not _is_of_host(path, view):
                new = moved.rename_directory(f"{category}/{package}", renames)
                if new != f"{category}/{package}":
                    paths[path] = path.parents[2] / new / path.name
    return paths


def _is_of_host(path: Path, view: View) -> bool:
    return any(source.inside is None and path.is_relative_to(source.folder) for source in view.sources)


def format_diff(update: Update) -> Iterator[str]:
    """Yield the lines of a unified diff, and the renamed patches."""
    for file, (old, new) in sorted(update.texts.items()):
        yield from difflib.unified_diff(old.splitlines(), new.splitlines(), str(file), str(file), lineterm="", n=1)
    for old_path, new_path in sorted(update.patches.items()):
        yield f"rename {old_path} -> {new_path}"


def write(update: Update) -> None:
    """Write all changes, or none after an error. After a kill, ``find_update`` finds those that are left.

    Raises:
        NoPrivilege, MachineError[disk-full], ReadOnly: a file cannot be written.
    """
    with ExitStack() as undo:
        for file, (old, new) in update.texts.items():
            target = Path(os.path.realpath(file))  # a link in a layer stays a link
            fs.write(target, new.encode(errors="surrogateescape"))
            undo.callback(fs.write, target, old.encode(errors="surrogateescape"))
        for old_path, new_path in _find_renames(update.patches):
            fs.ensure(new_path.parent)
            old_path.rename(new_path)
            undo.callback(new_path.rename, old_path)
        undo.pop_all()
    _remove_empty({old_path.parent for old_path in update.patches})


def _find_renames(patches: Mapping[Path, Path]) -> Iterator[tuple[Path, Path]]:
    """Yield paths with their new paths: whole directories of patches, or single patches if the new directory exists."""
    for old_folder, new_folder in sorted({(old.parent, new.parent) for old, new in patches.items()}):
        if os.path.lexists(new_folder):
            yield from ((old, new) for old, new in sorted(patches.items()) if old.parent == old_folder)
        else:
            yield old_folder, new_folder


def _remove_empty(folders: Iterable[Path]) -> None:
    for folder in folders:
        for path in (folder, folder.parent):
            with suppress(OSError):
                path.rmdir()
