"""``gentoomuch profile rm``: put a profile's file aside, and remove what is known of it where that is asked for."""

import argparse
from itertools import count
from pathlib import Path

from gentoomuch_portage import console, profiles
from gentoomuch_portage.cli import Command
from gentoomuch_portage.cli.parser import Parser
from gentoomuch_portage.errors import GmError, UnknownProfile
from gentoomuch_portage.settings import Settings


def _add(parser: Parser) -> None:
    told = "also its ledger, history and kept fresh roots, for good; they stay where left out"
    parser.add_argument("--with-state", action="store_true", help=told)
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("name", metavar="NAME", help="the profile")


def _work(settings: Settings, args: argparse.Namespace) -> int:
    name, known = args.name, profiles.names(settings)
    file, state = settings.config / "profiles" / f"{name}.toml", settings.state / name
    if name not in known:
        raise UnknownProfile(name, known)
    root = _root(settings, name)
    _agreed(args, f"put {file} aside?", str(file))
    if args.with_state and state.is_dir():
        profiles.valid(name, "profile")
        _agreed(args, f"remove {state} and all that is in it?", str(state))
        _remove(settings, name)
    aside = _put_aside(file)
    _unset(settings, name)
    if args.quiet:
        return 0
    console.tell(f"put aside as {aside}")
    if state.is_dir():
        console.tell(f"its ledger, history and fresh roots stay in {state}; --with-state removes them as well")
    if root is not None and root.is_dir():
        console.tell(f"its root {root} stays")
    return 0


def _agreed(args: argparse.Namespace, question: str, what: str) -> None:
    """Ask, unless ``--yes`` has answered.

    Raises:
        NotAgreed: nobody said yes.
    """
    from gentoomuch_portage.roots.errors import NotAgreed

    if not (args.yes or console.agreed(question)):
        raise NotAgreed(what)


def _root(settings: Settings, name: str) -> Path | None:
    """The root of a machine of its own; None where it has none, or cannot be read."""
    try:
        profile = profiles.read(settings, name)
    except GmError:
        return None
    return profile.root if profile.foreign else None


def _remove(settings: Settings, name: str) -> None:
    """Remove the state of a profile, where nobody works in one of its fresh roots."""
    from contextlib import ExitStack

    from gentoomuch_portage.containers import tenants
    from gentoomuch_portage.roots import listing, removing

    state = settings.state / name
    removing.unmounted(state)
    with ExitStack() as held:
        for one in listing.kept(settings, name):
            held.enter_context(tenants.alone(state / "roots" / one))
        removing.clear(state)


def _put_aside(file: Path) -> Path:
    """Give a file a name that is no profile's."""
    names = (file.with_name(f"{file.name}.removed{f'-{number}' if number else ''}") for number in count())
    aside = next(one for one in names if not one.exists())
    file.rename(aside)
    return aside


def _unset(settings: Settings, name: str) -> None:
    if settings.chosen == name:
        (settings.state / "profile").unlink(missing_ok=True)


COMMAND = Command("rm", "put a profile aside; with --with-state remove what is known of it, too", _add, _work)
