"""``gentoomuch freshroot``: a shell or a command in a clean copy-on-write view of a profile's root."""

import argparse

from gentoomuch_portage import console, profiles
from gentoomuch_portage.cli import Command
from gentoomuch_portage.cli.parser import Parser, chosen, named
from gentoomuch_portage.settings import Settings
from gentoomuch_portage.tables import PROFILE, Kinds


def _add(parser: Parser) -> None:
    named(parser)
    parser.set_defaults(becomes=True)
    parser.add_argument(
        "--keep", metavar="ROOT", default="", help="keep what was changed under this name, or go on with it"
    )
    parser.add_argument("--network", action="store_true", help="share the host's network")
    kinds = Kinds(one for one in PROFILE["isolation"] if one != "none")
    told = "the kind of container; left out: as the profile says, or auto"
    parser.add_argument("--isolation", metavar="KIND", choices=kinds, help=told)


def _work(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.containers import fresh, probes, sweeping
    from gentoomuch_portage.roots.errors import refuse_empty
    from gentoomuch_portage.view import looked_at

    name = chosen(settings, args)
    profile = profiles.read(settings, name)
    refuse_empty(profile.root, name)
    keep = profiles.valid(args.keep, "root") if args.keep else ""
    kind = probes.chosen(args.isolation or profile.contained, settings.cache)
    if kind == "none":
        raise probes.NoContainer
    with looked_at(settings, name) as view:
        sweeping.sweep(settings, view.plan)
        if not (args.quiet or args.behind):
            fate = f"what you change is kept as {keep!r}" if keep else "what you change vanishes"
            console.tell(f"a fresh root of {view.plan.root} for profile {name} ({kind}); {fate}; packages are kept")
        status, packages = fresh.enter(view.plan, settings, kind, args.behind, keep=keep, network=args.network)
    if packages and not args.quiet:
        console.tell(f"{packages} {'package was' if packages == 1 else 'packages were'} kept")
    return status


COMMAND = Command("freshroot", "work in a clean copy-on-write view of a profile's root", _add, _work)
