# SPDX-License-Identifier: GPL-2.0-or-later
"""Resolve the dependencies of one package, install them in a container, and build the package there."""

import hashlib
import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from gentoomuch_portage import fs
from gentoomuch_portage.config.isolation_kinds import AUTO, AUTOMATIC, NONE, VM
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.configroot import build_dir
from gentoomuch_portage.configroot.cross import has_own_portage
from gentoomuch_portage.containers import build, detect, lifecycle, warm_root
from gentoomuch_portage.containers.warm_root import Installable, WarmRoot
from gentoomuch_portage.emerge.profile_view import View
from gentoomuch_portage.errors import ConfigError, GmError, RunError, UsageError, missing_container
from gentoomuch_portage.events.reporter import EventLog, RunReporter
from gentoomuch_portage.isa.abi import Abi
from gentoomuch_portage.plan.plan import Plan
from gentoomuch_portage.plugins.hookspec import RunListener
from gentoomuch_portage.plugins.manager import Dispatcher
from gentoomuch_portage.portage_adapter import atoms, dependency_graph, isolation
from gentoomuch_portage.portage_adapter.dependency_graph import Graph, UnknownEbuild
from gentoomuch_portage.reports import binpkgs
from gentoomuch_portage.single_build import packages as named_packages
from gentoomuch_portage.single_build.compare import Difference, compare_packages
from gentoomuch_portage.single_build.packages import NamedPackage


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedBuild:
    """A build whose dependencies are known; no code of an ebuild has run."""

    plan: Plan
    graph: Graph
    packages: tuple[NamedPackage, ...]
    """All binary packages that are installed before the build."""
    folder: Path
    """A directory of the build; ``folder/pkgdir`` contains copies of the packages."""

    @property
    def cpv(self) -> str:
        """Return the package to build."""
        return self.graph.target.cpv


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedBuild:
    """The package that was built."""

    name: str
    """``cat/pkg-1.0-2``."""
    path: Path
    sha256: str
    warm_root: WarmRoot
    differences: tuple[Difference, ...] | None
    """From a second build; None if it was built once."""


def not_one_package(text: str) -> UsageError:
    """The package to build needs category, name and version, without an operator."""
    hint = "gentoomuch build app-misc/hello-2.10"
    return UsageError(f"cannot build {text!r}: it is not one version of a package", code="not-one-package", hint=hint)


def no_ebuild(cpv: str, profile: str, reason: str) -> RunError:
    """No ebuild of that version exists, or it is masked."""
    hint = f"gm-emerge --gm-profile={profile} --pretend ={cpv}"
    return RunError(f"cannot build {cpv}: {reason}", code="no-ebuild", hint=hint)


def missing_dependencies(cpv: str, profile: str, missing: Sequence[str]) -> RunError:
    """No binary package that can be used, and no installed package, satisfies a dependency of the build."""
    first = missing[0]
    get = (
        f"gentoomuch build {first[1:]} --profile {profile}"
        if first[:1] == "="
        else f"gentoomuch binpkg why {shlex.quote(first)}"
    )
    return RunError(f"cannot build {cpv}: missing binary packages: {' '.join(missing)}",
        code="missing-dependencies", hint=f"{get}, or pass a package with --with")  # fmt: skip


def unusable_package(path: str, reason: str) -> RunError:
    """A package of --with cannot be used for the profile, for example because its CPU cannot run it."""
    return RunError(f"cannot use {path}: {reason}", code="unusable-package", hint="omit it, or build it again")


def root_not_buildable(profile: str, reason: str, where: str) -> ConfigError:
    """``build`` cannot build for a root with its own Portage, or with another ABI than this machine."""
    return ConfigError(
        f"cannot build one package for profile {profile!r}: {reason}",
        code="root-not-buildable",
        hint=f"gm-emerge --gm-profile={profile} --buildpkgonly, or change root in {where}",
    )


def build_failed(cpv: str, profile: str, status: int) -> RunError:
    """The build of the package failed; emerge has printed the reason."""
    return RunError(
        f"cannot build {cpv}: emerge ended with {status}", code="build-failed", hint=f"gentoomuch freshroot {profile}"
    )


def choose_kind(plan: Plan, settings: Settings) -> str:
    """Return the container type for a build: that of the plan, or the first that works.

    Raises:
        MachineError[missing-container]: it does not work here, or no container type does.
    """
    known = (*AUTOMATIC, AUTO)
    if plan.isolation == VM.name:
        raise missing_container(plan.isolation, known, word="--isolation")
    kind = detect.resolve_or_host(AUTO if plan.isolation == NONE else plan.isolation, settings.cache)
    if kind == NONE:
        raise missing_container(AUTO, known, word="--isolation")
    return kind


def prepare_build(
    view: View, settings: Settings, cpv: str, files: Sequence[Path] | None, folder: Path
) -> PreparedBuild:
    """Resolve the dependencies of a package, and copy their binary packages.

    Args:
        files: the binary packages to install; None for those of PKGDIR that the resolver chooses.
        folder: a new directory for the copies.

    Raises:
        UsageError[not-one-package]: ``cpv`` is not exact.
        RunError[no-ebuild], RunError[missing-dependencies]: it cannot be built.
        RunError[unusable-package], RunError[package-changed]: a binary package cannot be used.
        ConfigError[root-not-buildable]: the root of the profile is not supported.
    """
    if not atoms.is_exact(cpv):
        raise not_one_package(cpv)
    plan = _make_plan(view)
    build_dir.make(plan)
    copied: tuple[NamedPackage, ...] = ()
    pool = plan
    if files is not None:
        copied = named_packages.copy_packages(plan, files, folder)
        pool = _with_pkgdir(plan, folder / "pkgdir")
        _check_usable(replace(view, plan=pool), settings, copied)
    graph = _resolve(view, pool, settings, cpv, copied)
    if graph.missing:
        raise missing_dependencies(cpv, plan.profile, graph.missing)
    if files is None:
        copied = named_packages.copy_packages(plan, [Path(node.path) for node in graph.packages], folder)
        digests = {node.cpv: node.sha256 for node in graph.packages}
        for package in copied:
            if package.sha256 != digests.get(package.cpv):
                raise named_packages.package_changed(package.path)
    return PreparedBuild(plan=plan, graph=graph, packages=copied, folder=folder)


def resolve_with_ebuilds(view: View, settings: Settings, cpv: str, folder: Path) -> tuple[Plan, Graph]:
    """Resolve the dependencies of a build among ebuilds and installed packages; no binary package is used.

    Args:
        folder: a new directory.

    Returns:
        The plan of the build, and the graph; its other ebuilds have to be built first.

    Raises:
        UsageError[not-one-package]: ``cpv`` is not exact.
        RunError[no-ebuild], RunError[missing-dependencies]: it cannot be built.
        ConfigError[root-not-buildable]: the root of the profile is not supported.
    """
    if not atoms.is_exact(cpv):
        raise not_one_package(cpv)
    plan = _make_plan(view)
    build_dir.make(plan)
    graph = _resolve(view, _with_pkgdir(plan, fs.ensure(folder / "pkgdir")), settings, cpv, ())
    ebuilds = {f"={node.cpv}" for node in graph.nodes if node.source == "ebuild"}
    if missing := [atom for atom in graph.missing if atom not in ebuilds]:
        raise missing_dependencies(cpv, plan.profile, missing)
    return plan, graph


def _make_plan(view: View) -> Plan:
    """Return the plan of builds for a profile in a copy-on-write view of this host, whatever the root of the profile.

    Raises:
        ConfigError[root-not-buildable]: the packages of the root are built elsewhere.
    """
    plan, where = view.plan, str(view.profile.file)
    if has_own_portage(Path(plan.root)):
        raise root_not_buildable(plan.profile, f"{plan.root} has its own Portage", where)
    wanted, here = Abi.parse(plan.abi), Abi.parse(plan.build_abi)
    if plan.root != "/" and plan.build_abi and (wanted.chost, wanted.libc) != (here.chost, here.libc):
        raise root_not_buildable(plan.profile, f"it is for {wanted.chost}, and this machine is {here.chost}", where)
    env = {name: value for name, value in plan.env.items() if name not in {"ROOT", "SYSROOT"}}
    return replace(plan, root="/", build_configroot="", build_cpu="", build_abi="", env={**env, "ROOT": "/"})


def _with_pkgdir(plan: Plan, folder: Path) -> Plan:
    return replace(plan, env={**plan.env, "PKGDIR": str(folder)})


def _check_usable(view: View, settings: Settings, copied: Sequence[NamedPackage]) -> None:
    paths = {package.cpv: package.path for package in copied}
    for judged in binpkgs.judge_binpkgs(view, settings):
        if not judged.taken:
            code, reason = judged.reasons[0]
            raise unusable_package(paths[judged.offer.binpkg.cpv], f"{code}: {reason}")


def _resolve(view: View, plan: Plan, settings: Settings, cpv: str, copied: Sequence[NamedPackage]) -> Graph:
    env = {"PORTAGE_CONFIGROOT": plan.configroot, "PORTAGE_FORK_DEP_CALC": "0", **plan.env}
    state, cache = settings.state / plan.profile, settings.cache / "binhosts" / plan.profile
    reject = Dispatcher(view.plugins, plan, settings).make_reject()
    named = {(package.cp, package.slot) for package in copied}
    with isolation.apart(state=state, cache=cache, build_configroot=lambda: plan.build_configroot):
        try:
            return dependency_graph.resolve(env, cpv, named, reject)
        except UnknownEbuild as error:
            raise no_ebuild(cpv, plan.profile, str(error)) from error


def build_package(
    prepared: PreparedBuild, view: View, settings: Settings, kind: str, out: Path | None = None, *, again: bool = False
) -> FinishedBuild:
    """Build the package, and move it to a package directory.

    Args:
        kind: the container type.
        out: the package directory; default: PKGDIR of the profile.
        again: build it a second time, and compare the two.

    Raises:
        RunError[build-failed], RunError[dependencies-not-installed]: emerge fails.
        GmError: a container cannot be created.
        KeyboardInterrupt: Ctrl-C.
    """
    plan = prepared.plan if out is None else _with_pkgdir(prepared.plan, out.absolute())
    options = ("--buildpkgonly", "--nodeps", "--oneshot", "--getbinpkg=n", "--usepkg=n", "--ignore-default-opts")
    plan = replace(plan, arguments=(f"={prepared.cpv}", *options))
    reporter = RunReporter(Dispatcher(view.plugins, plan, settings), EventLog.open(None))
    with _recorded(reporter):
        installable = [Installable(package.cpv, package.build_id, package.sha256) for package in prepared.packages]
        stage = _with_pkgdir(plan, prepared.folder / "pkgdir")
        warm = warm_root.open_warm_root(stage, settings, kind, installable)
        name, path = _build_once(prepared.cpv, plan, settings, kind, warm, reporter)
    differences = None
    if again:
        second = _with_pkgdir(plan, prepared.folder / "again")
        differences = compare_packages(path, _build_once(prepared.cpv, second, settings, kind, warm)[1])
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return FinishedBuild(name=name, path=path, sha256=sha256, warm_root=warm, differences=differences)


def _build_once(
    cpv: str, plan: Plan, settings: Settings, kind: str, warm: WarmRoot, listener: RunListener | None = None
) -> tuple[str, Path]:
    """Return the name and the file of the package."""
    with lifecycle.run_directory(settings.cache) as run:
        result = build.build(plan, settings, kind, run, listener, below=warm.folder)
    if result.status or len(result.packages) != 1:
        raise build_failed(cpv, plan.profile, result.status)
    [(name, path)] = result.packages.items()
    return name, Path(path)


@contextmanager
def _recorded(reporter: RunReporter) -> Iterator[None]:
    """Report the start and the end of a build to plugins, so that it is in the history."""
    begin, status = time.time(), 70
    reporter.start()
    try:
        yield
        status = 0
    except GmError as error:
        status = error.status
        raise
    except KeyboardInterrupt as signalled:
        status = 128 + getattr(signalled, "number", 2)
        raise
    finally:
        reporter.finish(status, time.time() - begin)
