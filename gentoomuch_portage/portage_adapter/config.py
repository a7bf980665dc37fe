# SPDX-License-Identifier: GPL-2.0-or-later
"""Read Portage's configuration into plain data: configroots, repositories, profiles, and defaults of the host."""

import contextlib
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import portage
from portage.binrepo.config import BinRepoConfigLoader
from portage.const import GLOBAL_CONFIG_PATH
from portage.exception import PortageException
from portage.package.ebuild._config import special_env_vars
from portage.repository.config import load_repository_config

from gentoomuch_portage.errors import BadFile
from gentoomuch_portage.portage_adapter import private_api
from gentoomuch_portage.portage_adapter.config_errors import bad
from gentoomuch_portage.portage_adapter.config_files import make_conf
from gentoomuch_portage.portage_adapter.patching import swapped


def read_config(configroot: Path) -> tuple[Any, str]:
    """Return Portage's ``config`` of a configroot, without the environment, and its messages on stderr.

    Raises:
        BadFile: Portage cannot read it.
    """
    messages = io.StringIO()
    try:
        with contextlib.redirect_stderr(messages):
            config = portage.config(config_root=str(configroot), target_root="/", env={})
    except (PortageException, ValueError, OSError) as error:
        raise bad(configroot, f"{messages.getvalue()}{error}") from error
    return config, messages.getvalue()


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A configroot as Portage loads it."""

    values: Mapping[str, str]
    """PORTAGE_TMPDIR, PKGDIR, DISTDIR, CHOST, ACCEPT_CHOSTS, ELIBC, ARCH, CC, CFLAGS, USE_EXPAND, PORTAGE_LOGDIR,
    FEATURES, EMERGE_DEFAULT_OPTS."""
    names: frozenset[str]
    """The names of all its variables, and of those that Portage reads from the environment."""
    read: tuple[Path, ...]
    """The files outside of the configroot that the values come from: make.globals, make.defaults, parent."""
    profile: Path | None
    """The directory that make.profile leads to; None if it is missing."""
    complaints: str
    """Portage's messages on stderr."""


def load(configroot: Path) -> Loaded:
    """Load a whole configroot with Portage.

    Raises:
        BadFile: Portage cannot read it.
    """
    config, messages = read_config(configroot)
    names = (
        "PORTAGE_TMPDIR", "PKGDIR", "DISTDIR", "CHOST", "ACCEPT_CHOSTS", "ELIBC", "ARCH", "CC", "CFLAGS", "USE_EXPAND",
        "PORTAGE_LOGDIR", "FEATURES", "EMERGE_DEFAULT_OPTS",
    )  # fmt: skip
    read = [Path(config.global_config_path) / "make.globals"]
    nodes = [Path(node) for node in config.profiles if not node.startswith(str(configroot))]
    read += [node / name for node in nodes for name in ("make.defaults", "parent")]
    profile = config.profile_path
    return Loaded(
        values={name: config.get(name, "") for name in names},
        names=frozenset(config) | _of_environment() | frozenset(config.get("USE_EXPAND", "").split()),
        read=tuple(read),
        profile=Path(profile).resolve() if profile and config.profiles else None,
        complaints=messages,
    )


def cflags_of_make_conf(configroot: Path) -> str:
    """Return the CFLAGS of make.conf, without those that package.env sets for ``*/*``.

    Portage's own value includes package.env, which overrides make.conf.

    Raises:
        BadFile: Portage cannot read it.
    """
    config, _ = read_config(configroot)
    below = {"CFLAGS": config.configdict["defaults"].get("CFLAGS") or config.configdict["globals"].get("CFLAGS", "")}
    known = {**config.configdict["globals"], **config.configdict["defaults"], **below}
    return str(make_conf(configroot / "etc/portage/make.conf", known).get("CFLAGS", below["CFLAGS"]))


def _of_environment() -> frozenset[str]:
    """Return the variables that Portage reads from the environment, or passes to builds."""
    return frozenset(special_env_vars.environ_whitelist) | frozenset(special_env_vars.environ_filter)


def repositories(configroot: Path) -> dict[str, Path]:
    """Return the repositories of a configroot, name -> location, the main one first.

    They are configured by repos.conf, or by PORTDIR and PORTDIR_OVERLAY of make.conf.

    Raises:
        BadFile: Portage cannot read its repos.conf.
    """
    messages = io.StringIO()
    prefix = portage.const.EPREFIX
    try:
        values = make_conf(configroot / "etc/portage/make.conf", {})
    except BadFile:  # reported when the whole configuration is loaded
        values = {}
    settings = {
        "PORTAGE_CONFIGROOT": f"{configroot}/",
        "EPREFIX": prefix,
        "EROOT": f"{prefix}/",
        "ROOT": "/",
        "PORTDIR": values.get("PORTDIR", ""),
        "PORTDIR_OVERLAY": values.get("PORTDIR_OVERLAY", ""),
    }
    try:
        with contextlib.redirect_stderr(messages):
            loaded = load_repository_config(_RepositorySettings(settings))
    except (PortageException, OSError, ValueError) as error:
        raise bad(configroot, f"{messages.getvalue()}{error}") from error
    main = loaded.mainRepo()
    every = {repository.name: Path(repository.location) for repository in loaded if repository.name}
    first = {main.name: every[main.name]} if main is not None and main.name in every else {}
    return first | every


class _RepositorySettings(dict[str, str]):
    """A mapping with the attributes of a config that Portage's repository loader requires."""

    _tolerant = True
    local_config = True

    @property
    def global_config_path(self) -> str:
        """Return the directory of the distribution's repos.conf. Source: LocationsManager.set_root_override."""
        return str(Path(self["EPREFIX"] or "/") / str(GLOBAL_CONFIG_PATH).lstrip("/"))


def make_profiles(repository: Path) -> Iterator[tuple[str, str, str]]:
    """Yield arch, path and stability of each make_profile in a repository.

    Source: profiles/profiles.desc (PMS, "The profiles.desc file").
    """
    try:
        text = (repository / "profiles/profiles.desc").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for line in text.splitlines():
        match line.partition("#")[0].split():
            case [arch, path, status, *_]:
                yield arch, path, status


class Arrangement(NamedTuple):
    """The part of the file system layout that a make_profile decides."""

    merged: bool
    """Whether /bin, /sbin and /lib* are links into /usr."""
    libraries: tuple[str, ...]
    """The names of the library directories in /usr, ``lib`` first."""


def arrangement(configroot: Path) -> Arrangement:
    """Return the file system layout of a composed configroot.

    Source: USE=split-usr, which the make_profiles below ``split-usr`` force; LIBDIR_* of multilib.eclass.
    """
    with contextlib.redirect_stderr(io.StringIO()):
        config = portage.config(config_root=str(configroot), target_root="/", env={})
    abis = (config.get("MULTILIB_ABIS") or config.get("DEFAULT_ABI") or "").split()
    named = sorted(config.get(f"LIBDIR_{abi}", "") or "lib" for abi in abis)
    return Arrangement(
        merged="split-usr" not in config.get("USE", "").split(), libraries=tuple(dict.fromkeys(("lib", *named)))
    )


class Synced(NamedTuple):
    """A repository as configured in repos.conf."""

    name: str
    location: Path
    kind: str
    """Its sync-type: rsync, git and so on; empty if it is never synced."""
    uri: str
    auto: bool
    """Whether ``emerge --sync`` without names syncs it."""


@private_api.optional(private_api.FIRST_SYNC)
@contextlib.contextmanager
def accepting_missing_repositories() -> Iterator[None]:
    """Have Portage load repositories whose directories do not exist yet, as ``emerge --sync`` does."""
    with swapped(portage, "_sync_mode", True):
        yield


def synced_repositories(configroot: Path) -> list[Synced]:
    """Return all named repositories of a configroot, sorted by name."""
    repositories = portage.config(config_root=str(configroot), target_root="/", env={}).repositories
    return sorted(
        Synced(
            repository.name,
            Path(repository.location),
            repository.sync_type or "",
            repository.sync_uri or "",
            repository.auto_sync in {"yes", "true"},
        )
        for repository in repositories
        if repository.name
    )


class Binhosts(NamedTuple):
    """The binhosts of a configuration."""

    urls: Mapping[str, str]
    """Name -> URL."""
    home: Path
    """Portage's directory of keys."""


def load_binhosts(etc_portage: Path) -> Binhosts:
    """Load the binhosts of an ``etc/portage`` directory, and the path of their keys."""
    root = str(etc_portage.parent.parent)
    with contextlib.redirect_stderr(io.StringIO()):
        settings = portage.config(config_root=root, env={})
        repos = BinRepoConfigLoader((str(etc_portage / "binrepos.conf"),), settings)
    home = settings.get("BINPKG_GPG_VERIFY_GPG_HOME") or str(etc_portage / "gnupg")
    return Binhosts({name: repo.sync_uri for name, repo in repos.items()}, Path(home))
