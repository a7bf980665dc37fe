# SPDX-License-Identifier: GPL-2.0-or-later
"""Profiles: ``profiles/NAME.toml``, one file for each machine, and the template of a new one."""

import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

from gentoomuch_portage import ownership
from gentoomuch_portage.config import schema
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import (
    BadFile,
    BadLayer,
    BadPatchSet,
    ConfigError,
    GmError,
    bad_name,
    listed,
    nearest,
    unknown_profile,
)

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_+.-]*")
_RESERVED = frozenset({"binhost", "binhosts", "hooks", "profile", "thaw.json", "thaw.lock", "trust", "trusted"})
"""Other names in the state directory, where each profile has a directory of its name."""
UNNAMED_CPU = "?"
"""``cpu`` of a profile that cannot be used until its CPU is named."""
_SIZE = re.compile(r"([1-9][0-9]*)([KMGT]?)")


def taken_name(name: str, where: str = "") -> ConfigError:
    """The name of a profile is reserved: the state directory has a file of this name."""
    what = f"{where + ': ' if where else ''}invalid profile name {name!r}: it is reserved"
    error = ConfigError(
        what, code="taken-name", hint="choose another name; reserved are " + ", ".join(sorted(_RESERVED))
    )
    return error if where else error.with_correction(name, f"my-{name}")


def cpu_unnamed(where: str, name: str) -> ConfigError:
    """The configuration of another machine has ``-march=native``, and the profile does not set ``cpu``."""
    what = f"{where}: the CPU of profile {name!r} is not set, and its files use native, which would be this host's CPU"
    return ConfigError(what, code="cpu-unnamed", hint='set it: cpu = "x86-64-v3", or any other of gentoomuch isa ls')


class Profile(NamedTuple):
    """``profiles/NAME.toml``, merged with the defaults of ``gentoomuch.toml``."""

    name: str
    file: Path
    values: Mapping[str, Any]
    """A value for each key of ``schema.PROFILE``; a mapping for each table."""

    @classmethod
    def create(cls, name: str, file: Path, **values: Any) -> Self:
        """Create a profile that has the defaults, except for some keys."""
        return cls(name, file, schema.merge(values))

    @property
    def make_profile(self) -> str:
        """``default/linux/...`` or ``repo:path``; empty for the host's."""
        return str(self.values["make_profile"])

    @property
    def base(self) -> str:
        """``host`` or ``none``."""
        return str(self.values["base"])

    @property
    def cpu(self) -> str:
        """A -march name of GCC, a psABI level, or ``native``; empty if the layers set the flags."""
        return str(self.values["cpu"])

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of layers, in order."""
        return tuple(self.values["layers"])

    @property
    def patches(self) -> tuple[str, ...]:
        """Names of patch sets, in order."""
        return tuple(self.values["patches"])

    @property
    def packages(self) -> tuple[str, ...]:
        """Atoms, and sets as ``@NAME``; the layers may add others."""
        return tuple(self.values["packages"])

    @property
    def root(self) -> Path:
        """ROOT, normalised."""
        return Path(f"/{os.path.normpath(self.values['root']).lstrip('/')}")

    @property
    def snapshots(self) -> int:
        """The number of automatic snapshots of the root to keep; 0: none are taken."""
        return int(self.values["snapshots"])

    @property
    def isolation(self) -> str:
        """``none``, ``auto``, or a kind of container."""
        return str(self.values["isolation"])

    @property
    def emerge(self) -> tuple[str, ...]:
        """Options of emerge, placed before those of the command line."""
        return tuple(self.values["emerge"])

    @property
    def unmask(self) -> Mapping[str, Any]:
        """Kind -> true, false, or a list of atoms."""
        table: Mapping[str, Any] = self.values["unmask"]
        return table

    @property
    def binpkg(self) -> Mapping[str, Any]:
        """All keys of ``[binpkg]``."""
        table: Mapping[str, Any] = self.values["binpkg"]
        return table

    @property
    def container(self) -> Mapping[str, Any]:
        """All keys of ``[container]``."""
        table: Mapping[str, Any] = self.values["container"]
        return table

    @property
    def image(self) -> Mapping[str, Any]:
        """All keys of ``[image]``."""
        table: Mapping[str, Any] = self.values["image"]
        return table

    def where(self, key: str, value: str = "", *, table: str = "") -> str:
        """Return ``FILE:LINE`` of the line that sets a key, in the profile or in ``gentoomuch.toml``."""
        path, line = _find_line(self.file, key, value, table=table)
        return f"{path}:{line}" if line else str(path)

    @property
    def foreign(self) -> bool:
        """Whether the root is a machine of its own."""
        return self.root != Path("/")

    @property
    def contained(self) -> str:
        """The kind of container for what always needs one: ``auto`` if the profile names none."""
        return "auto" if self.isolation == "none" else self.isolation


def names(settings: Settings) -> tuple[str, ...]:
    """Return the names of all profiles, sorted.

    Raises:
        PermissionError: this user may not read the directory.
    """
    folder = settings.config / "profiles"
    files = [file for file in folder.iterdir() if file.suffix == ".toml"] if folder.is_dir() else []
    return tuple(sorted(file.stem for file in files if _NAME.fullmatch(file.stem) and file.is_file()))


def active(settings: Settings) -> str:
    """Return the name of the active profile, which ``gentoomuch profile set`` writes; empty if none is set.

    Raises:
        BadFile, ConfigError[bad-name], UsageError[unknown-profile]: it names no profile; the error names its file.
    """
    name = settings.chosen
    if not name:
        return ""
    if not _NAME.fullmatch(name) or name in _RESERVED:
        what = f"invalid name of the active profile: {name!r}"
        raise BadFile(settings.chosen_in, 0, what, hint="gentoomuch profile set --unset")
    if not (settings.config / "profiles" / f"{name}.toml").is_file():
        raise unknown_profile(name, names(settings), active=settings.chosen_in)
    return name


def example_name(settings: Settings, given: Collection[str] = ()) -> str:
    """Return the name of the active profile, or of the first profile that is valid, for a hint; empty if none is.

    Args:
        given: names to use only if there are no others.
    """
    for name in sorted((settings.chosen, *names(settings)), key=lambda name: name in given):
        try:
            return read(settings, name).name
        except GmError:
            continue
    return ""


def read(settings: Settings, name: str) -> Profile:
    """Load one profile.

    Raises:
        ConfigError[bad-name]: the name would leave ``profiles/``.
        ConfigError[taken-name]: the name is reserved.
        UsageError[unknown-profile]: the file does not exist.
        BadFile, BadFile[bad-setting]: the file is invalid.
        ConfigError[foreign-file]: another user than root can change it.
    """
    valid(name, "profile")
    file = settings.config / "profiles" / f"{name}.toml"
    if not file.is_file():
        raise unknown_profile(name, names(settings))
    if settings.checked:
        ownership.check_path("this configuration", file)
    return Profile(name, file, merge_defaults(settings, file, schema.load(file, schema.PROFILE)))


def merge_defaults(settings: Settings, file: Path, values: Mapping[str, Any]) -> dict[str, Any]:
    """Merge the values of a profile with the defaults, and check what depends on this machine.

    Args:
        file: of the profile, for messages.
        values: each fits its key.

    Raises:
        BadFile[bad-setting]: a container must not see a path of ``[container] show``.
    """
    merged = schema.merge(settings.defaults, values)
    visible = (_check_visible(settings, file, path) for path in merged["container"]["show"])
    merged["container"]["show"] = tuple(dict.fromkeys(visible))
    return merged


def _check_visible(settings: Settings, file: Path, path: str) -> str:
    """Normalise a path of ``[container] show``.

    Raises:
        BadFile[bad-setting]: it is not absolute, or a container must not see it.
    """
    plain = os.path.normpath(path)
    places = {Path(plain), Path(os.path.realpath(plain))}
    private = {
        "the home of a user": (Path("/home"), Path("/root"), Path(os.environ.get("HOME") or "/root")),
        "part of the running system": tuple(Path(name) for name in ("/proc", "/sys", "/dev", "/run")),
        "a directory with the signing keys of this machine": (settings.state / "binhost",),
        "the directory of the containers": (settings.cache / "containers",),
    }
    reason = "not an absolute path" if not plain.startswith("/") or "\n" in path else ""
    if places & {Path("/")}:
        reason = "the whole host"
    for description, closed in private.items():
        if any(place.is_relative_to(above) for place in places for above in closed if above != Path("/")):
            reason = description
    if reason:
        raise BadFile(
            *_find_line(file, "show", path, table="container"),
            f"show = {path!r} is {reason}",
            code="bad-setting",
            hint='name only what a build reads: show = ["/opt/vendor"]',
        )
    return plain


def size(text: str) -> int:
    """Return the bytes of a size like ``20G``; 0 for an empty text."""
    match = _SIZE.fullmatch(text)
    return int(match[1]) << 10 * " KMGT".index(match[2] or " ") if match else 0


def host_alone(name: str) -> Profile:
    """Create the profile of a run without a profile that needs a configroot: the host's configuration, unchanged."""
    return Profile.create(name, Path(name), binpkg={"build": False, "use": False, "unknown": "accept"})


def layer_folder(settings: Settings, profile: Profile, name: str) -> Path:
    """Return the directory of one layer of a profile.

    Raises:
        ConfigError[bad-name]: the name would leave ``layers/``.
        BadLayer: it is missing, a broken link, or outside of the configuration directory.
    """
    return _find_folder(settings, profile, "layers", name, "layer", BadLayer)


def patch_folder(settings: Settings, profile: Profile, name: str) -> Path:
    """Return the directory of one patch set of a profile.

    Raises:
        ConfigError[bad-name]: the name would leave ``patches/``.
        BadPatchSet: it is missing, a broken link, or outside of the configuration directory.
    """
    return _find_folder(settings, profile, "patches", name, "patch set", BadPatchSet)


def _find_folder(
    settings: Settings, profile: Profile, key: str, name: str, kind: str, error: type[BadLayer | BadPatchSet]
) -> Path:
    """Find a directory that a list of a profile names; it is stored below the name of the key."""
    if not _NAME.fullmatch(name):
        raise bad_name(kind, name, profile.where(key, name))
    top = settings.config / key
    folder = top / name
    if folder.is_symlink() and not folder.exists():
        what, hint = f"{kind} {name!r} is a broken link: {folder} -> {folder.readlink()}", f"rm {folder}"
    elif not folder.is_dir():
        known = sorted(entry.name for entry in top.iterdir() if entry.is_dir()) if top.is_dir() else []
        near = nearest(name, known)
        what = f"{kind} {name!r} not found {listed(known)}"
        hint = f'did you mean "{near}"?' if near else f"mkdir -p {folder}"
    elif not folder.resolve().is_relative_to(settings.config.resolve()):
        what = f"{kind} {name!r} is outside of {settings.config}: {folder} -> {folder.resolve()}"
        hint = f"copy it into {key}/, so that the configuration can be moved and stored in git as a whole"
    else:
        return folder
    raise error(*_find_line(profile.file, key, name), what, hint=hint)


def valid(name: str, kind: str, where: str = "") -> str:
    """Return a name that is safe as the name of a file.

    Raises:
        ConfigError[bad-name]: it is not safe.
        ConfigError[taken-name]: the name of a profile is reserved.
    """
    if not _NAME.fullmatch(name):
        raise bad_name(kind, name, where)
    if kind == "profile" and name in _RESERVED:
        raise taken_name(name, where)
    return name


def _find_line(file: Path, key: str, value: str = "", *, table: str = "") -> tuple[Path, int]:
    """Find the file and line that set a key: the profile, or ``gentoomuch.toml``; line 0 if neither does."""
    tables = (table,) if table else ()
    for path in (file, file.parent.parent / "gentoomuch.toml"):
        if path.is_file() and (line := schema.line_of(path.read_text(encoding="utf-8"), tables, key, value)):
            return path, line
    return file, 0


def text(name: str) -> str:
    """Return the TOML of a new profile."""
    head = (
        f"# One machine. gm-emerge --gm-profile={name} ... builds for it. In effect: gentoomuch profile show {name}",
        "# A commented line shows the default, or an example. gentoomuch.toml sets values for all profiles.",
        "",
    )
    return "\n".join([*head, *schema.template_lines()]) + "\n"
