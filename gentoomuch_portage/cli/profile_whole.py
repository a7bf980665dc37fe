"""``gentoomuch profile diff | lint | env | run``: what works on a profile that is composed."""

import argparse
import os
from typing import TYPE_CHECKING, Any

from gentoomuch_portage import console, profiles
from gentoomuch_portage.cli import Command
from gentoomuch_portage.cli.errors import BadUsage
from gentoomuch_portage.cli.parser import Parser, chosen, listing, named
from gentoomuch_portage.settings import Settings
from gentoomuch_portage.system import SystemRefuses

if TYPE_CHECKING:
    from gentoomuch_portage.lint import Finding
    from gentoomuch_portage.view import View


def _add_diff(parser: Parser) -> None:
    parser.add_argument("left", metavar="NAME", help="a profile")
    parser.add_argument("right", metavar="OTHER", help="the profile that it is compared with")


def _diff(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage import difference
    from gentoomuch_portage.view import looked_at

    paint = {"+": console.good, "-": console.bad, "@": console.faint}
    with looked_at(settings, args.left) as left, looked_at(settings, args.right) as right:
        for line in difference.between(left, right):
            console.say(paint.get(line[:1], str)(line))
    return 0


def _add_lint(parser: Parser) -> None:
    listing(parser)
    parser.add_argument("name", nargs="?", metavar="NAME", help="the profile; all of them where left out")


def _lint(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage import lint

    if args.name:
        profiles.read(settings, args.name)  # one that is named and cannot be read is an error, no finding
    names = (args.name,) if args.name else profiles.names(settings)
    found = lint.examine(settings, names)
    if args.json:
        console.say_json([as_data(one) for one in found])
    else:
        for one in found:
            console.say(f"{one.profile}: {as_text(one)}")
        if not found and not args.quiet:
            console.tell(f"nothing to say about {', '.join(names) or 'no profile'}")
    return int(bool(found))


def as_data(one: "Finding") -> dict[str, Any]:
    """A finding for scripts."""
    places = [{"file": str(place.file), "line": place.line} for place in one.places]
    return {"profile": one.profile, "kind": one.kind, "message": one.text, "places": places}


def as_text(one: "Finding") -> str:
    """A finding for people: its places below it, a line each, as an editor opens them."""
    return "\n".join([f"{one.text}  [{one.kind}]", *(f"    {place}" for place in one.places)])


def _environment(settings: Settings, view: "View") -> dict[str, str]:
    """What programs of Portage need, and our own to find the host, which is below other profiles, behind it."""
    from gentoomuch_portage.view import environment

    return {"GM_HOST": str(settings.host.parents[1]), **environment(view)}


def _env(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.view import looked_at

    with looked_at(settings, chosen(settings, args)) as view:
        for name, value in sorted(_environment(settings, view).items()):
            quoted = value.replace("'", "'\\''")
            console.say(f"export {name}='{quoted}'")
    return 0


def _add_run(parser: Parser) -> None:
    named(parser)
    parser.usage = "gentoomuch profile run [NAME] -- COMMAND..."
    parser.set_defaults(becomes=True)


def _run(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.run import become
    from gentoomuch_portage.view import looked_at

    if not args.behind:
        raise BadUsage("gentoomuch profile run", "the command is missing: gentoomuch profile run NAME -- COMMAND...")
    with looked_at(settings, chosen(settings, args)) as view:
        env = {**os.environ, **_environment(settings, view)}
        for lock in view.locks:
            os.set_inheritable(lock, True)  # the configroot stays as long as the command runs
        try:
            return become(args.behind, env)
        except OSError as error:
            raise SystemRefuses(f"{args.behind[0]}: {error.strerror}") from error


COMMANDS = (
    Command("diff", "show what differs between two profiles once they are composed", _add_diff, _diff),
    Command("lint", "find contradictions between layers, with the places of both", _add_lint, _lint),
    Command("env", 'print the environment of a profile for a shell: eval "$(...)"', named, _env),
    Command("run", "run a command in the environment of a profile", _add_run, _run),
)
