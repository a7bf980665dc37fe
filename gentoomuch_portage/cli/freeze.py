# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch freeze``, ``verify`` and ``thaw``: store a profile in one signed file, and install it."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gentoomuch_portage import console
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.output import format_table
from gentoomuch_portage.cli.parser import (
    Parser,
    add_json_option,
    add_profile_argument,
    check_single_stdout,
    require_profile,
)
from gentoomuch_portage.config.settings import Settings

if TYPE_CHECKING:
    from gentoomuch_portage.freeze.archive import Manifest


def _add_freeze(parser: Parser) -> None:
    add_profile_argument(parser)
    parser.add_argument("file", metavar="FILE", help="archive to write, a .tar; - is stdout")
    parser.add_argument("--redact", action="store_true", help="replace secrets by REDACTED")
    parser.add_argument(
        "--unsigned", action="store_true", help="do not sign the archive; thaw requires --unsigned, too"
    )
    add_json_option(parser)


def _freeze(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage import fs
    from gentoomuch_portage.binhost import keys
    from gentoomuch_portage.config import profile
    from gentoomuch_portage.freeze import archive, collect, signature, transaction

    _refuse_profile(settings, args)
    check_single_stdout("gentoomuch freeze", Path(args.file), args)
    transaction.finish(settings)
    name = require_profile(settings, args)
    profile.read(settings, name)  # a wrong name creates no key
    key = None if args.unsigned else keys.ensure_key(settings)
    collected = collect.collect_profile(settings, name, redact=args.redact)
    members = signature.add_manifest(name, list(collected.members), key)
    content = archive.pack_archive(members, args.file)
    fs.send(Path(args.file), content)
    signed = key.fingerprint if key else ""
    if args.json:
        summary = {"profile": name, "file": args.file, "members": len(members), "bytes": len(content)}
        console.print_json({**summary, "key": signed, "redacted": list(collected.redacted)})
    elif not args.quiet:
        for path in collected.redacted:
            console.warning(f"redacted: {path}")
        console.info(
            f"{args.file}: profile {name}, {len(members)} files, {f'signed by {signed}' if signed else 'unsigned'}"
        )
    return 0


def _refuse_profile(settings: Settings, args: argparse.Namespace) -> None:
    """Reject a single argument that names a profile: it would be taken as FILE.

    Raises:
        UsageError[usage]: it does.
    """
    from gentoomuch_portage.cli.errors import bad_usage
    from gentoomuch_portage.config import profile

    only = args.file
    if args.name is None and only in profile.names(settings):
        message = f"FILE is missing: {only!r} is the name of a profile"
        hint = f"gentoomuch freeze {only} {only}.tar"
        raise bad_usage("gentoomuch freeze", message, hint=hint).with_correction(only, only, f"{only}.tar")


def _add_archive_arguments(parser: Parser) -> None:
    parser.add_argument("file", metavar="FILE", type=Path, help="archive; - is stdin")
    text = "fingerprint or file of the key that signed it (default: a known key, or ask on the terminal)"
    parser.add_argument("--key", metavar="KEY", default="", help=text)
    parser.add_argument("--unsigned", action="store_true", help="accept an archive without a signature")
    add_json_option(parser)


def _open_archive(settings: Settings, args: argparse.Namespace) -> "Manifest":
    """Open the archive; keys of archives that were thawed before are known."""
    from gentoomuch_portage.config import profile
    from gentoomuch_portage.freeze import thaw_record, transaction
    from gentoomuch_portage.freeze.signature import open_archive

    transaction.finish(settings)
    records = [thaw_record.read_record(settings, name) for name in profile.names(settings)]
    known = frozenset(record.key for record in records if record is not None and record.key)
    return open_archive(settings, args.file, expected=args.key, unsigned=args.unsigned, known=known)


def _add_verify(parser: Parser) -> None:
    _add_archive_arguments(parser)
    parser.add_argument(
        "--profile", metavar="NAME", help="profile to compare with (default: the one with the same name)"
    )
    parser.add_argument("--diff", action="store_true", help="show a diff of each file")


def _verify(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.freeze import collect
    from gentoomuch_portage.freeze.verify import find_changes, unified_diff

    manifest = _open_archive(settings, args)
    name = args.profile or _find_profile(settings, manifest)
    here = collect.collect_profile(settings, name, redact=True)
    changes = find_changes(manifest.members, here.members, thawed=here.thawed)
    if args.json:
        rows = [
            {"path": change.path, "change": change.change, "diff": "\n".join(unified_diff(change))}
            for change in changes
        ]
        summary = {"profile": name, "frozen": manifest.profile, "key": manifest.key, "same": not changes}
        console.print_json({**summary, "changes": rows})
    elif args.diff:
        for change in changes:
            console.print_results(map(_colour_line, unified_diff(change)))
    elif changes:
        console.print_result(format_table(("", "file"), [(change.change, change.path) for change in changes]))
    elif not args.quiet:
        console.info(f"profile {name} equals {args.file}")
    return int(bool(changes))


def _find_profile(settings: Settings, manifest: "Manifest") -> str:
    """Return the profile to compare: the one with the archive's name, otherwise the one thawed from it."""
    from gentoomuch_portage.config import profile
    from gentoomuch_portage.freeze import thaw_record

    names = profile.names(settings)
    if manifest.profile in names:
        return manifest.profile
    thawed = ((name, thaw_record.read_record(settings, name)) for name in names)
    return next(
        (
            name
            for name, thawed_record in thawed
            if thawed_record is not None and thawed_record.digest == manifest.digest
        ),
        manifest.profile,
    )


def _colour_line(line: str) -> str:
    paint: dict[str, Any] = {"+": console.good, "-": console.bad, "@": console.faint}
    return str(paint.get(line[:1], str)(line))


def _add_thaw(parser: Parser) -> None:
    _add_archive_arguments(parser)
    parser.add_argument("--as", dest="name", metavar="NAME", help="name of the new profile (default: the frozen name)")
    parser.add_argument("--replace", action="store_true", help="replace existing files")
    parser.add_argument("--keep-world", action="store_true", help="do not change the world files of this machine")
    parser.add_argument(
        "--anyway", action="store_true", help="continue if repositories are missing or have another revision"
    )


def _thaw(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.freeze import thaw, transaction
    from gentoomuch_portage.freeze.errors import repositories_differ

    manifest = _open_archive(settings, args)
    name, file = args.name or manifest.profile, str(args.file)
    differ = thaw.check_repositories(settings, manifest, file)
    if differ and not args.anyway:
        raise repositories_differ(differ)
    with transaction.locked(settings):
        plan = thaw.make_plan(settings, manifest, file, name=name, world=not args.keep_world)
        thaw.install(settings, plan, replace=args.replace)
    others = thaw.list_notes(settings, manifest, file)
    if args.json:
        summary = {"profile": name, "key": manifest.key, "repositories": differ, "notes": others}
        console.print_json({**summary, "replaced": [str(path) for path in plan.taken]})
    elif not args.quiet:
        for note in (*differ, *others):
            console.warning(note)
        console.info(f"profile {name} installed; next: gm-emerge --gm-profile={name} -p @world")
    return 0


COMMANDS = (
    Command("freeze", "store a profile in one signed file", _add_freeze, _freeze),
    Command("verify", "compare a profile with a frozen one", _add_verify, _verify),
    Command("thaw", "install a frozen profile on this machine", _add_thaw, _thaw),
)
