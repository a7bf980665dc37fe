# SPDX-License-Identifier: GPL-2.0-or-later
"""Isolate runs: state and variables of each profile, locks on overlayfs, and confinement of ebuild code.

Portage creates a link to check that a lock file still exists, because of NFS. On overlayfs, the inode numbers of a
copied file and a new link to it differ. If a lower directory contains the lock file, as after a killed emerge, Portage
would try forever.
"""

import copy
import functools
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import portage.const
import portage.dbapi.bintree as bintree
import portage.locks
import portage.process
from portage.package.ebuild import config
from portage.package.ebuild._config.LocationsManager import LocationsManager
from portage.util.mtimedb import MtimeDB

from gentoomuch_portage import console, fs, stored
from gentoomuch_portage.errors import GmError, cannot_write
from gentoomuch_portage.portage_adapter import private_api
from gentoomuch_portage.portage_adapter.patching import environment, swapped


@contextmanager
def apart(*, state: Path, cache: Path, build_configroot: Callable[[], str]) -> Iterator[None]:
    """Use a resume list, a binhost cache and a configuration for BDEPEND of one profile, while the block runs.

    The record of applied package moves is that of the root: all profiles of the host's own system share it.

    Args:
        state: directory of the profile's ``mtimedb``, which has the list of --resume.
        cache: directory of the indexes of its binhosts.
        build_configroot: returns the configroot of packages that are installed in ``/`` if ROOT is another directory;
            returns an empty text otherwise. Called each time Portage reads its configuration.
    """
    with ExitStack() as held:
        # Not portage.MtimeDB, which is imported lazily: its first use would replace ours with the original class.
        if private_api.provides(private_api.RESUME):
            held.enter_context(swapped(MtimeDB, "__init__", _moved(MtimeDB.__init__, state)))
            held.enter_context(swapped(MtimeDB, "commit", _kept(MtimeDB.commit)))
        # An absolute path replaces EROOT in os.path.join(EROOT, CACHE_PATH, "binhost", ...), its only use there.
        if private_api.provides(private_api.BINHOST_CACHE):
            held.enter_context(swapped(bintree, "CACHE_PATH", str(cache)))
        if private_api.provides(private_api.BUILD_CONFIGURATION) and build_configroot():
            plain = LocationsManager.__init__
            held.enter_context(swapped(LocationsManager, "__init__", _governed(plain, build_configroot)))
        yield


def _moved(plain: Callable[..., None], state: Path) -> Callable[..., None]:
    """Let MtimeDB use a file of this profile for each EROOT; a damaged file is ignored with a warning."""

    @functools.wraps(plain)
    def opened(self: Any, filename: str) -> None:
        eroot = filename.removesuffix(_MTIMEDB).strip("/").replace("/", "-")
        file = state / "resume" / (eroot or "root") / "mtimedb"
        intact = stored.recall(file, _is_mtimedb)
        if intact is None and os.path.lexists(file):
            console.warning(f"cannot read {file}: it is damaged; --resume cannot continue an earlier run")
        plain(self, str(file) if intact else os.devnull)
        host = f"{portage.const.EPREFIX}{_MTIMEDB}"
        self.host = host if os.path.normpath(filename) == os.path.normpath(host) else ""
        if self.host or (not intact and _is_empty(Path(filename.removesuffix(_MTIMEDB) or "/"))):
            self["updates"] = _load_updates(Path(host))
        self.filename = str(file)
        self.last_saved = copy.deepcopy(dict(self))

    return opened


def _is_empty(eroot: Path) -> bool:
    """Whether a root has no packages, so that no package move can concern it."""
    return not os.path.lexists(eroot / "var/lib/portage/world") and not any((eroot / "var/db/pkg").glob("*/*"))


def _load_updates(file: Path) -> dict[str, Any]:
    """Return the time of each file of package moves that Portage has applied to the host's own system."""
    return stored.recall(file, lambda text: dict(json.loads(text)["updates"]) if _is_mtimedb(text) else {}) or {}


def _store_updates(own: Any) -> None:
    """Record applied package moves of the host's own system in its own file, so that they are applied only once.

    Raises:
        GmError: it cannot be written.
    """
    if own.host and own["updates"] != own.last_saved["updates"]:
        data = stored.recall(Path(own.host), lambda text: dict(json.loads(text))) or {}
        fs.write(Path(own.host), json.dumps({**data, "updates": own["updates"]}, indent="\t", sort_keys=True))


def _is_mtimedb(text: str) -> bool:
    """Return True for a text that Portage can use.

    Source: portage.util.mtimedb, and action_build in _emerge/actions.py, which checks no more than lists and tables.

    Raises:
        ValueError, TypeError, AttributeError: Portage cannot use the text.
    """
    data = json.loads(text)
    tables = [data.get(name, {}) for name in ("info", "ldpath", "updates")]
    resumes = [data[name] for name in ("resume", "resume_backup") if name in data]
    merges = [merge for resume in resumes for merge in resume.get("mergelist", [])]
    favorites = [name for resume in resumes for name in resume.get("favorites", [])]
    if not all(isinstance(table, dict) for table in tables):
        raise TypeError("not a table")
    if not all(isinstance(merge, list) and all(isinstance(word, str) for word in merge) for merge in merges):
        raise TypeError("not a list of packages")
    if not all(isinstance(name, str) for name in favorites):
        raise TypeError("not a list of names")
    return True


def _kept(plain: Callable[..., None]) -> Callable[..., None]:
    """Create the directory of the file when it is written, and not before.

    If it cannot be written, emerge continues without a list for --resume.
    """

    @functools.wraps(plain)
    def committed(self: Any) -> None:
        if self.filename is None or dict(self) == self.last_saved:
            return
        file = Path(self.filename)
        before = set(file.parent.glob(f"{file.name}?*"))
        try:
            _store_updates(self)
            fs.ensure(file.parent)
            if os.path.lexists(file) and (file.is_symlink() or not file.is_file()):
                fs.remove(file)  # Portage would write through a link
            _check_room(file.parent)
            plain(self)
            self.last_saved = copy.deepcopy(dict(self))
        except (GmError, OSError) as error:
            for half in set(file.parent.glob(f"{file.name}?*")) - before:
                half.unlink(missing_ok=True)
            shown = error if isinstance(error, GmError) else cannot_write(file, error)
            console.warning(f"{shown.message}; --resume cannot continue this run")
            console.info(f"gentoomuch:     hint: {shown.hint}")
            self.make_readonly()

    return committed


def _check_room(folder: Path) -> None:
    """Check that the directory has space for a file; Portage skips the write silently if it cannot create the file.

    Raises:
        OSError: a file cannot be written.
    """
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"\n" * 4096)
        file.flush()


def _governed(plain: Callable[..., None], configroot: Callable[[], str]) -> Callable[..., None]:
    """Replace config_root=None, with which Portage loads the host's configuration for ``/``."""

    @functools.wraps(plain)
    def located(self: Any, config_root: Any = None, *args: Any, **named: Any) -> None:
        plain(self, config_root if config_root is not None else configroot(), *args, **named)

    return located


_TMPDIR = "PORTAGE_TMPDIR"
_OF_MACHINE = """
    FEATURES PORTAGE_TMPDIR PKGDIR DISTDIR PORTAGE_LOGDIR PORT_LOGDIR
    MAKEOPTS NINJAOPTS PORTAGE_NICENESS PORTAGE_IONICE_COMMAND PORTAGE_SCHEDULING_POLICY PORTAGE_SCHEDULING_PRIORITY
    GENTOO_MIRRORS FETCHCOMMAND RESUMECOMMAND CCACHE_DIR CCACHE_SIZE DISTCC_DIR DISTCC_HOSTS SCCACHE_DIR
"""
"""Names of variables that say where and how this machine builds."""


@contextmanager
def variables(environ: Mapping[str, str], own: Mapping[str, str]) -> Iterator[None]:
    """Set the variables of a run while the block runs: the rule of docs/reference.md, "Variables of the environment".

    Packages for the root of the profile follow emerge: the environment wins over package.env, which wins over
    make.conf. To packages that are installed in ``/`` for building, emerge passes nothing of the environment; variables
    of the machine, which do not decide what is in a package, apply to them here.

    Args:
        environ: the environment of the user.
        own: variables of the run. They win over the environment, except for PORTAGE_TMPDIR: if the user has set none,
            it applies like a setting of make.conf, so that package.env can change it for single packages.
    """
    exported = {name: value for name, value in own.items() if name != _TMPDIR or environ.get(_TMPDIR)}
    tmpdir = "" if _TMPDIR in exported else own.get(_TMPDIR, "")
    set_here = {**environ, **exported}
    machine = {name: set_here[name] for name in _OF_MACHINE.split() if environ.get(name)}
    with (
        environment(exported),
        swapped(config.config, "__init__", _with_variables(config.config.__init__, machine, tmpdir)),
    ):
        yield


def _with_variables(plain: Callable[..., None], machine: Mapping[str, str], tmpdir: str) -> Callable[..., None]:
    """Let Portage's ``config`` use variables. A copy has those of its original.

    Args:
        machine: for the configuration that emerge loads without a config_root, that of packages for building.
        tmpdir: PORTAGE_TMPDIR of the other ones; empty to change nothing.
    """

    @functools.wraps(plain)
    def loaded(self: Any, clone: Any = None, *args: Any, env: Any = None, **named: Any) -> None:
        building = clone is None and named.get("config_root") is None
        plain(self, clone, *args, env={**(env or {}), **machine} if building else env, **named)
        if tmpdir and clone is None and not building:
            self.configdict["conf"][_TMPDIR] = tmpdir

    return loaded


@contextmanager
def overlaid() -> Iterator[None]:
    """Check lock files by their names while the block runs."""
    with swapped(portage.locks, "_lockfile_was_removed", _removed):
        yield


def _removed(lock_fd: int, lock_path: str) -> tuple[bool, os.stat_result | None]:
    """Return whether a lock file was removed, and its fstat result if not, as portage.locks does."""
    held = os.fstat(lock_fd)
    try:
        named = os.stat(lock_path)
    except FileNotFoundError:
        return True, None
    same = (named.st_dev, named.st_ino) == (held.st_dev, held.st_ino)
    return (False, held) if same else (True, None)


def missing() -> bool:
    """Return True if this Portage has no sandbox."""
    return not portage.process.sandbox_capable


class Identity(NamedTuple):
    """User, groups and umask of a process; None and empty to keep the current ones."""

    uid: int | None = None
    gid: int | None = None
    groups: tuple[int, ...] = ()
    umask: int | None = None

    def assume(self) -> None:
        """Change the current process to this identity. Source: _exec2 of portage.process, in its order."""
        if self.gid:
            os.setgid(self.gid)
        if self.groups:
            os.setgroups(self.groups)
        if self.uid:
            os.setuid(self.uid)
        if self.umask:
            os.umask(self.umask)


_MTIMEDB = "/var/cache/edb/mtimedb"
"""Below an EROOT. Source: CACHE_PATH of portage.const; load_emerge_config in _emerge/actions.py."""
Confine = Callable[..., None]
"""``confine(environ, builds=...)`` confines the process of a phase.

``builds`` is True if it replaces sys-apps/sandbox for the phase.
"""


@contextmanager
def confined(confine: Confine) -> Iterator[None]:
    """Confine all code of ebuilds before it runs, while the block runs.

    If this Portage has no sandbox, FEATURES="sandbox usersandbox" confine the phases further.

    Args:
        confine: called as root; must be picklable, as Portage may start processes by pickling.
    """
    bash, sandbox = portage.process.spawn_bash, portage.process.spawn_sandbox
    builds = missing()
    with ExitStack() as held:
        held.enter_context(swapped(portage.process, "spawn_bash", _confining(bash, confine, builds=False)))
        around = _confining(bash if builds else sandbox, confine, builds=builds)
        held.enter_context(swapped(portage.process, "spawn_sandbox", around))
        held.enter_context(swapped(portage.process, "sandbox_capable", True))
        held.enter_context(swapped(config, "sandbox_capable", True))
        yield


def _confining(plain: Callable[..., Any], confine: Confine, *, builds: bool) -> Callable[..., Any]:
    """Let Portage start bash in a process that is confined before it drops root."""

    @functools.wraps(plain)
    def started(mycommand: str, *args: Any, **named: Any) -> Any:
        identity = Identity()
        if named.get("env"):
            named["env"] = _keep_disabled(named["env"])
        if not named.get("unshare_pid"):  # otherwise the first process of the namespace changes its identity itself
            groups = tuple(int(group) for group in named.pop("groups", None) or ())
            uid, gid, umask = (named.pop(name, None) for name in ("uid", "gid", "umask"))
            identity = Identity(_number(uid), _number(gid), groups, umask)
        around = functools.partial(confine, dict(named.get("env") or os.environ), builds=builds)
        before = functools.partial(_begin, around, identity)
        return plain(mycommand, *args, pre_exec=before, **named)

    return started


def _keep_disabled(env: Mapping[str, str]) -> Mapping[str, str]:
    """Let FEATURES name those that are disabled in the phase that creates a package.

    Its gpkg-helper.py loads the configuration again, and make.conf would enable them.
    """
    disabled = [word for word in os.environ.get("FEATURES", "").split() if word.startswith("-")]
    if env.get("EBUILD_PHASE") != "package" or not disabled:
        return env
    return {**env, "FEATURES": " ".join((env.get("FEATURES", ""), *disabled))}


def _number(proxy: Any) -> int | None:
    return None if proxy is None else int(proxy)


def _begin(confine: Callable[[], None], identity: Identity) -> None:
    confine()
    identity.assume()
