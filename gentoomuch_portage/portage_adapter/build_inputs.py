# SPDX-License-Identifier: GPL-2.0-or-later
"""Read all that influences the build of a package, as plain data that is equal if the packages may replace each other.

A variable or file whose effect is not known is part of it: then a package is built once more, but never a wrong one
reused.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import portage

from gentoomuch_portage.portage_adapter import user_patches
from gentoomuch_portage.portage_adapter.dependency_graph import Node
from gentoomuch_portage.portage_adapter.patching import query_environment
from gentoomuch_portage.portage_adapter.trees import find_target

_WITHOUT_EFFECT = re.compile(
    r"""
    BASH_FUNC_.* | BINPKG_GPG_.* | GPG_VERIFY_.* | GM_.* | EMERGE_.* | GIT_.*
    | PATH | HOME | TERM | VIRTUAL_ENV | PKGDIR | DISTDIR | RPMDIR | MAKEOPTS | ACCEPT_LICENSE
    | CATEGORY | PF | INHERITED | DEFINED_PHASES | KEYWORDS | LICENSE | IUSE.* | REQUIRED_USE | USE | USE_EXPAND.*
    | PKGUSE | FEATURES | PORTDIR | PORTDIR_OVERLAY | PORTAGE_(?:
        CONFIGROOT | TMPDIR | BIN_PATH | PYM_PATH | PYTHONPATH | RUN_PATH | DEPCACHEDIR | REPOSITORIES | ARCHLIST
        | GID | GRPNAME | INST_GID | INST_UID | USERNAME | ACTUAL_DISTDIR | BUILDDIR | LOG.* | NICENESS | IONICE.*
    )
    """,
    re.VERBOSE,
)
"""Variables of paths and users of one machine, and those that other inputs determine. FEATURES is PORTAGE_FEATURES."""
_COMPILERS = ("sys-devel/gcc", "llvm-core/clang", "sys-devel/clang", "sys-devel/binutils", "sys-libs/glibc",
              "sys-libs/musl")  # fmt: skip
"""Packages that every build may use without a dependency."""
_EXECUTED = ("bashrc", "bashrc.d", "env", "hooks", "package.env")
"""Below etc/portage: files that builds execute. Source: portage(5)."""
_OF_PROFILES = ("profile.bashrc", "package.bashrc", "bashrc")
"""The same of a directory of the Gentoo profile. Source: portage(5), "profile.bashrc", "package.bashrc"."""


def read_inputs(env: Mapping[str, str], nodes: Iterable[Node]) -> dict[str, dict[str, Any]]:
    """Return the inputs of packages of a graph by their names, without what their dependencies decide.

    Args:
        env: PORTAGE_CONFIGROOT and ROOT of the build.
        nodes: with ebuilds.
    """
    with query_environment(env) as query:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            trees = portage.create_trees(config_root=query["PORTAGE_CONFIGROOT"], target_root=query.get("ROOT", "/"))
        target = find_target(trees)
        try:
            return {node.cpv: _read(target, node) for node in nodes}
        finally:
            target["porttree"].dbapi.close_caches()


def _read(trees: Any, node: Node) -> dict[str, Any]:
    database = trees["porttree"].dbapi
    settings = portage.config(clone=trees["porttree"].settings)
    cpv = next(
        each for each in database.cp_list(portage.versions.cpv_getkey(node.cpv))
        if (str(each), each.repo) == (node.cpv, node.repository)
    )  # fmt: skip
    settings.setcpv(cpv, mydb=database)
    folder = Path(node.path).parent
    etc = Path(settings["PORTAGE_CONFIGROOT"], "etc/portage")
    return {
        "cpv": node.cpv,
        "slot": f"{node.slot}/{node.subslot}",
        "repository": node.repository,
        "ebuild": node.sha256,
        "eclasses": dict(node.eclasses),
        "files": dict(_digest_files(folder / "files")),
        "distfiles": sorted(_list_distfiles(folder / "Manifest")),
        "use": list(node.use),
        "variables": {name: value for name, value in settings.environ().items() if not _WITHOUT_EFFECT.fullmatch(name)},
        "patches": user_patches.find_digest(settings, cpv),
        "executed": {
            **{name: dict(_digest_files(etc / name)) for name in _EXECUTED},
            "profiles": [
                dict(_digest_files(Path(profile, name))) for profile in settings.profiles for name in _OF_PROFILES
            ],
        },
        "compilers": sorted(_list_slots(trees["vartree"].dbapi)),
    }


def _digest_files(place: Path) -> Iterator[tuple[str, str]]:
    """Yield name and SHA-256 of a file, or of each file below a directory."""
    for file in [place] if place.is_file() else sorted(place.rglob("*")):
        if file.is_file():
            yield file.relative_to(place.parent).as_posix(), _digest(file)


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _list_distfiles(manifest: Path) -> Iterator[str]:
    if manifest.is_file():
        lines = manifest.read_text(encoding="utf-8", errors="replace").splitlines()
        yield from (line for line in lines if line.startswith("DIST "))


def _list_slots(installed: Any) -> Iterator[str]:
    for name in _COMPILERS:
        for cpv in installed.match(name):
            yield f"{name}:{installed._pkg_str(cpv, None).slot}"
