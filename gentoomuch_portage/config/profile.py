"""The profiles on disk: one TOML file a machine.

What a new profile says: every key with its default, commented out.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from gentoomuch_portage.config import schema
from gentoomuch_portage.config.settings import Settings
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
    said = schema.load(file, schema.PROFILE)
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
        if path.is_file() and (line := schema.line_of(path.read_text(encoding="utf-8"), within, key, value)):
            return path, line
    return file, 0


TEXT = """\
# One machine. gm-emerge --gm-profile={name} ... builds for it; gentoomuch profile show {name} tells what is in force.
# A key that is left out has the value shown here, or that of gentoomuch.toml.

# make_profile = "default/linux/amd64/23.0"    # or "repo:path"; left out with base = "host": the host's
# base = "host"            # "host": start from the host's /etc/portage; "none": from nothing
# cpu = "x86-64-v3"        # a GCC -march name, a psABI level, or "native"; left out: what the layers say
# layers = []              # folders below layers/, in order; a later one wins, incremental variables add up
# patches = []             # patch sets below patches/, in order
# root = "/"               # ROOT; anything else is a machine of its own
# isolation = "none"       # none, auto, bwrap, unshare, nspawn, podman or vm
# emerge = []              # words put before yours: ["--quiet-build=y"]

# [unmask]                 # what may be unmasked without asking: true, false, or a list of atoms
# keywords = true          # ~arch
# live = false             # ** and 9999
# use = true
# license = false
# mask = false             # package.mask

# [binpkg]
# build = true             # make binary packages
# use = true               # use them: --usepkg
# remote = false           # and those of binhosts: --getbinpkg
# unknown = "reject"       # a binary package that does not tell its flags: reject or accept
# audit = false            # read the machine code of binary packages before they are used, and of what was built
# sign = false             # sign what is built, with the key of gentoomuch binhost key
# prefer = "newest"        # among those that run here: newest, or fastest (closest to cpu)

# [container]              # where isolation is not "none"
# processes = 0            # how many may run in it at once; 0: no limit
# disk = ""                # how much may be written in it, kept in memory: "20G"; "": as much as there is room
# kernel = ""              # the Linux that a vm boots: "/boot/vmlinuz"; "": one of the host's
"""


def text(name: str) -> str:
    """The TOML of a new profile."""
    return TEXT.replace("{name}", name)
