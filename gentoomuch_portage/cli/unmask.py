"""``gentoomuch unmask``: the ledger of a profile."""

import argparse
from pathlib import Path
from typing import Any

from gentoomuch_portage import console
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.output import columns
from gentoomuch_portage.cli.parser import Parser, group, listing, profile_named, profiled
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import UsageError, listed
from gentoomuch_portage.unmask import ledger
from gentoomuch_portage.unmask.ledger import Entry


class NotUnmasked(UsageError):
    """The ledger has no entry for an atom."""

    code = "not-unmasked"

    def __init__(self, atom: str, profile: str, known: list[str]) -> None:
        super().__init__(
            f"nothing of {atom!r} was unmasked for {profile} {listed(known)}",
            remedy=f"gentoomuch unmask ls --profile {profile}",
        )


def _add_ls(parser: Parser) -> None:
    listing(parser)
    profiled(parser)


def _ls(settings: Settings, args: argparse.Namespace) -> int:
    profile = profile_named(settings, args)
    entries = ledger.read(settings.having(ledger.name(profile)), profile)
    if args.json:
        console.say_json([one._asdict() for one in entries])
    elif entries:
        rows = [(one.atom, one.kind, one.value or "-", ", ".join(one.required_by) or "-", one.since) for one in entries]
        console.say(columns(("atom", "kind", "value", "required by", "since"), rows))
    elif not args.quiet:
        console.tell("nothing was unmasked")
    return 0


def _add_atom(parser: Parser) -> None:
    listing(parser)
    profiled(parser)
    parser.add_argument("atom", metavar="ATOM", help="a package, with or without version")


def _matching(state: Path, profile: str, args: argparse.Namespace) -> tuple[Entry, ...]:
    entries = ledger.read(state, profile)
    asked = {args.atom, args.atom.lstrip("=~<>")}
    found = tuple(one for one in entries if asked & _names(one.atom))
    if not found:
        raise NotUnmasked(args.atom, profile, [one.atom for one in entries])
    return found


def _names(atom: str) -> set[str]:
    """All that a user may call an entry: as it is written, ``cat/pkg-1.0``, ``pkg-1.0``, ``cat/pkg``, ``pkg``."""
    from gentoomuch_portage.portage_adapter import config

    cpv, cp = atom.lstrip("=~<>").partition(":")[0], config.atom_key(atom)
    return {atom, cpv, cpv.partition("/")[2], cp, cp.partition("/")[2]}


def _why(settings: Settings, args: argparse.Namespace) -> int:
    profile = profile_named(settings, args)
    found = _matching(settings.having(ledger.name(profile)), profile, args)
    if args.json:
        console.say_json([one._asdict() for one in found])
        return 0
    for one in found:
        console.say(f"{console.heading(one.line)}  {one.kind}, since {one.since}")
        console.say(f"    required by {', then '.join(one.required_by) or 'the command line'}")
        if one.reason:
            console.say(f"    masked because: {one.reason}")
    return 0


def _drop(settings: Settings, args: argparse.Namespace) -> int:
    profile = profile_named(settings, args)
    found = _matching(settings.state, profile, args)
    keys = {one.key for one in found}
    ledger.change(settings.state, profile, lambda before: (one for one in before if one.key not in keys))
    _told(args, [{**one._asdict(), "why": "dropped"} for one in found])
    return 0


def _add_prune(parser: Parser) -> None:
    listing(parser)
    profiled(parser)
    parser.add_argument("-p", "--pretend", action="store_true", help="say what would go, and keep it")


def _prune(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.emerge import prune_ledger
    from gentoomuch_portage.emerge.profile_view import looked_at

    with looked_at(settings, profile_named(settings, args)) as view:
        gone = list((prune_ledger.unneeded if args.pretend else prune_ledger.shed)(view.plan, settings))
    _told(args, [{**one.entry._asdict(), "why": one.why} for one in gone])
    return 0


def _told(args: argparse.Namespace, rows: list[dict[str, Any]]) -> None:
    if args.json:
        console.say_json(rows)
    elif rows:
        console.say(
            columns(("atom", "kind", "value", "why"), [(r["atom"], r["kind"], r["value"], r["why"]) for r in rows])
        )
    elif not args.quiet:
        console.tell("nothing to drop")


def _add_adopt(parser: Parser) -> None:
    listing(parser)
    profiled(parser)
    parser.add_argument(
        "--take", action="store_true", help="enter what is needed in the ledger; FILE itself is never changed"
    )
    parser.add_argument("file", metavar="FILE", type=Path, help="package.accept_keywords, .use, .license or .unmask")


def _adopt(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.emerge.profile_view import looked_at
    from gentoomuch_portage.reports import unmask_adopt

    with looked_at(settings, profile_named(settings, args)) as view:
        found = unmask_adopt.judged(args.file, view)
        if args.take:
            unmask_adopt.take(found, view.plan, settings)
    if args.json:
        console.say_json(
            [
                {**one.entry._asdict(), "file": str(one.file), "line": one.line, "needed": not one.why, "why": one.why}
                for one in found
            ]
        )
        return 0
    rows = [
        (
            _place(args.file, one.file, one.line),
            one.entry.line,
            console.bad(one.why) if one.why else console.good("needed"),
        )
        for one in found
    ]
    console.say(columns(("line", "entry", ""), rows))
    return 0


def _place(asked: Path, file: Path, line: int) -> str:
    """The line, behind the name of its file where a folder was named."""
    return str(line) if file == asked else f"{file.relative_to(asked)}:{line}"


COMMAND = group(
    "unmask",
    "show, explain and shed what was unmasked for a profile",
    (
        Command("ls", "list what was unmasked", _add_ls, _ls),
        Command("why", "say who needed it, since when, and why it was masked", _add_atom, _why),
        Command("prune", "drop what is no longer needed", _add_prune, _prune),
        Command("drop", "drop entries; the next run asks the policy again", _add_atom, _drop),
        Command("adopt", "read a file of yours, and say which entries are still needed", _add_adopt, _adopt),
    ),
)
