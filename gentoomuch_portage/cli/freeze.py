"""``gentoomuch freeze``, ``verify`` and ``thaw``: a profile in one signed file."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gentoomuch_portage import console
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.output import columns
from gentoomuch_portage.cli.parser import Parser, chosen, listing, named, one_stdout
from gentoomuch_portage.config.settings import Settings

if TYPE_CHECKING:
    from gentoomuch_portage.freeze.archive import Manifest


def _add_freeze(parser: Parser) -> None:
    named(parser)
    parser.add_argument("file", metavar="FILE", help="the archive that is written: a .tar; - is stdout")
    parser.add_argument("--redact", action="store_true", help="write REDACTED in the place of secrets")
    parser.add_argument("--unsigned", action="store_true", help="do not sign it; thaw has to be told so, too")
    listing(parser)


def _freeze(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage import fs
    from gentoomuch_portage.binhost import keys
    from gentoomuch_portage.freeze import archive, collect, signature, transaction

    _refuse_profile(settings, args)
    one_stdout("gentoomuch freeze", Path(args.file), args)
    transaction.finish(settings)
    name = chosen(settings, args)
    key = None if args.unsigned else keys.key(settings)
    found = collect.gathered(settings, name, redact=args.redact)
    members = signature.sealed(name, list(found.members), key)
    content = archive.written(members, args.file)
    fs.send(Path(args.file), content)
    signed = key.fingerprint if key else ""
    if args.json:
        told = {"profile": name, "file": args.file, "members": len(members), "bytes": len(content)}
        console.say_json({**told, "key": signed, "redacted": list(found.redacted)})
    elif not args.quiet:
        for one in found.redacted:
            console.warn(f"redacted: {one}")
        console.tell(
            f"{args.file}: profile {name}, {len(members)} files, {f'signed by {signed}' if signed else 'unsigned'}"
        )
    return 0


def _refuse_profile(settings: Settings, args: argparse.Namespace) -> None:
    """One word is a FILE, of the profile that is set; a profile's name was meant for NAME.

    Raises:
        BadUsage: it is one.
    """
    from gentoomuch_portage.cli.errors import BadUsage
    from gentoomuch_portage.config import profile

    only = args.file
    if args.name is None and only in profile.names(settings):
        told = f"FILE is missing: {only!r} is a profile"
        remedy = f"gentoomuch freeze {only} {only}.tar; for a file of that name: ./{only}"
        raise BadUsage("gentoomuch freeze", told, remedy=remedy)


def _answering(parser: Parser) -> None:
    parser.add_argument("file", metavar="FILE", type=Path, help="the archive; - is stdin")
    told = (
        "fingerprint of the key that must have signed it, or a file with that key; asked for at a terminal if unknown"
    )
    parser.add_argument("--key", metavar="KEY", default="", help=told)
    parser.add_argument("--unsigned", action="store_true", help="take one that nobody has signed")
    listing(parser)


def _opened(settings: Settings, args: argparse.Namespace) -> "Manifest":
    """The archive; the keys of archives that were thawed here before are known."""
    from gentoomuch_portage.config import profile
    from gentoomuch_portage.freeze import thaw_record, transaction
    from gentoomuch_portage.freeze.open import opened

    transaction.finish(settings)
    records = [thaw_record.read(settings, one) for one in profile.names(settings)]
    known = frozenset(one.key for one in records if one is not None and one.key)
    return opened(settings, args.file, asked=args.key, unsigned=args.unsigned, known=known)


def _add_verify(parser: Parser) -> None:
    _answering(parser)
    parser.add_argument("--profile", metavar="NAME", help="the profile here; the one of the same name where left out")
    parser.add_argument("--diff", action="store_true", help="show what differs in each file")


def _verify(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.freeze import collect
    from gentoomuch_portage.freeze.verify import drift, unified

    found = _opened(settings, args)
    name = args.profile or _here(settings, found)
    here = collect.gathered(settings, name, redact=True)
    changes = drift(found.members, here.members, thawed=here.thawed)
    if args.json:
        rows = [{"path": one.path, "change": one.change, "diff": "\n".join(unified(one))} for one in changes]
        told = {"profile": name, "frozen": found.profile, "key": found.key, "same": not changes}
        console.say_json({**told, "changes": rows})
    elif args.diff:
        for one in changes:
            console.say_each(map(_painted, unified(one)))
    elif changes:
        console.say(columns(("", "file"), [(one.change, one.path) for one in changes]))
    elif not args.quiet:
        console.tell(f"profile {name} is as it was frozen in {args.file}")
    return int(bool(changes))


def _here(settings: Settings, found: "Manifest") -> str:
    """The profile that an archive is held against: the one of its name, otherwise the one that it was thawed as."""
    from gentoomuch_portage.config import profile
    from gentoomuch_portage.freeze import thaw_record

    names = profile.names(settings)
    if found.profile in names:
        return found.profile
    thawed = ((one, thaw_record.read(settings, one)) for one in names)
    return next((one for one, told in thawed if told is not None and told.digest == found.digest), found.profile)


def _painted(line: str) -> str:
    paint: dict[str, Any] = {"+": console.good, "-": console.bad, "@": console.faint}
    return str(paint.get(line[:1], str)(line))


def _add_thaw(parser: Parser) -> None:
    _answering(parser)
    parser.add_argument("--as", dest="name", metavar="NAME", help="the name of the profile; the frozen one if left out")
    parser.add_argument("--replace", action="store_true", help="replace what is there already")
    parser.add_argument("--keep-world", action="store_true", help="leave the world files of this machine alone")
    parser.add_argument("--anyway", action="store_true", help="though repositories are missing or at another revision")


def _thaw(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.freeze import thaw, transaction
    from gentoomuch_portage.freeze.errors import RepositoriesDiffer

    found = _opened(settings, args)
    name, file = args.name or found.profile, str(args.file)
    differ = thaw.repositories(settings, found, file)
    if differ and not args.anyway:
        raise RepositoriesDiffer(differ)
    with transaction.alone(settings):
        plan = thaw.ready(settings, found, file, name=name, world=not args.keep_world)
        thaw.install(settings, plan, replace=args.replace)
    others = thaw.notes(settings, found, file)
    if args.json:
        told = {"profile": name, "key": found.key, "repositories": differ, "notes": others}
        console.say_json({**told, "replaced": [str(one) for one in plan.taken]})
    elif not args.quiet:
        for one in (*differ, *others):
            console.warn(one)
        console.tell(f"profile {name} is here: gm-emerge --gm-profile={name} -p @world")
    return 0


COMMANDS = (
    Command("freeze", "write all that makes a profile into one signed file", _add_freeze, _freeze),
    Command("verify", "show where a profile is no longer as it was frozen", _add_verify, _verify),
    Command("thaw", "install a frozen profile on this machine", _add_thaw, _thaw),
)
