# SPDX-License-Identifier: GPL-2.0-or-later
"""The list of the private names of Portage that ``portage_adapter`` uses, by what needs them.

Portage is controlled by files, options and variables wherever that is possible; these names are the last resort. A test
compares the list with the code. A run for a profile looks them up when it starts. If a name is missing, the run
continues without the capability that needs it (``emerge/fallbacks.py``), and ends with ``portage-api-changed`` only if
it cannot. Without a profile gm-emerge is emerge. Search this package for a name to find its callers. setup.py and the
ebuilds name the oldest version of Portage.

Source: Portage 3.0.77 to 3.0.83; ``tools/try-portage`` compares it with others.
"""

import functools
import importlib
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import ModuleType, TracebackType
from typing import Any, NamedTuple, TypeVar, cast

import portage
from portage.versions import vercmp

from gentoomuch_portage.errors import MachineError

_Make = TypeVar("_Make", bound=Callable[..., AbstractContextManager[Any]])


class Capability(NamedTuple):
    """What gentoomuch does with private names.

    Attributes:
        name: for messages.
        purpose: what the names are needed for.
        instead: what a run for a profile does without them. Empty: a run cannot do without them.
        since: the first version of Portage that has the names. For an older version, ``instead`` is not a loss.
        used_by_runs: whether runs of gm-emerge for a profile use it; otherwise only commands do, and end without it.
    """

    name: str
    purpose: str
    instead: str = ""
    since: str = ""
    used_by_runs: bool = True


class PrivateName(NamedTuple):
    """A name of Portage, the arguments that are passed to it, and what needs it.

    Attributes:
        name: of a module's function or class, or ``CLASS.NAME`` of a class or of its instances.
        also: other capabilities that need it.
    """

    module: str
    name: str
    arguments: tuple[str, ...]
    capability: Capability
    also: tuple[Capability, ...] = ()

    @property
    def capabilities(self) -> tuple[Capability, ...]:
        """Return all capabilities that need the name."""
        return (self.capability, *self.also)


_NO_REMOTE = "no packages of binhosts are used"
_NO_RESUME = "--resume is not available"
EMERGE = Capability("emerge", "running emerge in this process")
CONFIGURATION = Capability("configuration", "reading configuration files as Portage does")
START = Capability("start", "starting as emerge does", "emerge starts without these steps")
ERRORS = Capability("errors", "reporting errors while packages are built", "Portage reports them with a traceback")
RESUME = Capability("resume", "a separate --resume list for each profile", _NO_RESUME)
BINHOST_CACHE = Capability(
    "binhost-cache", "a separate binhost cache for each profile", "all profiles share the cache of emerge"
)
BUILD_CONFIGURATION = Capability(
    "build-configuration",
    "using the profile for what is installed for building (BDEPEND)",
    "the configuration of this host is used for these packages",
)
INDEX = Capability(
    "index", "reading and writing the index of binary packages by name", "Portage reads and writes the whole index"
)
FILTER = Capability(
    "filter",
    "rejecting single binary packages that the CPU cannot run",
    f"{_NO_REMOTE}, nor local packages whose name has a rejected package; {_NO_RESUME}",
)
REASONS = Capability(
    "reasons", "reporting why a binary package was rejected", f"only gentoomuch binpkg why reports it; {_NO_RESUME}"
)
FETCHED = Capability("fetched", "checking the code of a fetched package before it is merged", _NO_REMOTE)
BINHOST = Capability("binhost", "checking the keys of binhosts, and trying the next source if one fails", _NO_REMOTE)
RECORD = Capability(
    "record", "recording in each package which CPU it requires", "a line in profile.bashrc starts gentoomuch to do it"
)
BUILT = Capability(
    "built", "rejecting packages that were built for another CPU than that of the profile", "such packages are merged"
)
PATCHES = Capability(
    "patches",
    "letting Portage compare the user patches of binary packages",
    "gentoomuch alone compares them",
    since="3.0.83",
)
UNMASK = Capability("unmask", "unmasking only what the profile allows", "nothing new is unmasked")
REMASK = Capability(
    "remask",
    "masking unmasked packages again if they became vulnerable",
    "masks that were lifted for this profile apply again",
)
FOLLOW = Capability(
    "follow", "following each package: history, progress and hooks", "no progress is shown, and no hook is called"
)
RESOURCES = Capability(
    "resources",
    "recording the processor time and memory of builds",
    "the history has only the duration of builds",
    since="3.0.81",
)
CONTAINERS = Capability("containers", "building in containers", "builds in containers are not available")
SIGN = Capability("sign", "signing existing binary packages", used_by_runs=False)
SIGNATURES = Capability("signatures", "checking whether packages are signed", used_by_runs=False)
MASKS = Capability("masks", "finding out what masks a package", used_by_runs=False)
QUERY = Capability("query", "explaining why a binary package is used or not", used_by_runs=False)
SETS = Capability("sets", "the package sets of hooks", used_by_runs=False)
PKGDIR = Capability("pkgdir", "writing binary packages to PKGDIR", used_by_runs=False)
INSTALLED = Capability("installed", "reading what is installed in a root", used_by_runs=False)
STATUS = Capability("status", "comparing the packages of a root with @world", used_by_runs=False)
FIRST_SYNC = Capability("first-sync", "syncing a repository that does not exist yet", used_by_runs=False)
JOBS = Capability("jobs", "showing runs of emerge that are in progress", since="3.0.81", used_by_runs=False)
_UNLISTED = Capability("other", "a part of gentoomuch-portage")
NEWEST = "3.0.83"
"""The newest version of Portage that is known to have all names: that of requirements/run.txt."""
NAMES = (
    PrivateName("_emerge.main", "emerge_main", ("args",), EMERGE),
    PrivateName("_emerge.main", "parse_opts", ("tmpcmdline", "silent"), EMERGE),
    PrivateName("portage", "_disable_legacy_globals", (), START),
    PrivateName("portage", "_internal_caller", (), START),
    PrivateName("portage", "_sync_mode", (), FIRST_SYNC),
    PrivateName("portage.process", "sanitize_fds", (), START),
    PrivateName("portage.util.mtimedb", "MtimeDB.__init__", ("self", "filename"), RESUME),
    PrivateName("portage.util.mtimedb", "MtimeDB.commit", ("self",), RESUME),
    PrivateName("portage.dbapi.bintree", "CACHE_PATH", (), BINHOST_CACHE, (BINHOST,)),
    PrivateName(
        "portage.dbapi.bintree", "binarytree._populate_local", ("self", "reindex", "invalid_errors"), INDEX, (PKGDIR,)
    ),
    PrivateName("portage.dbapi.bintree", "binarytree._load_pkgindex", ("self",), INDEX, (PKGDIR,)),
    PrivateName("portage.dbapi.bintree", "binarytree._new_pkgindex", ("self",), INDEX, (PKGDIR,)),
    PrivateName("portage.dbapi.bintree", "binarytree._pkgindex_write", ("self", "pkgindex"), INDEX),
    PrivateName("portage.dbapi.bintree", "binarytree.inject", ("self", "cpv", "current_pkg_path"), INDEX),
    PrivateName("portage.dbapi.bintree", "binarytree.remove", ("self", "cpv"), INDEX),
    PrivateName("portage.dbapi.bintree", "binarytree._get_digests", ("self", "pkg"), INDEX),
    PrivateName(
        "portage.package.ebuild._config.LocationsManager",
        "LocationsManager.__init__",
        ("self", "config_root", "target_root"),
        BUILD_CONFIGURATION,
    ),
    PrivateName(
        "_emerge.depgraph", "depgraph._iter_match_pkgs_atom", ("self", "root_config", "pkg_type"), FILTER, (QUERY,)
    ),
    PrivateName("_emerge.depgraph", "depgraph._show_ignored_binaries", ("self",), REASONS),
    PrivateName("_emerge.depgraph", "depgraph._show_merge_list", ("self",), REASONS),
    PrivateName("_emerge.depgraph", "depgraph._loadResumeCommand", ("self", "resume_data"), REASONS),
    PrivateName("_emerge.depgraph", "_get_masking_status", ("pkg",), REASONS, (UNMASK, QUERY)),
    PrivateName(
        "_emerge.resolver.package_tracker", "PackageTracker.match", ("self", "root", "atom", "installed"), REASONS
    ),
    PrivateName(
        "portage.package.ebuild.getmaskingstatus", "_getmaskingstatus", ("mycpv", "settings", "portdb", "myrepo"), MASKS
    ),
    PrivateName("portage.package.ebuild.doebuild", "_post_src_install_write_metadata", ("settings",), RECORD),
    PrivateName("portage.package.ebuild._config.UserPatches", "UserPatches._query", ("self", "func", "key"), PATCHES),
    PrivateName("portage.package.ebuild._config.UserPatches", "UserPatches.__contains__", ("self", "key"), PATCHES),
    PrivateName("_emerge.Binpkg", "Binpkg._verifier_exit", ("self", "verifier"), FETCHED, (BINHOST,)),
    PrivateName("_emerge.Binpkg", "Binpkg._async_unlock_builddir", ("self", "returncode"), FETCHED),
    PrivateName("_emerge.Binpkg", "Binpkg._fetched_pkg", (), FETCHED, (BINHOST,)),
    PrivateName("_emerge.actions", "action_build", ("emerge_config",), UNMASK, (REMASK,)),
    PrivateName("_emerge.actions", "adjust_configs", ("myopts", "trees"), UNMASK),
    PrivateName("_emerge.depgraph", "_backtrack_depgraph", ("settings", "trees", "myopts", "myparams"), UNMASK),
    PrivateName("_emerge.depgraph", "depgraph._pkg_visibility_check", ("self", "pkg", "autounmask_level"), UNMASK),
    PrivateName("_emerge.depgraph", "depgraph._pkg_use_enabled", ("self", "pkg", "target_use"), UNMASK, (QUERY,)),
    PrivateName("_emerge.depgraph", "depgraph.display_problems", ("self",), UNMASK),
    PrivateName("_emerge.depgraph", "depgraph._get_dep_chain_as_comment", ("self", "pkg"), UNMASK),
    PrivateName("_emerge.Scheduler", "Scheduler.merge", ("self",), UNMASK, (FOLLOW,)),
    PrivateName("_emerge.MergeListItem", "MergeListItem._start", ("self",), FOLLOW),
    PrivateName("_emerge.EbuildFetcher", "EbuildFetcher._start", ("self",), FOLLOW),
    PrivateName("_emerge.BinpkgFetcher", "BinpkgFetcher._start", ("self",), FOLLOW),
    PrivateName("_emerge.EbuildPhase", "EbuildPhase._start", ("self",), FOLLOW),
    PrivateName("_emerge.EbuildPhase", "EbuildPhase._post_phase_exit", ("self", "post_phase"), BUILT),
    PrivateName("_emerge.EbuildPhase", "EbuildPhase._start_task", ("self", "task", "exit_handler"), BUILT, (FETCHED,)),
    PrivateName("_emerge.EbuildPhase", "EbuildPhase._default_final_exit", ("self", "task"), BUILT, (FETCHED,)),
    PrivateName("_emerge.EbuildMerge", "EbuildMerge._start", ("self",), FOLLOW),
    PrivateName("_emerge.EbuildMerge", "EbuildMerge._start_exit_hook", ("self", "returncode"), FOLLOW),
    PrivateName("_emerge.PackageMerge", "PackageMerge._start", ("self",), FOLLOW),
    PrivateName(
        "_emerge._observability", "ObservabilityMonitor.note_build_resources", ("self", "cpv", "stats"), RESOURCES
    ),
    PrivateName("portage.gpkg", "gpkg._verify_binpkg", ("self", "metadata_only"), SIGNATURES),
    PrivateName("portage.dbapi.bintree", "binarytree._populate_remote", ("self",), BINHOST),
    PrivateName(
        "portage.dbapi.bintree", "binarytree._populate_remote_repo", ("self", "repo", "getbinpkg_refresh"), BINHOST
    ),
    PrivateName("_emerge.BinpkgFetcher", "_BinpkgFetcherProcess._start", ("self",), BINHOST),
    PrivateName(
        "_emerge.BinpkgVerifier", "BinpkgVerifier._digest_exception", ("self", "name", "value", "expected"), BINHOST
    ),
    PrivateName("_emerge.Binpkg", "Binpkg._unpack_metadata", ("self", "loop"), BINHOST),
    PrivateName("portage.gpkg", "gpkg.update_signature", ("self",), SIGN),
    PrivateName("portage.locks", "_lockfile_was_removed", ("lock_fd", "lock_path"), CONTAINERS),
    PrivateName("portage.process", "spawn", ("pre_exec", "uid", "gid", "groups", "umask", "unshare_pid"), CONTAINERS),
    PrivateName("portage.process", "spawn_bash", ("mycommand",), CONTAINERS),
    PrivateName("portage.process", "spawn_sandbox", ("mycommand",), CONTAINERS),
    PrivateName("portage.process", "sandbox_capable", (), CONTAINERS),
    PrivateName("portage.package.ebuild.config", "sandbox_capable", (), CONTAINERS),
    PrivateName("portage.package.ebuild._config.special_env_vars", "environ_whitelist", (), CONTAINERS),
    PrivateName("portage.package.ebuild._config.special_env_vars", "environ_filter", (), CONTAINERS),
    PrivateName("portage.util", "_getconfig_shlex.sourcehook", ("self", "newfile"), CONFIGURATION),
    PrivateName("portage.dbapi.bintree", "binarytree._additional_pkgs", (), INDEX),
    PrivateName("portage.dbapi.bintree", "binarytree._all_directory", (), INDEX),
    PrivateName("portage.dbapi.bintree", "binarytree._merge_pkgindex_header", ("src", "dest"), INDEX),
    PrivateName("portage.dbapi.bintree", "binarytree._pkg_paths", (), INDEX),
    PrivateName("portage.dbapi.bintree", "binarytree._pkgindex_header", (), INDEX),
    PrivateName("portage.dbapi.bintree", "binarytree._pkgindex_entry", ("self", "cpv"), PKGDIR),
    PrivateName("portage.dbapi.bintree", "binarytree._update_pkgindex_header", ("self", "header"), PKGDIR),
    PrivateName("portage.dbapi.bintree", "binarytree._eval_use_flags", ("self", "cpv", "metadata"), PKGDIR),
    PrivateName("portage.dbapi.bintree", "binarytree._remotepkgs", (), BINHOST, (INDEX,)),
    PrivateName("portage.dbapi.bintree", "bindbapi._instance_key", (), BINHOST, (INDEX, INSTALLED)),
    PrivateName("portage.dbapi.bintree", "bindbapi._clear_cache", ("self",), INDEX),
    PrivateName("portage.dbapi.vartree", "vardbapi._pkg_str", ("self", "cpv", "repo"), INSTALLED),
    PrivateName(
        "portage.versions",
        "_pkg_str",
        ("cpv", "metadata", "settings", "slot", "repo", "build_id"),
        INSTALLED,
        (INDEX, PKGDIR),
    ),
    PrivateName("portage.package.ebuild.config", "config._keywords_manager", (), MASKS),
    PrivateName("portage.package.ebuild.config", "config._license_manager", (), MASKS),
    PrivateName("portage.package.ebuild.config", "config._mask_manager", (), REMASK, (MASKS,)),
    PrivateName("portage.package.ebuild.config", "config._use_manager", (), MASKS),
    PrivateName("portage.package.ebuild._config.LicenseManager", "LicenseManager._plicensedict", (), MASKS),
    PrivateName("portage.package.ebuild._config.MaskManager", "MaskManager._punmaskdict", (), REMASK, (MASKS,)),
    PrivateName("portage.package.ebuild._config.UseManager", "UseManager._pusedict", (), MASKS),
    PrivateName("portage.package.ebuild._config.UserPatches", "UserPatches._patch_sets", (), PATCHES),
    PrivateName("_emerge._observability", "read_snapshots", ("eprefix",), JOBS),
    PrivateName("portage._sets", "SetConfigError", (), SETS),
    PrivateName("portage._sets.base", "PackageSet", (), SETS),
    PrivateName("portage._sets.base", "PackageSet._setAtoms", ("self", "atoms"), SETS),
    PrivateName("_emerge.depgraph", "depgraph._dynamic_config", (), REASONS, (UNMASK, QUERY, STATUS)),
    PrivateName("_emerge.depgraph", "depgraph._frozen_config", (), REASONS, (UNMASK, QUERY)),
    PrivateName("_emerge.depgraph", "_dynamic_depgraph_config._package_tracker", (), REASONS),
    PrivateName("_emerge.depgraph", "_dynamic_depgraph_config._need_config_reload", (), UNMASK),
    PrivateName("_emerge.depgraph", "_dynamic_depgraph_config._needed_unstable_keywords", (), UNMASK),
    PrivateName("_emerge.depgraph", "_dynamic_depgraph_config._needed_license_changes", (), UNMASK),
    PrivateName("_emerge.depgraph", "_dynamic_depgraph_config._needed_p_mask_changes", (), UNMASK),
    PrivateName("_emerge.depgraph", "_dynamic_depgraph_config._needed_use_config_changes", (), UNMASK),
    PrivateName("_emerge.depgraph", "_dynamic_depgraph_config._success_without_autounmask", (), UNMASK),
    PrivateName("_emerge.depgraph", "_dynamic_depgraph_config._unsatisfied_deps_for_display", (), UNMASK),
    PrivateName("_emerge.depgraph", "depgraph._pkg", ("self", "cpv", "type_name", "root_config", "myrepo"), QUERY),
    PrivateName("_emerge.depgraph", "depgraph._reinstall_for_flags", ("self", "pkg"), QUERY),
    PrivateName("_emerge.depgraph", "depgraph._changed_deps", ("self", "pkg"), QUERY),
    PrivateName("_emerge.depgraph", "backtrack_depgraph", ("settings", "trees", "myopts", "myparams"), QUERY),
    PrivateName("_emerge.create_depgraph_params", "create_depgraph_params", ("myopts", "myaction"), QUERY),
    PrivateName("_emerge.actions", "load_emerge_config", ("emerge_config", "env"), UNMASK, (REMASK, QUERY, STATUS)),
    PrivateName(
        "_emerge.actions",
        "_calc_depclean",
        ("settings", "trees", "ldpath_mtimes", "myopts", "action", "args_set", "spinner"),
        STATUS,
    ),
    PrivateName("_emerge.actions", "_depclean_result.depgraph", (), STATUS),
    PrivateName("_emerge.depgraph", "_dynamic_depgraph_config._initially_unsatisfied_deps", (), STATUS),
    PrivateName("_emerge.Package", "Package", (), STATUS),
    PrivateName("_emerge.RootConfig", "RootConfig", ("settings", "trees", "setconfig"), STATUS),
    PrivateName("_emerge.UnmergeDepPriority", "UnmergeDepPriority", (), STATUS),
    PrivateName("portage._sets", "load_default_config", ("settings", "trees"), STATUS),
    PrivateName("portage._sets.base", "InternalPackageSet", ("allow_repo",), STATUS),
    PrivateName("_emerge.CompositeTask", "CompositeTask._current_task", (), FETCHED, (BUILT,)),
    PrivateName("_emerge.AsynchronousTask", "AsynchronousTask._async_wait", ("self",), BINHOST, (FOLLOW,)),
    PrivateName("_emerge.BinpkgVerifier", "BinpkgVerifier._pkg_path", (), BINHOST),
    PrivateName("_emerge.Binpkg", "Binpkg._pkg_path", (), BINHOST),
    PrivateName("_emerge.Scheduler", "Scheduler._max_jobs", (), FOLLOW),
    PrivateName("_emerge.Scheduler", "Scheduler._mergelist", (), FOLLOW),
    PrivateName("portage.util._async.AsyncTaskFuture", "AsyncTaskFuture", (), FETCHED, (BUILT,)),
    PrivateName("portage.util._eventloop.global_event_loop", "global_event_loop", (), ERRORS, (FOLLOW,)),
    PrivateName("portage.util._eventloop.asyncio_event_loop", "AsyncioEventLoop._loop", (), ERRORS),
)


def portage_api_changed(names: Iterable[PrivateName]) -> MachineError:
    """The installed version of Portage lacks a Python name that gentoomuch needs."""
    names = sorted(set(names))
    purposes = "; ".join(dict.fromkeys(name.capability.purpose for name in names))
    return MachineError(
        f"Portage {version()} no longer provides {_list_names(names)}, needed for: {purposes}",
        code="portage-api-changed",
        hint="gentoomuch doctor; without a profile gm-emerge still works as emerge",
    )


def _list_names(names: Iterable[PrivateName]) -> str:
    return ", ".join(dict.fromkeys(f"{name.module}.{name.name}" for name in names))


def find(private: PrivateName) -> Any:
    """Return the object behind a name, or its class if only instances have it.

    Returns:
        None if Portage does not have the name, or if it does not take the arguments.
    """
    try:
        owner: Any = importlib.import_module(private.module)
        *path, last = private.name.split(".")
        for step in path:
            owner = getattr(owner, step)
    except (ImportError, AttributeError):
        return None
    value = getattr(owner, last, None)
    if value is None:
        return owner if last in vars(owner) or _is_used_by(owner, last) else None
    return value if not private.arguments or {*private.arguments} <= _arguments(value) else None


def _is_used_by(owner: Any, name: str) -> bool:
    """Return True if the methods of a class use an attribute that only its instances have."""
    codes = (
        getattr(_unwrap(value), "__code__", None)
        for kind in getattr(owner, "__mro__", ())
        for value in vars(kind).values()
    )
    return any(name in code.co_names or name in code.co_consts for code in codes if code)


def _unwrap(function: Any) -> Any:
    """Return Portage's own function behind our replacement, which uses names as well."""
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return function


def _arguments(function: Any) -> set[str]:
    """Return the names of the arguments of a function or class, ten times as fast as inspect.signature."""
    plain = getattr(function, "__init__", function) if isinstance(function, type) else function
    if isinstance(function, type) and not hasattr(plain, "__code__"):
        plain = function.__new__
    code = getattr(_unwrap(plain), "__code__", None)
    return {*code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]} if code else set()


class Lost(NamedTuple):
    """A capability that this Portage does not allow, and the missing names that it needs."""

    capability: Capability
    names: tuple[PrivateName, ...]

    @property
    def is_older(self) -> bool:
        """Whether this Portage is older than the names, so that nothing has changed."""
        return is_older(self.capability)

    @property
    def hint(self) -> str:
        """Return the command that installs a version with the names: the first of them, or the newest known one."""
        atom = f">=sys-apps/portage-{self.capability.since}" if self.is_older else f"=sys-apps/portage-{NEWEST}*"
        return f"emerge '{atom}'"

    @property
    def text(self) -> str:
        """Describe what is missing, and what a run does instead."""
        verb = "does not provide" if self.is_older else "no longer provides"
        instead = f"; instead, {self.capability.instead}" if self.capability.instead else ""
        return (
            f"Portage {version()} {verb} {_list_names(self.names)}, "
            f"needed for {self.capability.name} ({self.capability.purpose}){instead}"
        )


def find_missing() -> Iterator[PrivateName]:
    """Find the names that Portage does not provide."""
    return (private for private in NAMES if find(private) is None)


def list_capabilities() -> tuple[Capability, ...]:
    """List all capabilities in the order of their first names."""
    return tuple(dict.fromkeys(capability for private in NAMES for capability in private.capabilities))


def find_lost() -> tuple[Lost, ...]:
    """Find the capabilities that need a name which Portage does not provide."""
    missing = tuple(find_missing())
    lost = dict.fromkeys(capability for private in missing for capability in private.capabilities)
    return tuple(
        Lost(capability, tuple(private for private in missing if capability in private.capabilities))
        for capability in lost
    )


def provides(capability: Capability) -> bool:
    """Return True if Portage provides all names that a capability needs."""
    return all(find(private) is not None for private in NAMES if capability in private.capabilities)


def require(capability: Capability) -> None:
    """Check that Portage provides all names that a capability needs.

    Raises:
        MachineError[portage-api-changed]: one is missing.
    """
    if missing := [name for name in NAMES if capability in name.capabilities and find(name) is None]:
        raise portage_api_changed(missing)


def is_older(capability: Capability) -> bool:
    """Return True if this Portage is older than the names of a capability."""
    return bool(capability.since) and _is_before(version(), capability.since)


def _is_before(version: str, since: str) -> bool:
    """Compare versions; ``3.0.82.dev4+g123`` is a commit after 3.0.82, and ``HEAD`` is newer than each release."""
    release = re.match(r"\d+(\.\d+)*", version)
    return release is not None and (vercmp(release[0], since) or 0) < 0


def check() -> tuple[Lost, ...]:
    """Return the capabilities that a run for a profile has to do without because Portage has changed.

    Raises:
        MachineError[portage-api-changed]: it cannot do without one of them.
    """
    lost = tuple(each for each in find_lost() if each.capability.used_by_runs and not each.is_older)
    if required := [name for each in lost if not each.capability.instead for name in each.names]:
        raise portage_api_changed(required)
    return lost


def optional(capability: Capability) -> Callable[[_Make], _Make]:
    """Let a function that returns a context return one without effect if Portage lacks a name of a capability."""

    def decorate(make: _Make) -> _Make:
        @functools.wraps(make)
        def made(*args: Any, **named: Any) -> AbstractContextManager[Any]:
            return make(*args, **named) if provides(capability) else nullcontext()

        return cast(_Make, made)

    return decorate


@contextmanager
def translate() -> Iterator[None]:
    """Raise ``portage-api-changed`` if the adapter does not find a name of Portage while the block runs.

    Raises:
        MachineError[portage-api-changed]: a name is missing.
    """
    try:
        yield
    except (AttributeError, ImportError) as error:
        if cause := find_cause(error):
            raise cause from error
        raise


def find_cause(error: BaseException | None) -> MachineError | None:
    """Return ``portage-api-changed`` for an exception that was raised because Portage lacks a name; otherwise None."""
    match error:
        case AttributeError(name=str(name), obj=holder) if _is_of_adapter(error.__traceback__):
            owner = holder if isinstance(holder, ModuleType | type) else type(holder)
            return portage_api_changed(_describe(owner, name)) if _lacks(owner, name) else None
        case ImportError(name=str(module)) if _is_of_portage(module) and _is_of_adapter(error.__traceback__):
            imported = re.match(r"cannot import name '(\w+)'", str(error))
            return portage_api_changed([PrivateName(module, imported[1] if imported else "*", (), _UNLISTED)])
    return None


def _is_of_adapter(trace: TracebackType | None) -> bool:
    """Return True if code of this package raised an exception, and not Portage."""
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_globals.get("__package__", "").startswith(__package__)


def _lacks(owner: ModuleType | type, name: str) -> bool:
    """Return True if a module or class of Portage has no such attribute; an attribute without a value is our bug."""
    if isinstance(owner, ModuleType):
        return _is_of_portage(owner.__name__)
    return any(_is_of_portage(kind.__module__) for kind in owner.__mro__) and not hasattr(owner, name)


def _is_of_portage(module: str) -> bool:
    return module.partition(".")[0] in {"portage", "_emerge"}


def _describe(owner: ModuleType | type, name: str) -> list[PrivateName]:
    """Return the rows of an attribute, or a row for one that is not in the list."""
    if rows := [row for row in NAMES if row.name.rpartition(".")[2] == name]:
        return rows
    if isinstance(owner, ModuleType):
        return [PrivateName(owner.__name__, name, (), _UNLISTED)]
    return [PrivateName(owner.__module__, f"{owner.__qualname__}.{name}", (), _UNLISTED)]


def version() -> str:
    """Return the version of Portage."""
    return str(portage.VERSION)
