"""``gentoomuch dotgentoo``: the folder with which a project says how it is installed."""

import argparse
from dataclasses import asdict
from pathlib import Path

from gentoomuch_portage import console
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.parser import Parser, group, listing
from gentoomuch_portage.config.settings import Settings


def _placed(parser: Parser) -> None:
    parser.add_argument(
        "path",
        nargs="?",
        type=Path,
        default=Path(),
        metavar="PATH",
        help="the folder, or what holds it; here if left out",
    )


def _add_id(parser: Parser) -> None:
    _placed(parser)
    parser.add_argument("--compat", choices=("spec", "gebuilder"), help="as others computed it")


def _id(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.dotgentoo import id as dotgentoo_id
    from gentoomuch_portage.dotgentoo import layout, load

    found = layout.find(args.path)
    if args.compat:
        compute = {"spec": dotgentoo_id.spec, "gebuilder": dotgentoo_id.gebuilder}[args.compat]
        console.say(compute(layout.lay_out(found)))
    else:
        console.say(dotgentoo_id.identity(load.read(found)))
    return 0


def _add_check(parser: Parser) -> None:
    listing(parser)
    _placed(parser)


def _check(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.dotgentoo import layout, lint, load

    found = lint.findings(load.read(layout.find(args.path)))
    if args.json:
        console.say_json([asdict(one) for one in found])
    for one in () if args.json else found:
        at = f"{one.file}:{one.line}" if one.line else one.file
        console.say(f"{at}: {console.bad('wrong') if one.wrong else 'note'}: {one.text}")
    return 1 if any(one.wrong for one in found) else 0


def _add_init(parser: Parser) -> None:
    parser.add_argument("name", metavar="ATOM", help="CATEGORY/PACKAGE")
    parser.add_argument(
        "path", nargs="?", type=Path, default=Path(), metavar="PATH", help="the project; here if left out"
    )


def _init(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.dotgentoo import scaffold

    folder = scaffold.start(args.path, args.name)
    if not args.quiet:
        console.tell(f"{folder} is written; look at its ebuild, then: gm-emerge {args.path}")
    return 0


def _add_trust(parser: Parser) -> None:
    _placed(parser)


def _trust(settings: Settings, args: argparse.Namespace) -> int:
    import datetime

    from gentoomuch_portage.dotgentoo import id as dotgentoo_id
    from gentoomuch_portage.dotgentoo import layout, load, trust

    found = load.read(layout.find(args.path))
    known = dotgentoo_id.identity(found)
    today = datetime.date.today().isoformat()
    trust.keep(settings.state, trust.Trusted(known, today, str(found.path), contained=False))
    if not args.quiet:
        console.say_each(trust.summary(found, known)[1:])
        console.tell("allowed; it is built wherever the profile says, in a container or not")
    return 0


COMMAND = group(
    "dotgentoo",
    "name, check and start the .gentoo folder of a project",
    (
        Command("id", "print the ID of a folder, which tells what it means", _add_id, _id),
        Command("check", "say what is wrong with a folder, by file and line", _add_check, _check),
        Command("trust", "allow a folder as it is now, and to be built without a container", _add_trust, _trust),
        Command("init", "write a first folder for the project in a tree", _add_init, _init),
    ),
)
