# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch binhost check``: verify a directory of packages."""

import argparse
from functools import partial
from pathlib import Path

from gentoomuch_portage import console
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.errors import bad_usage
from gentoomuch_portage.cli.output import format_table
from gentoomuch_portage.cli.parser import Parser, add_json_option
from gentoomuch_portage.config.settings import Settings

_FOLDER = "directory of packages or generations (default: PKGDIR)"


def _add_check(parser: Parser) -> None:
    add_json_option(parser)
    parser.add_argument("folder", nargs="?", metavar="DIR", type=Path, help=_FOLDER)
    parser.add_argument("--fix", action="store_true", help="update the index, and move altered packages away")
    parser.add_argument("--quick", action="store_true", help="trust size and mtime; do not read packages")
    text = "require signatures (default if this machine has a binhost key)"
    parser.add_argument("--signed", action="store_true", help=text)


def _check(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.binhost import keys, publish, verify
    from gentoomuch_portage.binhost.reindex import no_package_folder
    from gentoomuch_portage.portage_adapter.pkgdir import pkgdir

    if args.fix:
        unpublished("check", args.folder)
    top = publish.find_published(args.folder) if args.folder else None
    shelf, promised = pkgdir(publish.published_view(args.folder)), _promised(args.folder)
    if not shelf.folder.is_dir():
        raise no_package_folder(shelf.folder)
    signed = args.signed or keys.find_key(settings) is not None
    show = partial(console.progress, "checking", quiet=args.quiet)
    findings = verify.check_packages(shelf, digests=not args.quick, times=top is None, signed=signed, show=show)
    findings = [finding for finding in findings if finding.code != "orphaned" or finding.path not in (promised or ())]
    if args.fix and findings:
        findings = verify.fix_findings(shelf, findings)
    if args.json:
        console.print_json([finding._asdict() for finding in findings])
    elif findings:
        rows = [
            (console.good("fixed") if finding.fixed else console.bad(finding.code), finding.path, finding.text)
            for finding in findings
        ]
        console.print_result(format_table(("", "package", ""), rows))
    elif not args.quiet:
        console.info(f"no problems in {shelf.folder}")
    return int(any(not finding.fixed for finding in findings))


def unpublished(command: str, folder: Path | None) -> None:
    """Check that a directory may be changed.

    Raises:
        UsageError[usage]: it is a directory of generations, or a generation.
    """
    from gentoomuch_portage.binhost import publish

    if folder is not None and (top := publish.find_published(folder)) is not None:
        message = f"{folder} is published and cannot be changed"
        raise bad_usage(f"gentoomuch binhost {command}", message, hint=f"gentoomuch binhost publish {top}")


def _promised(folder: Path | None) -> frozenset[str] | None:
    """Return the packages of a published directory that can still be fetched although they left the index, or None."""
    from gentoomuch_portage.binhost import publish

    number = publish.current_generation(folder) if folder else None
    return frozenset(publish.read_generation(folder, number).kept) if folder and number is not None else None


COMMANDS: tuple[Command, ...] = (Command("check", "verify a directory of packages", _add_check, _check),)
