# SPDX-License-Identifier: GPL-2.0-or-later
"""Directories and global settings: loaded once at the entry point, and passed on."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Self

from gentoomuch_portage import ownership, stored
from gentoomuch_portage.config import schema
from gentoomuch_portage.errors import GmError, bare

REJECTED = "rejected/{profile}"
"""A directory of the cache: see ``binhost.client.session``."""


class Settings(NamedTuple):
    """In order of precedence, the last one wins: these defaults, ``gentoomuch.toml``, environment, command line."""

    config: Path
    """Profiles, layers, patch sets; never written by a run. Environment: GM_CONFIG."""
    state: Path
    """Ledgers, history, keys; worth a backup. Environment: GM_STATE."""
    cache: Path
    """Files that can be created again. Environment: GM_CACHE."""
    host: Path
    """The host's own ``etc/portage``. Environment, for its parent directory: GM_HOST, which ``profile env`` sets, then
    PORTAGE_CONFIGROOT."""
    strict: bool = False
    """Fail if a plugin cannot be imported. Environment: GM_STRICT."""
    defaults: Mapping[str, Any] = MappingProxyType({})
    """Keys of ``gentoomuch.toml`` for all profiles."""
    shared: Path | None = None
    """The system's state, which is read if a user has no state of their own; None if it is ``state``, or ``state`` was
    set explicitly."""
    checked: bool = True
    """Whether root rejects files that other users can change. False in a container, whose files we have written."""

    @classmethod
    def load(
        cls,
        environ: Mapping[str, str],
        *,
        eprefix: str = "",
        options: Mapping[str, str] = MappingProxyType({}),
        checked: bool = True,
    ) -> Self:
        """Load the settings.

        Args:
            eprefix: Portage's EPREFIX, without a slash at its end.
            options: ``config``, ``state`` and ``cache`` of the command line, if given.
            checked: whether root rejects files that other users can change; False in a container.

        Raises:
            BadFile, BadFile[bad-setting]: ``gentoomuch.toml`` is invalid.
            ConfigError[foreign-file]: another user than root can change files in one of these directories.
        """
        prefix = Path(eprefix or "/")
        config = Path(options.get("config") or environ.get("GM_CONFIG") or _config(environ, prefix)).absolute()
        if checked:
            ownership.check_path("this configuration", config / "gentoomuch.toml")
        top = schema.load(config / "gentoomuch.toml", schema.GENTOOMUCH, missing_ok=True)
        paths = top.pop("paths", {})
        strict = bool(top.pop("strict", False))

        def place(name: str, xdg: str, home: str, system: str) -> tuple[Path, Path | None]:
            if path := options.get(name) or environ.get(f"GM_{name.upper()}"):
                return Path(path).absolute(), None
            if name in paths:
                return config / str(paths[name]), None
            shared = prefix / system / "gentoomuch"
            own = _find_writable(environ, shared, xdg, home)
            return own, shared if own != shared else None

        state, shared = place("state", "XDG_STATE_HOME", ".local/state", "var/lib")
        cache = place("cache", "XDG_CACHE_HOME", ".cache", "var/cache")[0]
        host = Path(environ.get("GM_HOST") or environ.get("PORTAGE_CONFIGROOT") or prefix).absolute() / "etc/portage"
        named = {"this state": state, "this cache": cache, **({"GM_HOST": host} if environ.get("GM_HOST") else {})}
        for what, folder in named.items() if checked else ():
            ownership.check_path(what, folder)
        return cls(
            config=config,
            state=state,
            shared=shared,
            cache=cache,
            host=host,
            strict=strict or environ.get("GM_STRICT", "") not in {"", "0"},
            checked=checked,
            defaults=MappingProxyType(top),
        )

    def rejected(self, profile: str) -> Path:
        """Return the directory of failures to download or verify packages of binhosts."""
        return self.cache / REJECTED.format(profile=profile)

    @property
    def binhosts(self) -> Mapping[str, str]:
        """URL of a binhost -> the CPU of all its packages, as ``[binhost."URL"]`` declares it."""
        return {url: table["cpu"] for url, table in self.defaults.get("binhost", {}).items() if "cpu" in table}

    @property
    def logins(self) -> tuple[str, ...]:
        """URLs, with name and password, of those binhosts that require them."""
        return tuple(url for url in self.defaults.get("binhost", {}) if bare(url) != url)

    @property
    def chosen(self) -> str:
        """The active profile, or an empty string; a user's own overrides the system's.

        Raises:
            BadFile: the file is invalid.
        """
        place = self.chosen_in
        hint = f"{stored.removal_command(place)}; gentoomuch profile set NAME"
        return stored.load(place, str.strip, "the name of the active profile", hint=hint) or ""

    @property
    def chosen_in(self) -> Path:
        """The file that names the active profile."""
        return self.having("profile") / "profile"

    @property
    def written(self) -> tuple[Path, ...]:
        """The directories that our programs write to."""
        return self.state, self.cache, self.config, Path(os.environ.get("TMPDIR") or "/tmp")

    @property
    def states(self) -> tuple[Path, ...]:
        """The state directories that this user may read: their own, then the system's."""
        return (self.state,) if self.shared is None else (self.state, self.shared)

    def having(self, file: str) -> Path:
        """Return the first state directory with a file that this user can read, otherwise their own.

        Args:
            file: path below it: ``profile``, ``router/unmask.json``.
        """
        if self.shared is None:
            return self.state
        return next((state for state in self.states if os.access(state / file, os.R_OK)), self.state)


def chosen(environ: Mapping[str, str], eprefix: str) -> str:
    """Return the active profile, or an empty string; ``?`` on errors, so that they do not stop plain emerge."""
    try:
        return Settings.load(environ, eprefix=eprefix).chosen
    except GmError:
        return "?"


def _config(environ: Mapping[str, str], prefix: Path) -> Path:
    """Return the user's own configuration directory if it exists, otherwise the system's."""
    own = _home(environ, "XDG_CONFIG_HOME", ".config")
    return own if os.geteuid() and own.is_dir() else prefix / "etc/gentoomuch"


def _find_writable(environ: Mapping[str, str], system: Path, xdg: str, home: str) -> Path:
    """Return the system's directory if this user may write to it, otherwise the user's own."""
    if not os.geteuid():
        return system
    existing = next(folder for folder in (system, *system.parents) if folder.exists())
    return system if os.access(existing, os.W_OK) else _home(environ, xdg, home)


def _home(environ: Mapping[str, str], xdg: str, home: str) -> Path:
    path = environ.get(xdg)
    return (Path(path) if path and Path(path).is_absolute() else Path(environ.get("HOME") or "/") / home) / "gentoomuch"
