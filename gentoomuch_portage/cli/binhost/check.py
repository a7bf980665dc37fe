"""``gentoomuch binhost check``: what is wrong with a folder of packages."""

import argparse
from functools import partial
from pathlib import Path

from gentoomuch_portage import console
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.errors import BadUsage
from gentoomuch_portage.cli.output import columns
from gentoomuch_portage.cli.parser import Parser, listing
from gentoomuch_portage.config.settings import Settings

_FOLDER = "of packages, or published; PKGDIR where left out"


def _add_check(parser: Parser) -> None:
    listing(parser)
    parser.add_argument("folder", nargs="?", metavar="DIR", type=Path, help=_FOLDER)
    parser.add_argument("--fix", action="store_true", help="bring the index up to date, set altered packages aside")
    parser.add_argument("--quick", action="store_true", help="believe size and time, and read no package")
    told = "packages have to be signed; so they have where this machine has a key of a binhost"
    parser.add_argument("--signed", action="store_true", help=told)


def _check(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.binhost import keys, publish, verify
    from gentoomuch_portage.binhost.reindex import NoFolder
    from gentoomuch_portage.portage_adapter.pkgdir import pkgdir

    if args.fix:
        unpublished("check", args.folder)
    top = publish.holding(args.folder) if args.folder else None
    shelf, promised = pkgdir(publish.shown(args.folder)), _promised(args.folder)
    if not shelf.folder.is_dir():
        raise NoFolder(shelf.folder)
    signed = args.signed or keys.known(settings) is not None
    show = partial(console.progress, "checking", quiet=args.quiet)
    found = verify.check(shelf, digests=not args.quick, times=top is None, signed=signed, show=show)
    found = [one for one in found if one.code != "orphaned" or one.path not in (promised or ())]
    if args.fix and found:
        found = verify.fix(shelf, found)
    if args.json:
        console.say_json([one._asdict() for one in found])
    elif found:
        rows = [(console.good("fixed") if one.fixed else console.bad(one.code), one.path, one.text) for one in found]
        console.say(columns(("", "package", ""), rows))
    elif not args.quiet:
        console.tell(f"nothing is wrong with {shelf.folder}")
    return int(any(not one.fixed for one in found))


def unpublished(command: str, folder: Path | None) -> None:
    """See to it that a folder may be changed.

    Raises:
        BadUsage: it is published, or a generation of one that is.
    """
    from gentoomuch_portage.binhost import publish

    if folder is not None and (top := publish.holding(folder)) is not None:
        told = f"{folder} is published, and never changed in place"
        raise BadUsage(f"gentoomuch binhost {command}", told, remedy=f"gentoomuch binhost publish {top}")


def _promised(folder: Path | None) -> frozenset[str] | None:
    """What can still be fetched of a published folder though its index has it no more; None where it is none."""
    from gentoomuch_portage.binhost import publish

    number = publish.current(folder) if folder else None
    return frozenset(publish.read(folder, number).kept) if folder and number is not None else None


COMMANDS: tuple[Command, ...] = (Command("check", "say what is wrong with a folder of packages", _add_check, _check),)
