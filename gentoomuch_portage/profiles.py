"""The profiles on disk: one TOML file a machine."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from gentoomuch_portage import tables
from gentoomuch_portage.errors import (
    BadLayer,
    BadName,
    BadPatchSet,
    BadSetting,
    ConfigError,
    UnknownProfile,
    listed,
    nearest,
)
from gentoomuch_portage.settings import Settings

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_+.-]*")
_UNMASK = {"keywords": True, "live": False, "use": True, "license": False, "mask": False}
_BINPKG = {
    "build": True, "use": True, "remote": False, "unknown": "reject", "prefer": "newest", "audit": False, "sign": False,
}  # fmt: skip

_TAKEN = frozenset({"binhost", "hooks", "profile", "thaw.json", "thaw.lock", "trust", "trusted"})
"""What else lies in the folder of state, where each profile has a folder of its name."""
_CONTAINER = {"processes": 0, "disk": "", "kernel": ""}
_SIZE = re.compile(r"([1-9][0-9]*)([KMGT]?)")


class TakenName(ConfigError):
    """A profile has the name of something that is kept where each profile has a folder."""

    code = "taken-name"

    def __init__(self, name: str, where: str = "") -> None:
        told = f"{where + ': ' if where else ''}{name!r} is no name for a profile: a file of our own has it"
        super().__init__(told, remedy="take another; taken are " + ", ".join(sorted(_TAKEN)))
        self.name = name


class Profile(NamedTuple):
    """What ``profiles/NAME.toml`` says, laid over the defaults of ``gentoomuch.toml``."""

    name: str
    file: Path
    """Where it is written down."""
    unmask: Mapping[str, Any]
    """Kind -> true, false, or a list of atoms."""
    binpkg: Mapping[str, Any]
    """Keys of ``[binpkg]``, all of them."""
    container: Mapping[str, Any] = MappingProxyType(_CONTAINER)
    """Keys of ``[container]``, all of them."""
    make_profile: str = ""
    """``default/linux/...`` or ``repo:path``; empty for the host's."""
    base: str = "host"
    """``host`` or ``none``."""
    cpu: str = ""
    """A -march name of GCC, a psABI level, or ``native``; empty where the layers say it."""
    layers: tuple[str, ...] = ()
    patches: tuple[str, ...] = ()
    root: Path = Path("/")
    isolation: str = "none"
    emerge: tuple[str, ...] = ()
    """Words put before the user's."""

    def where(self, key: str, value: str = "", *, table: str = "") -> str:
        """``FILE:LINE`` of the line that sets a key, in the profile or in the defaults."""
        path, line = _place(self.file, key, value, table=table)
        return f"{path}:{line}" if line else str(path)

    @property
    def foreign(self) -> bool:
        """Whether the root is a machine of its own."""
        return self.root != Path("/")

    @property
    def contained(self) -> str:
        """The kind of container for what needs one in any case: ``auto`` where the profile names none."""
        return "auto" if self.isolation == "none" else self.isolation


def names(settings: Settings) -> tuple[str, ...]:
    """The names of all profiles, sorted.

    Raises:
        PermissionError: this user may not look for them.
    """
    folder = settings.config / "profiles"
    files = [one for one in folder.iterdir() if one.suffix == ".toml"] if folder.is_dir() else []
    return tuple(sorted(one.stem for one in files if _NAME.fullmatch(one.stem) and one.is_file()))


def read(settings: Settings, name: str) -> Profile:
    """Read one profile.

    Raises:
        BadName, TakenName: the name would leave ``profiles/``, or is in the way of something else.
        UnknownProfile: there is no such file.
        BadFile, BadSetting: it is wrong.
    """
    valid(name, "profile")
    file = settings.config / "profiles" / f"{name}.toml"
    if not file.is_file():
        raise UnknownProfile(name, names(settings))
    said = tables.load(file, tables.PROFILE)
    merged: dict[str, Any] = {**settings.defaults, **said}
    for table, plain in (("unmask", _UNMASK), ("binpkg", _BINPKG), ("container", _CONTAINER)):
        merged[table] = {**plain, **settings.defaults.get(table, {}), **said.get(table, {})}
    merged.pop("binhost", None)
    for key in ("layers", "patches", "emerge"):
        merged[key] = tuple(merged.get(key, ()))
    root = str(merged.get("root", "/"))
    if not root.startswith("/"):
        raise BadSetting(*_place(file, "root"), f"root = {root!r} is no absolute path", remedy='root = "/..."')
    _check(file, merged)
    merged["root"] = Path(f"/{os.path.normpath(root).lstrip('/')}")
    return Profile(name=name, file=file, **merged)


def _check(file: Path, merged: Mapping[str, Any]) -> None:
    """Refuse values of the right type that nothing can be made of."""
    if (disk := str(merged["container"]["disk"])) and not _SIZE.fullmatch(disk):
        told, remedy = f"disk = {disk!r} is no size", 'disk = "20G"; K, M, G and T are powers of 1024'
        raise BadSetting(*_place(file, "disk", table="container"), told, remedy=remedy)
    if (processes := merged["container"]["processes"]) < 0:
        told, remedy = f"processes = {processes} is less than 0", "processes = 0 for no limit"
        raise BadSetting(*_place(file, "processes", table="container"), told, remedy=remedy)
    if word := next((one for one in merged["emerge"] if one.startswith("--gm-")), ""):
        told, remedy = f"emerge = {word!r} is a word of ours, and here are words of emerge", "leave it out"
        raise BadSetting(*_place(file, "emerge", word), told, remedy=remedy)


def size(text: str) -> int:
    """Bytes of a size like ``20G``; 0 of an empty text."""
    found = _SIZE.fullmatch(text)
    return int(found[1]) << 10 * " KMGT".index(found[2] or " ") if found else 0


def host_alone(name: str) -> Profile:
    """What stands for a profile in a run without one that has to be composed all the same: the host as it is."""
    binpkg = {**_BINPKG, "build": False, "use": False, "unknown": "accept"}
    return Profile(name=name, file=Path(name), unmask=_UNMASK, binpkg=binpkg)


def layer_folder(settings: Settings, profile: Profile, name: str) -> Path:
    """The folder of one layer of a profile.

    Raises:
        BadName: the name would leave ``layers/``.
        BadLayer: it is missing, a broken link, or leads out of the configuration directory.
    """
    return _named(settings, profile, "layers", name, "layer", BadLayer)


def patch_folder(settings: Settings, profile: Profile, name: str) -> Path:
    """The folder of one patch set of a profile.

    Raises:
        BadName: the name would leave ``patches/``.
        BadPatchSet: it is missing, a broken link, or leads out of the configuration directory.
    """
    return _named(settings, profile, "patches", name, "patch set", BadPatchSet)


def _named(
    settings: Settings, profile: Profile, key: str, name: str, kind: str, error: type[BadLayer | BadPatchSet]
) -> Path:
    """A folder of the configuration that a list of a profile names; the key is where such folders lie, too."""
    if not _NAME.fullmatch(name):
        raise BadName(kind, name, profile.where(key, name))
    top = settings.config / key
    folder = top / name
    if folder.is_symlink() and not folder.exists():
        told, remedy = f"{kind} {name!r} is a broken link: {folder} -> {folder.readlink()}", f"rm {folder}"
    elif not folder.is_dir():
        known = sorted(one.name for one in top.iterdir() if one.is_dir()) if top.is_dir() else []
        near = nearest(name, known)
        told = f"there is no {kind} {name!r} {listed(known)}"
        remedy = f'"{near}" ?' if near else f"mkdir -p {folder}"
    elif not folder.resolve().is_relative_to(settings.config.resolve()):
        told = f"{kind} {name!r} leads out of {settings.config}: {folder} -> {folder.resolve()}"
        remedy = f"copy it into {key}/; a configuration is one tree that can be moved and kept in git"
    else:
        return folder
    raise error(*_place(profile.file, key, name), told, remedy=remedy)


def valid(name: str, kind: str, where: str = "") -> str:
    """Return a name that is safe as that of a file.

    Raises:
        BadName: it is not.
        TakenName: it is that of a profile, and would be in the way of something else.
    """
    if not _NAME.fullmatch(name):
        raise BadName(kind, name, where)
    if kind == "profile" and name in _TAKEN:
        raise TakenName(name, where)
    return name


def _place(file: Path, key: str, value: str = "", *, table: str = "") -> tuple[Path, int]:
    """The file and line that set a key: the profile itself, or the defaults; line 0 where none does."""
    within = (table,) if table else ()
    for path in (file, file.parent.parent / "gentoomuch.toml"):
        if path.is_file() and (line := tables.line_of(path.read_text(encoding="utf-8"), within, key, value)):
            return path, line
    return file, 0
