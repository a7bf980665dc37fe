"""``gentoomuch binpkg``: which binary package runs where, and why not."""

import argparse
from pathlib import Path
from typing import Any

from gentoomuch_portage import console, files, profiles
from gentoomuch_portage.cli import Command, audit
from gentoomuch_portage.cli.columns import columns
from gentoomuch_portage.cli.errors import NoProfileSet
from gentoomuch_portage.cli.parser import Parser, group, listing, profile_named, profiled
from gentoomuch_portage.settings import Settings


def _remotely(parser: Parser) -> None:
    parser.add_argument("--remote", action="store_true", help="also what binhosts offer; fetches their indexes")


def _add_ls(parser: Parser) -> None:
    listing(parser)
    _remotely(parser)
    parser.add_argument("--profile", metavar="NAME", help="of this profile alone; of all where left out")
    parser.add_argument("atom", nargs="?", metavar="ATOM", help="only what matches; all where left out")


def _ls(settings: Settings, args: argparse.Namespace) -> int:
    names = (args.profile,) if args.profile else profiles.names(settings)
    if not names:
        raise NoProfileSet(names)
    rows: dict[str, dict[str, Any]] = {}
    for name in names:
        for one in _judged(settings, name, args.atom, remote=args.remote):
            offer = one.offer.binpkg
            row = rows.setdefault(offer.name, {**_identity(one), "runs_on": [], "refused": {}})
            if one.verdict.accept:
                row["runs_on"].append(name)
            else:
                row["refused"][name] = one.verdict.reason
    if args.json:
        console.say_json(list(rows.values()))
    elif rows:
        cells = [(key, *(_mark(row, name) for name in names), row["flags"]) for key, row in sorted(rows.items())]
        console.say(columns(("binary package", *names, "built with"), cells))
    elif not args.quiet:
        console.tell("no binary packages are on offer")
    return 0


def _mark(row: dict[str, Any], name: str) -> str:
    return console.good("runs") if name in row["runs_on"] else console.bad("no") if name in row["refused"] else "-"


def _identity(one: Any) -> dict[str, Any]:
    """What names an instance, as every ``--json`` of this command does."""
    offer = one.offer.binpkg
    return {"cpv": offer.cpv, "build_id": offer.build_id, "where": offer.where, "flags": one.flags}


def _judged(settings: Settings, name: str, atom: str | None, *, remote: bool, signatures: bool = False) -> list[Any]:
    from gentoomuch_portage import shelf
    from gentoomuch_portage.view import looked_at

    with looked_at(settings, name) as view:
        return shelf.judged(view.plan, settings, atom, remote=remote, signatures=signatures)


def _add_why(parser: Parser) -> None:
    listing(parser)
    _remotely(parser)
    profiled(parser)
    parser.add_argument("atom", metavar="CPV", help="a package, with or without version and build-id")


def _why(settings: Settings, args: argparse.Namespace) -> int:
    name = profile_named(settings, args)
    found = _judged(settings, name, args.atom, remote=args.remote, signatures=True)
    if args.json:
        console.say_json([_row(one, name) for one in found])
        return 0
    for one in found:
        console.say(
            f"{console.heading(one.offer.binpkg.name)}  {worded(one)}  {console.faint(_identity(one)['where'])}"
        )
        for code, text in one.reasons:
            console.say(f"    {code}: {text}")
        if not one.offer.signature.against:
            console.say(console.faint(f"    signature: {one.offer.signature.text}"))
    return 0


def worded(one: Any) -> str:
    """What a run that needs an instance does with it."""
    if one.taken:
        return console.good("may be taken, once unmasked" if one.reasons else "may be taken")
    return console.bad("not taken")


def _row(one: Any, profile: str) -> dict[str, Any]:
    code, reason = one.reasons[0] if one.reasons else ("runs", "")
    return {
        **_identity(one),
        "cpu": profile,
        "verdict": "accept" if one.taken else "reject",
        "code": code,
        "reason": reason,
        "signature": one.offer.signature.state,
        "missing": list(one.verdict.missing),
        "reasons": [{"code": code, "reason": text} for code, text in one.reasons],
        "unmasks": sorted(one.lifted),
    }


def _add_mask(parser: Parser) -> None:
    profiled(parser)
    parser.add_argument("--write", metavar="FILE", type=Path, help="write them there instead of printing them")


def _mask_lines(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage import masks

    text = masks.text(settings, profile_named(settings, args))
    if args.write is None:
        console.say(text.rstrip("\n"))
        return 0
    above = args.write.absolute().parent
    if above.name == "package.mask" and above.parent.is_dir():  # where a host has none yet, this is how it is asked for
        files.ensure(above)
    files.send(args.write, text)
    if not args.quiet:
        console.tell(f"{masks.count(text)} masks in {args.write}")
    return 0


def command() -> Command:
    """The command with its commands."""
    return group(
        "binpkg",
        "say which binary package runs where, and why not",
        (
            Command("ls", "list binary packages, and which profiles run them", _add_ls, _ls),
            Command("why", "say for each instance why it would not be taken", _add_why, _why),
            Command("audit", "say which instruction sets stand in machine code", audit.add_audit, audit.audit),
            Command("mask", "print masks that keep plain emerge from what a CPU cannot run", _add_mask, _mask_lines),
        ),
    )


COMMAND = command()
