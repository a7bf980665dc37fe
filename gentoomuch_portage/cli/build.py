# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch build``: build one package in a container from named binary packages."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gentoomuch_portage import console
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.output import format_table
from gentoomuch_portage.cli.parser import Parser, add_json_option, add_profile_option, require_known_profile
from gentoomuch_portage.config import isolation_kinds
from gentoomuch_portage.config.schema import ISOLATION, IsolationKinds
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.startup import LazyModule

if TYPE_CHECKING:
    from gentoomuch_portage.containers import cleanup, lifecycle
    from gentoomuch_portage.emerge import profile_view
    from gentoomuch_portage.emerge.profile_view import View
    from gentoomuch_portage.single_build import run
    from gentoomuch_portage.single_build.run import FinishedBuild, PreparedBuild
else:
    cleanup = LazyModule("gentoomuch_portage.containers.cleanup")
    lifecycle = LazyModule("gentoomuch_portage.containers.lifecycle")
    profile_view = LazyModule("gentoomuch_portage.emerge.profile_view")
    run = LazyModule("gentoomuch_portage.single_build.run")

_KINDS = IsolationKinds(kind for kind in ISOLATION if kind not in {isolation_kinds.NONE, isolation_kinds.VM.name})


def _add(parser: Parser) -> None:
    add_json_option(parser)
    add_profile_option(parser)
    parser.add_argument("-p", "--pretend", action="store_true", help="only list the packages that would be installed")
    text = "binary packages to install before the build, and no others (default: those of PKGDIR that it needs)"
    parser.add_argument("--with", dest="files", metavar="FILE", type=Path, nargs="*", action="extend", help=text)
    text = "container type (default: as in the profile, or auto)"
    parser.add_argument("--isolation", metavar="KIND", choices=_KINDS, help=text)
    text = "package directory for the result (default: PKGDIR of the profile)"
    parser.add_argument("--out", metavar="DIR", type=Path, help=text)
    text = "build twice and report differences; exit status 1 if there are any"
    parser.add_argument("--again", action="store_true", help=text)
    parser.add_argument("cpv", metavar="CPV", help="package to build: category, name and version")


def _work(settings: Settings, args: argparse.Namespace) -> int:
    name = require_known_profile(settings, args)
    with console.results_apart(apart=True), _prepare(settings, name, args) as (view, prepared):
        kind = "" if args.pretend else run.choose_kind(prepared.plan, settings)
        built = None if args.pretend else run.build_package(
            prepared, view, settings, kind, args.out, again=args.again
        )  # fmt: skip
    if args.json:
        console.print_json(_as_data(prepared, built))
    elif built is None:
        _print_packages(prepared, quiet=args.quiet)
    else:
        _print_result(built, quiet=args.quiet)
    return int(bool(built and built.differences))


@contextmanager
def _prepare(settings: Settings, name: str, args: argparse.Namespace) -> "Iterator[tuple[View, PreparedBuild]]":
    with profile_view.load_view(settings, name) as loaded:
        view = replace(loaded, plan=replace(loaded.plan, isolation=args.isolation or loaded.plan.isolation))
        cleanup.recover(settings, view.plan)
        with lifecycle.run_directory(settings.cache) as folder:
            yield view, run.prepare_build(view, settings, args.cpv.removeprefix("="), args.files, folder)


def _as_data(prepared: "PreparedBuild", built: "FinishedBuild | None") -> dict[str, Any]:
    nodes = [asdict(node) | {"edges": [edge._asdict() for edge in node.edges]} for node in prepared.graph.nodes]
    data: dict[str, Any] = {
        "cpv": prepared.cpv,
        "packages": [package._asdict() for package in prepared.packages],
        "graph": nodes,
    }
    if built is None:
        return data
    differences = None
    if built.differences is not None:
        differences = [{"name": difference.name, "kinds": difference.kinds} for difference in built.differences]
    return {
        **data,
        "name": built.name,
        "path": str(built.path),
        "sha256": built.sha256,
        "warm_root": built.warm_root.is_reused,
        "differences": differences,
    }


def _print_packages(prepared: "PreparedBuild", *, quiet: bool) -> None:
    rows = [(package.cpv, package.sha256[:16], package.path) for package in prepared.packages]
    if rows:
        console.print_result(format_table(("package to install", "sha256", "file"), rows))
    elif not quiet:
        console.info(f"{prepared.cpv} needs no binary packages")


def _print_result(built: "FinishedBuild", *, quiet: bool) -> None:
    console.print_result(str(built.path))
    for difference in built.differences or ():
        console.print_result(f"{difference.name}: {console.bad(', '.join(difference.kinds))}")
    if built.differences == () and not quiet:
        console.info("both builds are equal")


COMMAND = Command("build", "build one package in a container from named binary packages", _add, _work)
