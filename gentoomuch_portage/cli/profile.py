"""``gentoomuch profile``: the machines, and what is known about each.

``gentoomuch profile adopt``: another machine's /etc/portage becomes a layer and a profile.

``gentoomuch profile rm``: put a profile's file aside, and remove what is known of it where that is asked for.

``gentoomuch profile diff | lint | env | run``: what works on a profile that is composed.
"""

import argparse
import os
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gentoomuch_portage import console, fs
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.errors import BadUsage, ProfileExists
from gentoomuch_portage.cli.output import columns
from gentoomuch_portage.cli.parser import Parser, chosen, group, listing, named
from gentoomuch_portage.config import profile as config_profile
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import BadFile, GmError, SystemRefuses, UnknownProfile

if TYPE_CHECKING:
    from gentoomuch_portage.emerge.profile_view import View
    from gentoomuch_portage.reports.lint import Finding


def _add_adopt(parser: Parser) -> None:
    listing(parser)
    parser.add_argument("source", metavar="[HOST:]DIR", help="its /etc/portage: a folder here, or one that ssh reaches")
    parser.add_argument("name", metavar="NAME", help="the name of the new profile and of its layer")
    parser.add_argument("--root", metavar="DIR", help="where it is built; left out: /srv/roots/NAME")


def _work_adopt(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.config import import_etc

    name = config_profile.valid(args.name, "profile")
    file = settings.config / "profiles" / f"{name}.toml"
    if file.exists():
        raise ProfileExists(name, file)
    adopted = import_etc.adopt(args.source, settings.config / "layers" / name)
    root = args.root or f"/srv/roots/{name}"
    fs.write(file, import_etc.profile_text(name, args.source, adopted, root))
    if args.json:
        console.say_json({"name": name, "file": file, "files": adopted.taken, "left": list(adopted.left)})
    elif not args.quiet:
        for why in adopted.left:
            console.warn(f"not taken: {why}")
        console.tell(f"wrote {file}, and {adopted.taken} files to {settings.config / 'layers' / name}")
        console.tell(f"next: gentoomuch profile lint {name}")
    return 0


ADOPT = Command("adopt", "make a profile of another machine's /etc/portage, here or by ssh", _add_adopt, _work_adopt)


def _add_rm(parser: Parser) -> None:
    told = "also its ledger, history and kept fresh roots, for good; they stay where left out"
    parser.add_argument("--with-state", action="store_true", help=told)
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("name", metavar="NAME", help="the profile")


def _work_rm(settings: Settings, args: argparse.Namespace) -> int:
    name, known = args.name, config_profile.names(settings)
    file, state = settings.config / "profiles" / f"{name}.toml", settings.state / name
    if name not in known:
        raise UnknownProfile(name, known)
    root = _root(settings, name)
    _agreed(args, f"put {file} aside?", str(file))
    if args.with_state and state.is_dir():
        config_profile.valid(name, "profile")
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
        profile = config_profile.read(settings, name)
    except GmError:
        return None
    return profile.root if profile.foreign else None


def _remove(settings: Settings, name: str) -> None:
    """Remove the state of a profile, where nobody works in one of its fresh roots."""
    from contextlib import ExitStack

    from gentoomuch_portage.containers import root_lock
    from gentoomuch_portage.roots import manage

    state = settings.state / name
    manage.unmounted(state)
    with ExitStack() as held:
        for one in manage.kept(settings, name):
            held.enter_context(root_lock.alone(state / "roots" / one))
        manage.clear(state)


def _put_aside(file: Path) -> Path:
    """Give a file a name that is no profile's."""
    names = (file.with_name(f"{file.name}.removed{f'-{number}' if number else ''}") for number in count())
    aside = next(one for one in names if not one.exists())
    file.rename(aside)
    return aside


def _unset(settings: Settings, name: str) -> None:
    if settings.chosen == name:
        (settings.state / "profile").unlink(missing_ok=True)


RM = Command("rm", "put a profile aside; with --with-state remove what is known of it, too", _add_rm, _work_rm)


def _add_diff(parser: Parser) -> None:
    parser.add_argument("left", metavar="NAME", help="a profile")
    parser.add_argument("right", metavar="OTHER", help="the profile that it is compared with")


def _diff(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.emerge.profile_view import looked_at
    from gentoomuch_portage.reports import diff

    paint = {"+": console.good, "-": console.bad, "@": console.faint}
    with looked_at(settings, args.left) as left, looked_at(settings, args.right) as right:
        for line in diff.between(left, right):
            console.say(paint.get(line[:1], str)(line))
    return 0


def _add_lint(parser: Parser) -> None:
    listing(parser)
    parser.add_argument("name", nargs="?", metavar="NAME", help="the profile; all of them where left out")


def _lint(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.reports import lint

    if args.name:
        config_profile.read(settings, args.name)  # one that is named and cannot be read is an error, no finding
    names = (args.name,) if args.name else config_profile.names(settings)
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
    from gentoomuch_portage.emerge.profile_view import environment

    return {"GM_HOST": str(settings.host.parents[1]), **environment(view)}


def _env(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.emerge.profile_view import looked_at

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
    from gentoomuch_portage.emerge.profile_view import looked_at
    from gentoomuch_portage.process import become

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
        names = config_profile.names(settings)
        console.say_json(names) if args.json else console.say_each(names)
        return 0
    found = [_row(settings, name) for name in config_profile.names(settings)]
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
        profile = config_profile.read(settings, name)
    except GmError as error:
        return {**told, **dict.fromkeys(_KEYS), "error": error.message}
    return {**told, **{key: str(getattr(profile, key)) for key in _KEYS}}


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    if "error" in row:
        return ("", "", "", console.bad(row["error"]))
    return row["cpu"] or "-", row["root"], row["isolation"], row["make_profile"] or "the host's"


def _ls_gentoo(settings: Settings, args: argparse.Namespace) -> int:
    from dataclasses import asdict

    from gentoomuch_portage.portage_adapter import gentoo_profiles

    by = gentoo_profiles.reader()
    found = gentoo_profiles.offers(settings.host.parent.parent, by)
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
    from gentoomuch_portage.config import origins
    from gentoomuch_portage.emerge.profile_view import looked_at
    from gentoomuch_portage.reports import lint

    name = chosen(settings, args)
    values = origins.values(settings, name)
    with looked_at(settings, name) as view:
        found = lint.contradictions(view) + lint.shared_root(settings, name)
        configroot, sources = view.plan.configroot, view.sources
    if args.json:
        said = {one.key: {"value": one.value, "where": one.where} for one in values}
        layers = [{"name": one.name, "folder": str(one.folder)} for one in sources]
        told = {"name": name, "configroot": configroot, "values": said, "layers": layers}
        console.say_json({**told, "findings": [as_data(one) for one in found]})
        return 0
    console.say(console.heading(f"profile {name}"))
    console.say(columns(("key", "value", "from"), [(one.key, _toml(one.value), one.where) for one in values]))
    console.say(f"\n{console.heading('layers')}, the last one wins")
    console.say(columns(("name", "folder"), [(one.name, str(one.folder)) for one in sources]))
    console.say(f"\n{console.heading('composed')} {configroot}/etc/portage")
    for one in found:
        console.say(f"\n{as_text(one)}")
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
            fs.write(place, "")
    else:
        fs.write(place, f"{config_profile.read(settings, args.name).name}\n")
    if not args.quiet:
        console.tell(f"gm-emerge builds for profile {args.name}" if args.name else "no profile is set")
    return 0


def _add_add(parser: Parser) -> None:
    parser.add_argument("name", metavar="NEW", help="the name of the new profile")
    parser.add_argument("--from", dest="other", metavar="OTHER", help="copy another profile")


def _new(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.config import profile as config_profile

    file = settings.config / "profiles" / f"{config_profile.valid(args.name, 'profile')}.toml"
    text = _copied(settings, args.other) if args.other else config_profile.text(args.name)
    for folder in ("profiles", "layers", "patches"):
        fs.ensure(settings.config / folder)
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError as error:
        raise ProfileExists(args.name, file) from error
    if not args.quiet:
        console.tell(f"made {file}; next: edit it, then gentoomuch profile set {args.name}")
    return 0


def _copied(settings: Settings, other: str) -> str:
    file = settings.config / "profiles" / f"{config_profile.valid(other, 'profile')}.toml"
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UnknownProfile(other, config_profile.names(settings)) from error
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
        ADOPT,
        RM,
        *COMMANDS,
    ),
)
