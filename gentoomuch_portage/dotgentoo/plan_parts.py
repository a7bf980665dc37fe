# SPDX-License-Identifier: GPL-2.0-or-later
"""Plan parts of a .gentoo directory: its repository, overlays and package.*, for one run."""

import configparser
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gentoomuch_portage.config.profile import Profile, layer_folder
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.dotgentoo import lint, repository, trust, worktree
from gentoomuch_portage.dotgentoo.errors import same_package
from gentoomuch_portage.dotgentoo.id import compute_id
from gentoomuch_portage.dotgentoo.layout import find_folder
from gentoomuch_portage.dotgentoo.load import Folder, load_folder
from gentoomuch_portage.errors import BadFile
from gentoomuch_portage.plan.plan import File, Line, Part
from gentoomuch_portage.portage_adapter import config, config_files

_FILES = {
    "keywords": "package.accept_keywords",
    "mask": "package.mask",
    "unmask": "package.unmask",
    "use": "package.use",
    "license": "package.license",
}


@dataclass(frozen=True, slots=True)
class Project:
    """A project named on the command line."""

    word: str
    folder: Folder
    id: str

    @property
    def atom(self) -> str:
        """The atom that replaces the argument of emerge."""
        return f"={self.folder.cpv}::{repository.repository_name(self.folder)}"


@dataclass(frozen=True, slots=True)
class Repositories:
    """The repositories of a run without the .gentoo directory."""

    main: str
    """Name of the main repository; empty if there is none."""
    known: dict[str, Path]
    masks: tuple[Path, ...] = ()
    """The package.mask files of repositories and of layers."""


def load_projects(words: Iterable[str]) -> list[Project]:
    """Load the projects named on the command line.

    Raises:
        BadFile[bad-dotgentoo]: a .gentoo directory is invalid.
        UsageError[same-package]: two projects install the same package.
    """
    projects: dict[str, Project] = {}
    for word in words:
        folder = load_folder(find_folder(Path(word)))
        if wrong := next((finding for finding in lint.find_problems(folder) if finding.wrong), None):
            raise BadFile(
                wrong.file,
                wrong.line,
                wrong.text,
                code="bad-dotgentoo",
                hint=f"gentoomuch dotgentoo check {folder.project}",
            )
        if (other := projects.get(folder.cp)) and other.folder.path != folder.path:
            raise same_package(folder.cp, other.folder.path, folder.path)
        projects.setdefault(folder.cp, Project(word, folder, compute_id(folder)))
    return list(projects.values())


def find_repositories(settings: Settings, profile: Profile) -> Repositories:
    """Find the repositories of the host, if the profile is based on it, and of the layers.

    Raises:
        BadFile: Portage cannot read a repos.conf.
    """
    known = config.repositories(settings.host.parents[1]) if profile.base == "host" else {}
    main = next(iter(known), "")
    layers = [layer_folder(settings, profile, name) for name in profile.layers]
    for layer in layers:
        parser = configparser.ConfigParser(strict=False, interpolation=None)
        parser.read(config_files.file_list(layer / "repos.conf"), encoding="utf-8")
        main = parser.defaults().get("main-repo", main)
        known |= {section: Path(parser[section].get("location", "/")) for section in parser.sections()}
    masked = [place / "profiles" for place in known.values()] + layers
    return Repositories(
        main, known, tuple(file for folder in masked for file in config_files.file_list(folder / "package.mask"))
    )


def find_security_masks(folder: Folder, settings: Settings, there: Repositories) -> tuple[str, ...]:
    """Return the atoms whose security masks the .gentoo directory would lift."""
    return trust.find_lifted_security_masks(
        folder, [*there.masks, *config_files.file_list(settings.host / "package.mask")]
    )


def generate_parts(project: Project, there: Repositories, tree: worktree.Tree, cache: Path) -> Iterator[Part]:
    """Generate the parts to add to the plan.

    Raises:
        BadFile[bad-dotgentoo], MachineError[overlay-unreachable]: an overlay is not available.
    """
    folder = project.folder
    name = repository.repository_name(folder)
    places = {name: (repository.write_repository(folder, there.main, cache), "")}
    for overlay in folder.overlays:
        if overlay.name not in there.known:
            places[overlay.name] = repository.fetch_overlay(overlay, cache), overlay.get("priority")
    for section_name, (place, priority) in places.items():
        section = f"[{section_name}]\nlocation = {place}\nauto-sync = no\n"
        yield File("repos.conf", section + (f"priority = {priority}\n" if priority else ""))
    yield Line("package.accept_keywords", f"{project.atom} **")
    for kind, file in _FILES.items():
        for entry in folder.entries[kind]:
            yield Line(file, entry.text)
    yield from _generate_env(folder, name)
    yield File(f"env/{folder.cpv}", _format_variables(project, tree))


def _generate_env(folder: Folder, name: str) -> Iterator[Part]:
    """Generate package.env and its files, with names that are unique in the profile."""
    for file, text in folder.env:
        yield File(f"env/{name}-{file}", text)
    for entry in folder.entries["env"]:
        yield Line("package.env", " ".join((entry.atom, *(f"{name}-{file}" for file in entry.values))))


def _format_variables(project: Project, tree: worktree.Tree) -> str:
    """Format the variables for the ebuild. Ebuilds for gebuilder's install.sh use DOTGENTOO_PACKAGE_ROOT."""
    values = {
        "DOTGENTOO_PACKAGE_ROOT": str(tree.path),
        "DOTGENTOO_VERSION": tree.version,
        "DOTGENTOO_DIGEST": tree.digest,
        "DOTGENTOO_ID": project.id,
    }
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items())
