"""``gentoomuch profile``: the machines, and what is known about each."""

import argparse
from typing import Any

from gentoomuch_portage import console, files, profiles
from gentoomuch_portage.cli import Command, profile_adopt, profile_rm, profile_whole
from gentoomuch_portage.cli.columns import columns
from gentoomuch_portage.cli.errors import ProfileExists
from gentoomuch_portage.cli.parser import Parser, chosen, group, listing, named
from gentoomuch_portage.errors import BadFile, GmError, UnknownProfile
from gentoomuch_portage.settings import Settings

_KEYS = ("make_profile", "cpu", "root", "isolation")


def _add_ls(parser: Parser) -> None:
    listing(parser)
    one_of = parser.add_mutually_exclusive_group()
    one_of.add_argument("--names", action="store_true", help="print names alone, a line each")
    one_of.add_argument("--gentoo", action="store_true", help="list the make_profiles that the repositories offer")


def _ls(settings: Settings, args: argparse.Namespace) -> int:
    if args.gentoo:
        return _ls_gentoo(settings, args)
    if args.names:
        names = profiles.names(settings)
        console.say_json(names) if args.json else console.say_each(names)
        return 0
    found = [_row(settings, name) for name in profiles.names(settings)]
    if args.json:
        console.say_json(found)
    elif found:
        rows = [("*" if one["set"] else " ", one["name"], *_cells(one)) for one in found]
        console.say(columns(("", "name", "cpu", "root", "isolation", "make_profile"), rows))
    elif not args.quiet:
        console.tell(f"no profiles in {settings.config / 'profiles'}; make one: gentoomuch profile add NAME")
    return 0


def _row(settings: Settings, name: str) -> dict[str, Any]:
    """A profile as ``--json`` lists it; one that cannot be read has its error besides, and nulls."""
    told = {"name": name, "set": name == settings.chosen}
    try:
        profile = profiles.read(settings, name)
    except GmError as error:
        return {**told, **dict.fromkeys(_KEYS), "error": error.message}
    return {**told, **{key: str(getattr(profile, key)) for key in _KEYS}}


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    if "error" in row:
        return ("", "", "", console.bad(row["error"]))
    return row["cpu"] or "-", row["root"], row["isolation"], row["make_profile"] or "the host's"


def _ls_gentoo(settings: Settings, args: argparse.Namespace) -> int:
    from dataclasses import asdict

    from gentoomuch_portage import make_profiles

    by = make_profiles.reader()
    found = make_profiles.offers(settings.host.parent.parent, by)
    if args.json:
        console.say_json([asdict(one) for one in found])
        return 0
    rows = [
        (f"{one.repository}:{one.path}", one.arch, one.status, console.bad("deprecated") if one.deprecated else "")
        for one in found
    ]
    console.say(columns(("make_profile", "arch", "stability", ""), rows))
    return 0


def _add_show(parser: Parser) -> None:
    listing(parser)
    named(parser)


def _show(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage import lint, origins
    from gentoomuch_portage.view import looked_at

    name = chosen(settings, args)
    values = origins.values(settings, name)
    with looked_at(settings, name) as view:
        found = lint.contradictions(view) + lint.shared_root(settings, name)
        configroot, sources = view.plan.configroot, view.sources
    if args.json:
        said = {one.key: {"value": one.value, "where": one.where} for one in values}
        layers = [{"name": one.name, "folder": str(one.folder)} for one in sources]
        told = {"name": name, "configroot": configroot, "values": said, "layers": layers}
        console.say_json({**told, "findings": [profile_whole.as_data(one) for one in found]})
        return 0
    console.say(console.heading(f"profile {name}"))
    console.say(columns(("key", "value", "from"), [(one.key, _toml(one.value), one.where) for one in values]))
    console.say(f"\n{console.heading('layers')}, the last one wins")
    console.say(columns(("name", "folder"), [(one.name, str(one.folder)) for one in sources]))
    console.say(f"\n{console.heading('composed')} {configroot}/etc/portage")
    for one in found:
        console.say(f"\n{profile_whole.as_text(one)}")
    return 0


def _toml(value: object) -> str:
    """A value as TOML writes it."""
    import json

    return json.dumps(value, ensure_ascii=False)


def _add_set(parser: Parser) -> None:
    one_of = parser.add_mutually_exclusive_group(required=True)
    one_of.add_argument("name", nargs="?", metavar="NAME", help="the profile")
    one_of.add_argument("--unset", action="store_true", help="set none: gm-emerge is plain emerge again")


def _set(settings: Settings, args: argparse.Namespace) -> int:
    place = settings.state / "profile"
    if args.unset:
        place.unlink(missing_ok=True)
        if settings.chosen:  # by root; a file of one's own that names none beats that
            files.write(place, "")
    else:
        files.write(place, f"{profiles.read(settings, args.name).name}\n")
    if not args.quiet:
        console.tell(f"gm-emerge builds for profile {args.name}" if args.name else "no profile is set")
    return 0


def _add_add(parser: Parser) -> None:
    parser.add_argument("name", metavar="NEW", help="the name of the new profile")
    parser.add_argument("--from", dest="other", metavar="OTHER", help="copy another profile")


def _new(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage import template

    file = settings.config / "profiles" / f"{profiles.valid(args.name, 'profile')}.toml"
    text = _copied(settings, args.other) if args.other else template.text(args.name)
    for folder in ("profiles", "layers", "patches"):
        files.ensure(settings.config / folder)
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError as error:
        raise ProfileExists(args.name, file) from error
    if not args.quiet:
        console.tell(f"made {file}; next: edit it, then gentoomuch profile set {args.name}")
    return 0


def _copied(settings: Settings, other: str) -> str:
    file = settings.config / "profiles" / f"{profiles.valid(other, 'profile')}.toml"
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UnknownProfile(other, profiles.names(settings)) from error
    except UnicodeDecodeError as error:
        raise BadFile(file, 0, str(error)) from error


COMMAND = group(
    "profile",
    "list, show, set and compare the profiles of machines",
    (
        Command("ls", "list the profiles, or what Gentoo offers as make_profile", _add_ls, _ls),
        Command(
            "show", "show what is in force, where each value comes from, and what contradicts it", _add_show, _show
        ),
        Command("set", "choose the profile that gm-emerge builds for", _add_set, _set),
        Command("add", "write a new profile", _add_add, _new),
        profile_adopt.COMMAND,
        profile_rm.COMMAND,
        *profile_whole.COMMANDS,
    ),
)
