# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch why``: all decisions about a package on one page."""

import argparse
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from gentoomuch_portage import console
from gentoomuch_portage.cli.binpkg import format_verdict
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.history import format_builds, package_data
from gentoomuch_portage.cli.parser import Parser, add_json_option, add_profile_option, require_known_profile
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.portage_adapter.binpkg import RECORDED

if TYPE_CHECKING:
    from gentoomuch_portage.portage_adapter.installed import Installed
    from gentoomuch_portage.reports.why import Decisions, Mask


def _add(parser: Parser) -> None:
    add_json_option(parser)
    add_profile_option(parser)
    parser.add_argument("cpv", metavar="CPV", help="package, with or without a version")


def _work(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.emerge.profile_view import load_view
    from gentoomuch_portage.reports import why

    name = require_known_profile(settings, args)
    with load_view(settings, name) as view:
        decisions = why.explain_package(args.cpv, view, settings)
    if args.json:
        console.print_json(_data(decisions, name))
        return 0
    console.print_result(f"{console.heading(decisions.package)} for profile {name}")
    for title, lines in _sections(decisions):
        shown = list(lines)
        console.print_result(f"\n{console.heading(title)}{'' if shown else ': none'}")
        console.print_results(f"  {line}" for line in shown)
    return 0


def _sections(decisions: "Decisions") -> Iterator[tuple[str, Iterable[str]]]:
    yield "ebuilds", _ebuilds(decisions)
    yield "installed", (_installed(package) for package in decisions.installed)
    yield "binary packages", _binpkgs(decisions)
    yield (
        "unmasked",
        (
            f"{entry.kind}: {entry.line}, since {entry.since}, for {_format_chain(entry.required_by)}"
            for entry in decisions.unmasked
        ),
    )
    yield "user patches", (f"{cpv}: {name}  {console.faint(str(file))}" for cpv, name, file in decisions.patches)
    yield (
        "configuration",
        (
            f"{line.kind}: {' '.join((line.atom, *line.values))}  {console.faint(str(line.place))}"
            for line in decisions.lines
        ),
    )
    yield "last builds", format_builds(decisions.builds).splitlines() if decisions.builds else ()


def _ebuilds(decisions: "Decisions") -> Iterator[str]:
    best = next((ebuild for ebuild, masks in reversed(decisions.ebuilds) if not masks), None)
    for ebuild, masks in reversed(decisions.ebuilds):
        yield f"{ebuild.cpv}::{ebuild.repository}  {console.good('chosen') if ebuild == best else _state(masks)}"
        yield from (f"    {mask.kind}: {mask.reason}{f'; {mask.against}' if mask.against else ''}" for mask in masks)


def _state(masks: "Iterable[Mask]") -> str:
    """Format whether a run would use an ebuild."""
    if any(mask.against for mask in masks):
        return console.bad("masked")
    return "usable after unmasking" if masks else "usable"


def _installed(installed: "Installed") -> str:
    built = _built_with(installed)
    return f'{installed.cpv}  USE="{" ".join(sorted(installed.use))}"{f"  built with {built}" if built else ""}'


def _built_with(installed: "Installed") -> str:
    """Return the machine flags recorded at build time; empty if gm-emerge did not build it."""
    from gentoomuch_portage.isa.requirement import parse_requirement

    return parse_requirement(installed.build_info[RECORDED]).description if RECORDED in installed.build_info else ""


def _format_chain(required_by: tuple[str, ...]) -> str:
    return ", then ".join(required_by) or "the command line"


def _binpkgs(decisions: "Decisions") -> Iterator[str]:
    for binpkg in decisions.binpkgs:
        offer = binpkg.offer.binpkg
        yield f"{offer.name}  {format_verdict(binpkg)}  {console.faint(offer.where)}"
        yield from (f"    {code}: {text}" for code, text in binpkg.reasons)


def _data(decisions: "Decisions", profile: str) -> dict[str, Any]:
    return {
        "package": decisions.package,
        "profile": profile,
        "ebuilds": [
            {
                "cpv": ebuild.cpv,
                "repository": ebuild.repository,
                "visible": ebuild.visible,
                "where": str(ebuild.path),
                "masks": [mask._asdict() for mask in masks],
            }
            for ebuild, masks in decisions.ebuilds
        ],
        "installed": [
            {"cpv": package.cpv, "use": sorted(package.use), "built_with": _built_with(package)}
            for package in decisions.installed
        ],
        "binpkgs": [
            {
                "name": binpkg.offer.binpkg.name,
                "where": binpkg.offer.binpkg.where,
                "verdict": "accept" if binpkg.taken else "reject",
                "reasons": [{"code": code, "reason": text} for code, text in binpkg.reasons],
                "unmasks": sorted(binpkg.lifted),
            }
            for binpkg in decisions.binpkgs
        ],
        "unmasked": [entry._asdict() for entry in decisions.unmasked],
        "patches": [{"cpv": cpv, "name": name, "file": str(file)} for cpv, name, file in decisions.patches],
        "lines": [
            {"file": line.kind, "atom": line.atom, "values": line.values, "layer": line.layer, "where": str(line.place)}
            for line in decisions.lines
        ],
        "builds": [package_data(build) for build in decisions.builds],
    }


COMMAND = Command("why", "show all decisions about a package on one page", _add, _work)
