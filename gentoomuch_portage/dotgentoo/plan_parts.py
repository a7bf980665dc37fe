"""What a .gentoo folder adds to a run: its repository, its overlays and its package.*, for that run alone."""

import configparser
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gentoomuch_portage.config.profile import Profile, layer_folder
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.dotgentoo import lint, repository, trust, worktree
from gentoomuch_portage.dotgentoo.errors import BadFolder, SamePackage
from gentoomuch_portage.dotgentoo.id import identity
from gentoomuch_portage.dotgentoo.layout import find
from gentoomuch_portage.dotgentoo.load import Folder, read
from gentoomuch_portage.plan.plan import File, Line, Part
from gentoomuch_portage.portage_adapter import config

_FILES = {
    "keywords": "package.accept_keywords",
    "mask": "package.mask",
    "unmask": "package.unmask",
    "use": "package.use",
    "license": "package.license",
}


@dataclass(frozen=True, slots=True)
class Project:
    """A project that a word of the command line means."""

    word: str
    folder: Folder
    id: str

    @property
    def atom(self) -> str:
        """What emerge installs in the place of the word."""
        return f"={self.folder.cpv}::{repository.name_of(self.folder)}"


@dataclass(frozen=True, slots=True)
class Repositories:
    """The repositories that a run has without the folder."""

    main: str
    """Empty where there is none."""
    known: dict[str, Path]
    masks: tuple[Path, ...] = ()
    """The package.mask files of repositories and of layers."""


def projects(words: Iterable[str]) -> list[Project]:
    """The projects of a command line.

    Raises:
        BadFolder: a folder is wrong.
        SamePackage: two install the same package.
    """
    found: dict[str, Project] = {}
    for word in words:
        folder = read(find(Path(word)))
        if wrong := next((one for one in lint.findings(folder) if one.wrong), None):
            raise BadFolder(wrong.file, wrong.line, wrong.text, remedy=f"gentoomuch dotgentoo check {folder.project}")
        if (other := found.get(folder.cp)) and other.folder.path != folder.path:
            raise SamePackage(folder.cp, other.folder.path, folder.path)
        found.setdefault(folder.cp, Project(word, folder, identity(folder)))
    return list(found.values())


def repositories(settings: Settings, profile: Profile) -> Repositories:
    """The repositories of the host, where it lies below, and of the layers.

    Raises:
        BadFile: Portage cannot read a repos.conf.
    """
    known = config.repositories(settings.host.parents[1]) if profile.base == "host" else {}
    main = next(iter(known), "")
    layers = [layer_folder(settings, profile, name) for name in profile.layers]
    for layer in layers:
        said = configparser.ConfigParser(strict=False, interpolation=None)
        said.read(config.file_list(layer / "repos.conf"), encoding="utf-8")
        main = said.defaults().get("main-repo", main)
        known |= {one: Path(said[one].get("location", "/")) for one in said.sections()}
    masked = [place / "profiles" for place in known.values()] + layers
    return Repositories(main, known, tuple(file for one in masked for file in config.file_list(one / "package.mask")))


def security(folder: Folder, settings: Settings, there: Repositories) -> tuple[str, ...]:
    """The atoms whose security masks the folder would lift."""
    return trust.lifted(folder, [*there.masks, *config.file_list(settings.host / "package.mask")])


def added(project: Project, there: Repositories, tree: worktree.Tree, cache: Path) -> Iterator[Part]:
    """What is laid over the profile.

    Raises:
        BadFolder, Unreachable: an overlay cannot be had.
    """
    folder = project.folder
    name = repository.name_of(folder)
    places = {name: (repository.made(folder, there.main, cache), "")}
    for overlay in folder.overlays:
        if overlay.name not in there.known:
            places[overlay.name] = repository.fetched(overlay, cache), overlay.get("priority")
    for one, (place, priority) in places.items():
        said = f"[{one}]\nlocation = {place}\nauto-sync = no\n"
        yield File("repos.conf", said + (f"priority = {priority}\n" if priority else ""))
    yield Line("package.accept_keywords", f"{project.atom} **")
    for kind, file in _FILES.items():
        for entry in folder.entries[kind]:
            yield Line(file, entry.text)
    yield from _environment(folder, name)
    yield File(f"env/{folder.cpv}", _variables(project, tree))


def _environment(folder: Folder, name: str) -> Iterator[Part]:
    """package.env, its files under names that no other file of the profile has."""
    for file, text in folder.env:
        yield File(f"env/{name}-{file}", text)
    for entry in folder.entries["env"]:
        yield Line("package.env", " ".join((entry.atom, *(f"{name}-{file}" for file in entry.values))))


def _variables(project: Project, tree: worktree.Tree) -> str:
    """What the ebuild is told; DOTGENTOO_PACKAGE_ROOT is the name that ebuilds for gebuilder's install.sh know."""
    told = {
        "DOTGENTOO_PACKAGE_ROOT": str(tree.path),
        "DOTGENTOO_VERSION": tree.version,
        "DOTGENTOO_DIGEST": tree.digest,
        "DOTGENTOO_ID": project.id,
    }
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in told.items())
