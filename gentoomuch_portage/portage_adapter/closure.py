# SPDX-License-Identifier: GPL-2.0-or-later
"""Resolve all packages that an empty machine would build, or install from binary packages, for some targets."""

import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from io import StringIO
from types import MappingProxyType
from typing import Any, NamedTuple

from _emerge.actions import load_emerge_config
from _emerge.create_depgraph_params import create_depgraph_params
from _emerge.depgraph import backtrack_depgraph
from portage._sets import SetConfigError
from portage.exception import PackageSetNotFound, PortageException

from gentoomuch_portage.portage_adapter.binpkg import Reject
from gentoomuch_portage.portage_adapter.binpkg_filter import hide_rejected
from gentoomuch_portage.portage_adapter.installed import sonames_of
from gentoomuch_portage.portage_adapter.patching import query_environment
from gentoomuch_portage.portage_adapter.trees import ensure_arch_of_all


class Wanted(NamedTuple):
    """A package of the resolved list."""

    cpv: str
    name: str
    """``cat/pkg``."""
    root: str
    """The ROOT to install it to; build dependencies may have another ROOT than the targets."""


class Unresolved(LookupError):
    """Portage cannot resolve the targets; the text is its message."""


def closure(env: Mapping[str, str], targets: Sequence[str]) -> list[Wanted]:
    """Return the packages that an empty machine would build, in order.

    Args:
        env: PORTAGE_CONFIGROOT and ROOT of the profile.
        targets: atoms and sets, as on emerge's command line.

    Raises:
        Unresolved: Portage cannot resolve the targets.
    """
    output = StringIO()
    with ExitStack() as around:
        around.enter_context(query_environment(env))
        around.enter_context(redirect_stdout(output))
        around.enter_context(redirect_stderr(output))
        done, graph = _resolved(targets)
        if not done:
            graph.display_problems()
    if not done:
        raise Unresolved(_first(output.getvalue()) or "it does not say why")
    packages = (task for task in graph.altlist() if getattr(task, "operation", "") == "merge")
    return [Wanted(str(pkg.cpv), str(pkg.cpv.cp), pkg.root_config.settings["ROOT"]) for pkg in packages]


class BinaryPackage(NamedTuple):
    """A binary package of the resolved list."""

    cpv: str
    build_id: int
    """0 if it has none."""
    slot: str
    root: str
    """The ROOT to install it to."""
    path: str
    built: int
    """When it was built, in seconds since 1970."""


class BinaryClosure(NamedTuple):
    """The binary packages that an empty machine would install."""

    packages: tuple[BinaryPackage, ...]
    """In the order of the installation."""
    missing: tuple[str, ...]
    """Libraries that no package has: ``libx.so.1 (cpv)``."""
    masks: tuple[str, ...]
    """The settings that leave files of packages out: words of INSTALL_MASK, and of FEATURES."""


_ROUNDS = 10
"""How often packages with missing libraries are added at most."""


def binary_closure(env: Mapping[str, str], targets: Sequence[str], reject: Reject) -> BinaryClosure:
    """Return the binary packages that an empty machine would install.

    Packages with libraries that others are linked with are added, as ebuilds do not name the C library.

    Args:
        env: PORTAGE_CONFIGROOT, PKGDIR, and ROOT, which need not exist.
        targets: atoms and sets, as on emerge's command line; not empty.
        reject: binary packages for which it returns a reason are not used.

    Raises:
        Unresolved: Portage cannot resolve the targets from binary packages.
    """
    targets = list(targets)
    for _ in range(_ROUNDS):
        with ExitStack() as around:
            output = StringIO()
            around.enter_context(query_environment(env))
            around.enter_context(redirect_stdout(output))
            around.enter_context(redirect_stderr(output))
            around.enter_context(hide_rejected(reject, "their CPU features or user patches"))
            done, graph = _resolved(targets, {"--usepkg": True, "--usepkgonly": True, "--autounmask": "n"})
            if not done:
                graph.display_problems()
                message = re.sub(r" for /\S*$", "", _first(output.getvalue()))  # the empty directory
                raise Unresolved(message or "no binary package")
            packages = [task for task in graph.altlist() if getattr(task, "operation", "") == "merge"]
            missing, more = _find_libraries(packages)
            if not set(more) - set(targets):
                return _as_closure(packages, missing)
            targets += sorted(set(more) - set(targets))
    return _as_closure(packages, missing)


def _find_libraries(packages: Sequence[Any]) -> tuple[list[str], list[str]]:
    """Return the libraries that are missing, and the atoms of available binary packages that have them."""
    if not packages:
        return [], []
    dbapi = packages[-1].root_config.trees["bintree"].dbapi
    provided = {soname for pkg in packages for soname in sonames_of(dbapi, pkg.cpv, "PROVIDES")}
    wanted: dict[Any, str] = {}
    for pkg in packages:
        for soname in sonames_of(dbapi, pkg.cpv, "REQUIRES"):
            if soname not in provided:
                wanted.setdefault(soname, str(pkg.cpv))
    providers: dict[Any, str] = {}
    for cpv in sorted(dbapi.cpv_all(), key=str) if wanted else ():
        for soname in wanted.keys() & set(sonames_of(dbapi, cpv, "PROVIDES")):
            providers[soname] = f"{cpv.cp}:{cpv.slot}"
    return [f"{soname.soname} ({cpv})" for soname, cpv in wanted.items()], sorted(set(providers.values()))


def _as_closure(packages: Sequence[Any], missing: Sequence[str]) -> BinaryClosure:
    return BinaryClosure(tuple(map(_as_binary, packages)), tuple(sorted(missing)), _masks(packages))


def _as_binary(pkg: Any) -> BinaryPackage:
    tree = pkg.root_config.trees["bintree"]
    built = tree.dbapi.aux_get(pkg.cpv, ["BUILD_TIME"])[0].strip()
    return BinaryPackage(
        cpv=str(pkg.cpv),
        build_id=int(pkg.cpv.build_id or 0),
        slot=str(pkg.slot),
        root=pkg.root_config.settings["ROOT"],
        path=str(tree.getname(pkg.cpv)),
        built=int(built) if built.isdigit() else 0,
    )


def _masks(packages: Sequence[Any]) -> tuple[str, ...]:
    if not packages:
        return ()
    settings = packages[-1].root_config.settings
    features = {"nodoc", "noinfo", "noman"}.intersection(settings.features)
    return (*sorted(settings.get("INSTALL_MASK", "").split()), *sorted(features))


def _resolved(targets: Sequence[str], options: Mapping[str, Any] = MappingProxyType({})) -> tuple[bool, Any]:
    words: dict[str, Any] = {"--pretend": True, "--quiet": True, "--emptytree": True, "--usepkg": False, **options}
    loaded = load_emerge_config(action=None, args=list(targets), opts=words)
    ensure_arch_of_all(loaded.trees)
    config = loaded.target_config
    parameters = create_depgraph_params(words, None)
    try:
        done, graph, _ = backtrack_depgraph(config.settings, loaded.trees, words, parameters, None, list(targets), None)
    except PackageSetNotFound as error:
        raise Unresolved(f"set {error.value!r} not found") from error
    except (SetConfigError, PortageException) as error:
        raise Unresolved(str(error)) from error
    return bool(done), graph


def _first(output: str) -> str:
    """Return the first line of a message of Portage."""
    lines = (line.strip() for line in re.sub(r"\033\[[0-9;]*m", "", output).split("\n"))
    return next((line.removeprefix("emerge: ").rstrip(".") for line in lines if line), "")
