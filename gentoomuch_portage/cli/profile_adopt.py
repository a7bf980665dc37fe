"""``gentoomuch profile adopt``: another machine's /etc/portage becomes a layer and a profile."""

import argparse

from gentoomuch_portage import console, files, profiles
from gentoomuch_portage.cli import Command
from gentoomuch_portage.cli.errors import ProfileExists
from gentoomuch_portage.cli.parser import Parser, listing
from gentoomuch_portage.settings import Settings


def _add(parser: Parser) -> None:
    listing(parser)
    parser.add_argument("source", metavar="[HOST:]DIR", help="its /etc/portage: a folder here, or one that ssh reaches")
    parser.add_argument("name", metavar="NAME", help="the name of the new profile and of its layer")
    parser.add_argument("--root", metavar="DIR", help="where it is built; left out: /srv/roots/NAME")


def _work(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage import foreign

    name = profiles.valid(args.name, "profile")
    file = settings.config / "profiles" / f"{name}.toml"
    if file.exists():
        raise ProfileExists(name, file)
    adopted = foreign.adopt(args.source, settings.config / "layers" / name)
    root = args.root or f"/srv/roots/{name}"
    files.write(file, foreign.profile_text(name, args.source, adopted, root))
    if args.json:
        console.say_json({"name": name, "file": file, "files": adopted.taken, "left": list(adopted.left)})
    elif not args.quiet:
        for why in adopted.left:
            console.warn(f"not taken: {why}")
        console.tell(f"wrote {file}, and {adopted.taken} files to {settings.config / 'layers' / name}")
        console.tell(f"next: gentoomuch profile lint {name}")
    return 0


COMMAND = Command("adopt", "make a profile of another machine's /etc/portage, here or by ssh", _add, _work)
