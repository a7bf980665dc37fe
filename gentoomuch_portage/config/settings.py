"""Where things are kept, and what was chosen: read once, in a door, and handed down."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Self

from gentoomuch_portage.config import schema
from gentoomuch_portage.errors import BadFile, GmError


class Settings(NamedTuple):
    """Precedence, last wins: these defaults, ``gentoomuch.toml``, the environment, the command line."""

    config: Path
    """Ours to read: profiles, layers, patch sets. Environment: GM_CONFIG."""
    state: Path
    """Ours to write, and worth a backup. Environment: GM_STATE."""
    cache: Path
    """Ours to write; can be made again. Environment: GM_CACHE."""
    host: Path
    """The host's own ``etc/portage``. Environment, for the folder above: GM_HOST, which a shell of ``profile env`` has,
    then PORTAGE_CONFIGROOT."""
    strict: bool = False
    """A plugin that cannot be imported ends the run. Environment: GM_STRICT."""
    defaults: Mapping[str, Any] = MappingProxyType({})
    """What ``gentoomuch.toml`` says for every profile, not yet checked against a profile's keys."""
    shared: Path | None = None
    """The system's state, which is read where a user has nothing of their own; None where it is ``state``, or another
    was named."""

    @classmethod
    def of(
        cls, environ: Mapping[str, str], *, eprefix: str = "", said: Mapping[str, str] = MappingProxyType({})
    ) -> Self:
        """Read the settings.

        Args:
            eprefix: Portage's EPREFIX, without a slash at its end.
            said: our words on the command line, without ``--gm-``: ``config``, ``state``, ``cache``.

        Raises:
            BadFile, BadSetting: ``gentoomuch.toml`` is wrong.
        """
        prefix = Path(eprefix or "/")
        config = Path(said.get("config") or environ.get("GM_CONFIG") or _config(environ, prefix)).absolute()
        top = schema.load(config / "gentoomuch.toml", schema.DEFAULTS, missing_ok=True)
        paths = top.pop("paths", {})
        strict = bool(top.pop("strict", False))

        def place(name: str, xdg: str, home: str, system: str) -> tuple[Path, Path | None]:
            if told := said.get(name) or environ.get(f"GM_{name.upper()}"):
                return Path(told).absolute(), None
            if name in paths:
                return config / str(paths[name]), None
            theirs = prefix / system / "gentoomuch"
            ours = _ours(environ, theirs, xdg, home)
            return ours, theirs if ours != theirs else None

        state, shared = place("state", "XDG_STATE_HOME", ".local/state", "var/lib")
        return cls(
            config=config,
            state=state,
            shared=shared,
            cache=place("cache", "XDG_CACHE_HOME", ".cache", "var/cache")[0],
            host=Path(environ.get("GM_HOST") or environ.get("PORTAGE_CONFIGROOT") or prefix).absolute() / "etc/portage",
            strict=strict or environ.get("GM_STRICT", "") not in {"", "0"},
            defaults=MappingProxyType(top),
        )

    @property
    def binhosts(self) -> Mapping[str, str]:
        """URL of a binhost -> the CPU that all its packages were built for, as ``[binhost."URL"]`` declares it."""
        return {url: told["cpu"] for url, told in self.defaults.get("binhost", {}).items() if "cpu" in told}

    @property
    def chosen(self) -> str:
        """The profile that ``gentoomuch profile set`` wrote down, or an empty string; a user's own beats the system's.

        Raises:
            BadFile: something else is written there.
        """
        place = self.having("profile") / "profile"
        try:
            return place.read_text(encoding="utf-8").strip()
        except OSError:
            return ""
        except UnicodeDecodeError as error:
            raise BadFile(place, 0, "this is no text", remedy="gentoomuch profile set NAME") from error

    @property
    def states(self) -> tuple[Path, ...]:
        """The folders of state that this user may read: their own, then the system's."""
        return (self.state,) if self.shared is None else (self.state, self.shared)

    def having(self, file: str) -> Path:
        """The first folder of state that has a file for this user, otherwise their own.

        Args:
            file: its name below: ``profile``, ``router/unmask.json``.
        """
        if self.shared is None:
            return self.state
        return next((one for one in self.states if os.access(one / file, os.R_OK)), self.state)


def chosen(environ: Mapping[str, str], eprefix: str) -> str:
    """The profile that is set, or an empty string; for the way of a plain emerge, where a broken
    ``gentoomuch.toml`` must not stand."""
    try:
        return Settings.of(environ, eprefix=eprefix).chosen
    except GmError:
        return "?"


def _config(environ: Mapping[str, str], prefix: Path) -> Path:
    """The user's own configuration where there is one, otherwise the system's."""
    own = _home(environ, "XDG_CONFIG_HOME", ".config")
    return own if os.geteuid() and own.is_dir() else prefix / "etc/gentoomuch"


def _ours(environ: Mapping[str, str], system: Path, xdg: str, home: str) -> Path:
    """The system's place where this user may write there, otherwise the user's own."""
    if not os.geteuid():
        return system
    there = next(folder for folder in (system, *system.parents) if folder.exists())
    return system if os.access(there, os.W_OK) else _home(environ, xdg, home)


def _home(environ: Mapping[str, str], xdg: str, home: str) -> Path:
    told = environ.get(xdg)
    return (Path(told) if told and Path(told).is_absolute() else Path(environ.get("HOME") or "/") / home) / "gentoomuch"
