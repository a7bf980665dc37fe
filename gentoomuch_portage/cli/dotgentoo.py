# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch dotgentoo``: create, check, identify and trust .gentoo directories."""

import argparse
from dataclasses import asdict
from pathlib import Path

from gentoomuch_portage import console
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.output import report_fallback_state
from gentoomuch_portage.cli.parser import Parser, add_json_option, group_commands
from gentoomuch_portage.config.settings import Settings


def _add_path(parser: Parser) -> None:
    parser.add_argument(
        "path",
        nargs="?",
        type=Path,
        default=Path(),
        metavar="PATH",
        help="project or .gentoo directory (default: .)",
    )


def _add_id(parser: Parser) -> None:
    _add_path(parser)
    parser.add_argument("--compat", choices=("spec", "gebuilder"), help="compute the ID of another implementation")


def _id(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.dotgentoo import id as dotgentoo_id
    from gentoomuch_portage.dotgentoo import layout, load

    folder = layout.find_folder(args.path)
    if args.compat:
        compute = {"spec": dotgentoo_id.compute_spec_id, "gebuilder": dotgentoo_id.compute_gebuilder_id}[args.compat]
        console.print_result(compute(layout.read_layout(folder)))
    else:
        console.print_result(dotgentoo_id.compute_id(load.load_folder(folder)))
    return 0


def _add_check(parser: Parser) -> None:
    add_json_option(parser)
    _add_path(parser)


def _check(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.dotgentoo import layout, lint, load

    findings = lint.find_problems(load.load_folder(layout.find_folder(args.path)))
    if args.json:
        console.print_json([asdict(finding) for finding in findings])
    for finding in () if args.json else findings:
        at = f"{finding.file}:{finding.line}" if finding.line else finding.file
        console.print_result(f"{at}: {console.bad('error') if finding.wrong else 'note'}: {finding.text}")
    return 1 if any(finding.wrong for finding in findings) else 0


def _add_init(parser: Parser) -> None:
    parser.add_argument("name", metavar="ATOM", help="CATEGORY/PACKAGE")
    parser.add_argument("path", nargs="?", type=Path, default=Path(), metavar="PATH", help="project (default: .)")


def _init(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.dotgentoo import scaffold

    folder = scaffold.write_folder(args.path, args.name)
    if not args.quiet:
        console.info(f"wrote {folder}; check its ebuild, then: gm-emerge {args.path}")
    return 0


def _add_trust(parser: Parser) -> None:
    _add_path(parser)


def _trust(settings: Settings, args: argparse.Namespace) -> int:
    import datetime

    from gentoomuch_portage.dotgentoo import id as dotgentoo_id
    from gentoomuch_portage.dotgentoo import layout, load, trust

    folder = load.load_folder(layout.find_folder(args.path))
    known = dotgentoo_id.compute_id(folder)
    today = datetime.date.today().isoformat()
    trust.add_record(settings.state, trust.TrustRecord(known, today, str(folder.path), contained=False))
    if not args.quiet:
        console.print_results(trust.describe(folder, known)[1:])
        console.info("trusted; it is built in a container only if the profile sets isolation")
        report_fallback_state(settings)
    return 0


COMMAND = group_commands(
    "dotgentoo",
    "create, check, identify and trust .gentoo directories",
    (
        Command("id", "print the ID of a .gentoo directory", _add_id, _id),
        Command("check", "check a .gentoo directory", _add_check, _check),
        Command("trust", "trust a .gentoo directory as it is, also outside of containers", _add_trust, _trust),
        Command("init", "create a .gentoo directory for a project", _add_init, _init),
    ),
)
