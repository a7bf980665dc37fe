"""Every private name of Portage that we hold, in one list.

What Portage can be told by file, word or variable is told so; these names are the last resort. They are
looked up once, when a run for a profile starts: where one has moved, that run says what it can no longer
promise and stops, while gm-emerge without a profile goes on as emerge.

Source: read in Portage 3.0.60 to 3.0.83.
"""

import importlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from gentoomuch_portage.errors import NameMoved


class Held(NamedTuple):
    """A name, the arguments we count on, and what is lost without it."""

    module: str
    name: str
    arguments: tuple[str, ...]
    lost: str


_FILTER = "refusing binary packages that the CPU cannot run"
_FETCHED = "reading the machine code of a fetched package before it is merged"
_RECORD = "recording in each package what it needs"
_BINHOST = "holding binhosts to their keys, and turning to the next source where one fails"
_PATCHES = "knowing which user patches a package gets"
_UNMASK = "unmasking what the profile allows, and nothing else"
_WATCH = "knowing what emerge does with each package: the record, the progress, and the hooks around it"
_BY_NAME = "reading and writing the index of binary packages by name"
NAMES = (
    Held("_emerge.main", "emerge_main", ("args",), "gm-emerge itself"),
    Held("_emerge.main", "parse_opts", ("tmpcmdline", "silent"), "our lines behind --version and --help"),
    Held("portage", "_disable_legacy_globals", (), "starting as emerge does"),
    Held("portage", "_internal_caller", (), "starting as emerge does"),
    Held("portage.process", "sanitize_fds", (), "starting as emerge does"),
    Held(
        "portage.util.mtimedb", "MtimeDB.__init__", ("self", "filename"), "a --resume list of its own for each profile"
    ),
    Held("portage.util.mtimedb", "MtimeDB.commit", ("self",), "a --resume list of its own for each profile"),
    Held("portage.dbapi.bintree", "CACHE_PATH", (), "a binhost cache of its own for each profile"),
    Held("portage.dbapi.bintree", "binarytree._populate_local", ("self", "reindex", "invalid_errors"), _BY_NAME),
    Held("portage.dbapi.bintree", "binarytree._load_pkgindex", ("self",), _BY_NAME),
    Held("portage.dbapi.bintree", "binarytree._new_pkgindex", ("self",), _BY_NAME),
    Held("portage.dbapi.bintree", "binarytree._pkgindex_write", ("self", "pkgindex"), _BY_NAME),
    Held("portage.dbapi.bintree", "binarytree.inject", ("self", "cpv", "current_pkg_path"), _BY_NAME),
    Held("portage.dbapi.bintree", "binarytree.remove", ("self", "cpv"), _BY_NAME),
    Held("portage.dbapi.bintree", "binarytree._get_digests", ("self", "pkg"), _BY_NAME),
    Held(
        "portage.package.ebuild._config.LocationsManager",
        "LocationsManager.__init__",
        ("self", "config_root", "target_root"),
        "governing what is installed for building (BDEPEND) from the profile",
    ),
    Held("_emerge.depgraph", "depgraph._iter_match_pkgs_atom", ("self", "root_config", "pkg_type"), _FILTER),
    Held("_emerge.depgraph", "depgraph._show_ignored_binaries", ("self",), _FILTER),
    Held("_emerge.depgraph", "depgraph._show_merge_list", ("self",), _FILTER),
    Held("_emerge.depgraph", "depgraph._loadResumeCommand", ("self", "resume_data"), _FILTER),
    Held("_emerge.depgraph", "_get_masking_status", ("pkg",), _FILTER),
    Held("_emerge.resolver.package_tracker", "PackageTracker.match", ("self", "root", "atom", "installed"), _FILTER),
    Held("portage.package.ebuild.getmaskingstatus", "_MaskReason", ("category", "message"), _FILTER),
    Held(
        "portage.package.ebuild.getmaskingstatus",
        "_getmaskingstatus",
        ("mycpv", "settings", "portdb", "myrepo"),
        "telling what masks an ebuild",
    ),
    Held("portage.package.ebuild.doebuild", "_post_src_install_write_metadata", ("settings",), _RECORD),
    Held("portage.package.ebuild._config.UserPatches", "UserPatches._query", ("self", "func", "key"), _PATCHES),
    Held("portage.package.ebuild._config.UserPatches", "UserPatches.__contains__", ("self", "key"), _PATCHES),
    Held("_emerge.Binpkg", "Binpkg._verifier_exit", ("self", "verifier"), _FETCHED),
    Held("_emerge.Binpkg", "Binpkg._async_unlock_builddir", ("self", "returncode"), _FETCHED),
    Held("_emerge.Binpkg", "Binpkg._fetched_pkg", (), _FETCHED),
    Held("_emerge.actions", "_resolve_in_process", ("emerge_config", "spinner", "myparams"), _UNMASK),
    Held("_emerge.actions", "_reload_config", ("emerge_config", "quickpkg_direct"), _UNMASK),
    Held("_emerge.depgraph", "_backtrack_depgraph", ("settings", "trees", "myopts", "myparams"), _UNMASK),
    Held("_emerge.depgraph", "depgraph._pkg_visibility_check", ("self", "pkg", "autounmask_level"), _UNMASK),
    Held("_emerge.depgraph", "depgraph._pkg_use_enabled", ("self", "pkg", "target_use"), _UNMASK),
    Held("_emerge.depgraph", "depgraph.display_problems", ("self",), _UNMASK),
    Held("_emerge.depgraph", "depgraph._get_dep_chain_as_comment", ("self", "pkg"), _UNMASK),
    Held("_emerge.Scheduler", "Scheduler.merge", ("self",), _UNMASK),
    Held("_emerge.MergeListItem", "MergeListItem._start", ("self",), _WATCH),
    Held("_emerge.EbuildFetcher", "EbuildFetcher._start", ("self",), _WATCH),
    Held("_emerge.BinpkgFetcher", "BinpkgFetcher._start", ("self",), _WATCH),
    Held("_emerge.EbuildPhase", "EbuildPhase._start", ("self",), _WATCH),
    Held("_emerge.EbuildMerge", "EbuildMerge._start", ("self",), _WATCH),
    Held("_emerge.EbuildMerge", "EbuildMerge._start_exit_hook", ("self", "returncode"), _WATCH),
    Held("_emerge.PackageMerge", "PackageMerge._start", ("self",), _WATCH),
    Held("_emerge._observability", "ObservabilityMonitor.note_build_resources", ("self", "cpv", "stats"), _WATCH),
    Held("portage.gpkg", "gpkg._verify_binpkg", ("self", "metadata_only"), "telling whether packages are signed"),
    Held("portage.dbapi.bintree", "binarytree._populate_remote", ("self",), _BINHOST),
    Held("portage.dbapi.bintree", "binarytree._populate_remote_repo", ("self", "repo", "getbinpkg_refresh"), _BINHOST),
    Held("_emerge.BinpkgFetcher", "_BinpkgFetcherProcess._start", ("self",), _BINHOST),
    Held("_emerge.Binpkg", "Binpkg._fetcher_exit", ("self", "fetcher"), _BINHOST),
    Held("_emerge.Binpkg", "Binpkg._verifier_exit", ("self", "verifier"), _BINHOST),
    Held("_emerge.Binpkg", "Binpkg._unpack_metadata", ("self", "loop"), _BINHOST),
    Held("portage.gpkg", "gpkg.update_signature", ("self",), "signing binary packages"),
    Held("portage.locks", "_lockfile_was_removed", ("lock_fd", "lock_path"), "building in containers"),
    Held("portage.util", "getconfig", ("mycfg", "allow_sourcing", "expand", "recursive"), "reading make.conf"),
    Held("portage.util", "_recursive_file_list", ("path",), "reading configuration directories in Portage's order"),
)


def find(held: Held) -> Any:
    """The object behind a held name, or None where it has moved or no longer takes our arguments."""
    try:
        found: Any = importlib.import_module(held.module)
        for step in held.name.split("."):
            found = getattr(found, step)
    except (ImportError, AttributeError):
        return None
    return found if not held.arguments or {*held.arguments} <= _taken(found) else None


def _taken(found: Any) -> set[str]:
    """The arguments that something takes; inspect.signature knows more, and takes ten times as long."""
    plain = getattr(found, "__init__", found) if isinstance(found, type) else found
    while hasattr(plain, "__wrapped__"):
        plain = plain.__wrapped__
    code = getattr(plain, "__code__", None)
    return {*code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]} if code else set()


def moved() -> Iterator[Held]:
    """The names that are not where they were."""
    return (held for held in NAMES if find(held) is None)


def check() -> None:
    """Say what no longer works.

    Raises:
        NameMoved: at least one name has moved.
    """
    if gone := list(moved()):
        raise NameMoved((f"{held.module}.{held.name}" for held in gone), version(), (held.lost for held in gone))


def version() -> str:
    """The version of Portage."""
    import portage

    return str(portage.VERSION)
