"""``gentoomuch patch drop``: end the work trees of a set; what is saved stays."""

import argparse

from gentoomuch_portage import console, profiles
from gentoomuch_portage.cli import Command
from gentoomuch_portage.cli.parser import Parser
from gentoomuch_portage.settings import Settings


def _add(parser: Parser) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask, though something is not saved")
    parser.add_argument("set", metavar="SET", help="a patch set with work trees; its patches stay")


def _work(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.patches import save, sets, workbench
    from gentoomuch_portage.roots.errors import NotAgreed

    name = profiles.valid(args.set, "patch set")
    benches = workbench.of(settings, name)
    for one in benches if not args.yes else ():
        lost = not save.is_saved(one, sets.folder(settings, name))
        if lost and not console.agreed(f"remove {one.tree}, which holds what is not saved?"):
            raise NotAgreed(str(one.tree))
    workbench.drop(settings, benches)
    if not args.quiet:
        console.tell(f"removed {', '.join(str(one.tree) for one in benches)}")
    return 0


COMMAND = Command("drop", "remove the work trees of a set; its patches stay", _add, _work)
