# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch profile``: list, create, compare, check, use and remove profiles."""

import argparse
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gentoomuch_portage import console, fs
from gentoomuch_portage.cli import profile_change
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.errors import bad_usage, profile_exists
from gentoomuch_portage.cli.output import format_table, report_fallback_state
from gentoomuch_portage.cli.parser import Parser, add_json_option, add_profile_argument, group_commands, require_profile
from gentoomuch_portage.config import edit, schema
from gentoomuch_portage.config import profile as config_profile
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import GmError, MachineError, ProgramFailed, UsageError, unknown_profile

if TYPE_CHECKING:
    from gentoomuch_portage.config.import_etc import Adopted
    from gentoomuch_portage.emerge.profile_view import View
    from gentoomuch_portage.reports.lint import Finding


def _add_adopt(parser: Parser) -> None:
    add_json_option(parser)
    parser.add_argument("source", metavar="[HOST:]DIR", help="directory /etc/portage of the machine, local or by ssh")
    parser.add_argument("name", metavar="NAME", help="name of the new profile and its layer")
    parser.add_argument("--root", metavar="DIR", help="root of the profile (default: /srv/roots/NAME)")
    text = "its CPU (default: if its files have -march=native, ask by ssh)"
    parser.add_argument("--cpu", metavar="CPU", default="", help=text)


def _work_adopt(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.config import import_etc

    name = config_profile.valid(args.name, "profile")
    file = settings.config / "profiles" / f"{name}.toml"
    if file.exists():
        raise profile_exists(name, file)
    adopted = import_etc.adopt(args.source, settings.config / "layers" / name)
    root = args.root or f"/srv/roots/{name}"
    cpu = args.cpu or _cpu_of(settings, args.source, adopted)
    fs.write(file, import_etc.profile_text(name, args.source, adopted, root, cpu))
    if args.json:
        summary = {"name": name, "file": file, "files": adopted.taken, "skipped": list(adopted.skipped), "cpu": cpu}
        lists = {"missing": adopted.missing, "changed": adopted.changed, "native": adopted.native}
        console.print_json({**summary, **{key: list(lines) for key, lines in lists.items()}})
    elif not args.quiet:
        for why in adopted.skipped:
            console.warning(f"skipped: {why}")
        for what in adopted.changed:
            console.info(f"changed: {what}")
        if cpu:
            console.info(f"cpu = {cpu!r}")
        elif adopted.native:
            console.warning(
                f"the CPU of that machine is unknown, and {adopted.native[0]} has -march=native: "
                f"set cpu in {file} before you use it"
            )
        console.info(f"wrote {file}, and {adopted.taken} files to {settings.config / 'layers' / name}")
        if adopted.missing:
            console.warning(f"incomplete: the machine reads {len(adopted.missing)} of the skipped files")
        console.info(f"next: gentoomuch profile lint {name}")
    return 1 if adopted.missing else 0


def _cpu_of(settings: Settings, source: str, adopted: "Adopted") -> str:
    """Return the CPU of a machine whose files have ``native``; empty if they do not, or if it is unknown."""
    from gentoomuch_portage.config import import_etc
    from gentoomuch_portage.isa import machine

    return machine.find_name(*import_etc.query_cpu(source), settings.cache) if adopted.native else ""


ADOPT = Command("adopt", "import another machine's /etc/portage as a profile", _add_adopt, _work_adopt)


def _add_rm(parser: Parser) -> None:
    text = "also delete its ledger, history and saved fresh roots"
    parser.add_argument("--with-state", action="store_true", help=text)
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("name", metavar="NAME", help="profile")


def _work_rm(settings: Settings, args: argparse.Namespace) -> int:
    name, known = args.name, config_profile.names(settings)
    file, state = settings.config / "profiles" / f"{name}.toml", settings.state / name
    if name not in known:
        raise unknown_profile(name, known)
    root = _root(settings, name)
    _ask(args, f"Remove the profile {name} (rename {file})?", str(file))
    if args.with_state and state.is_dir():
        config_profile.valid(name, "profile")
        _ask(args, f"Remove {state} and its contents?", str(state))
        _remove(settings, name)
    aside = _put_aside(file)
    _unset(settings, name)
    if args.quiet:
        return 0
    console.info(f"renamed the file of the profile to {aside}")
    if state.is_dir():
        console.info(f"its ledger, history and fresh roots remain in {state}; --with-state removes them")
    if root is not None and root.is_dir():
        console.info(f"its root {root} remains")
    return 0


def _ask(args: argparse.Namespace, question: str, what: str) -> None:
    """Ask for confirmation, unless ``--yes`` is given.

    Raises:
        UsageError[not-confirmed]: nobody said yes.
    """
    from gentoomuch_portage.roots.errors import not_confirmed

    if not (args.yes or console.confirm(question)):
        raise not_confirmed(what)


def _root(settings: Settings, name: str) -> Path | None:
    """Return the separate root of a profile; None if it has none, or if the profile is invalid."""
    try:
        profile = config_profile.read(settings, name)
    except GmError:
        return None
    return profile.root if profile.foreign else None


def _remove(settings: Settings, name: str) -> None:
    """Remove the state of a profile, with exclusive locks on its fresh roots."""
    from contextlib import ExitStack

    from gentoomuch_portage.containers import root_lock
    from gentoomuch_portage.roots import manage

    state = settings.state / name
    manage.check_unmounted(state)
    with ExitStack() as held:
        for root in manage.kept_roots(settings, name):
            held.enter_context(root_lock.exclusive(state / "roots" / root))
        manage.clear(state)


def _put_aside(file: Path) -> Path:
    """Rename the file of a profile to a name that is not a profile, and return it."""
    names = (file.with_name(f"{file.name}.removed{f'-{number}' if number else ''}") for number in count())
    aside = next(name for name in names if not name.exists())
    file.rename(aside)
    return aside


def _unset(settings: Settings, name: str) -> None:
    if settings.chosen == name:
        fs.unlink(settings.state / "profile")


def _add_update(parser: Parser) -> None:
    parser.add_argument("-p", "--pretend", action="store_true", help="print the changes and write nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("name", nargs="?", metavar="NAME", help="profile (default: all)")


def _update(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.emerge.profile_view import load_view
    from gentoomuch_portage.reports import moves

    count = 0
    for name in (args.name,) if args.name else config_profile.names(settings):
        with load_view(settings, name) as view:
            update = moves.find_update(view, settings)
        count += bool(update)
        console.print_results(moves.format_diff(update))
        if update and not args.pretend:
            if not (args.yes or console.confirm(f"Write these changes for profile {name}?")):
                raise not_updated(name)
            moves.write(update)
    if not (count or args.quiet):
        console.info("no moved packages")
    return 0


def not_updated(name: str) -> UsageError:
    """The new names of moved packages were not written, because the user did not confirm it."""
    what = f"files of profile {name} not written: not confirmed"
    return UsageError(what, code="not-updated", hint=f"gentoomuch profile update {name} --yes")


UPDATE = Command(
    "update", "write the new names of moved packages to layers, patch sets and ledger", _add_update, _update
)
RM = Command("rm", "remove a profile; with --with-state, its state, too", _add_rm, _work_rm)


def _add_diff(parser: Parser) -> None:
    parser.add_argument("left", metavar="NAME", help="first profile")
    parser.add_argument("right", metavar="OTHER", help="second profile")


def _diff(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.emerge.profile_view import load_view
    from gentoomuch_portage.reports import diff

    paint = {"+": console.good, "-": console.bad, "@": console.faint}
    with load_view(settings, args.left) as left, load_view(settings, args.right) as right:
        for line in diff.diff_profiles(left, right):
            console.print_result(paint.get(line[:1], str)(line))
    return 0


def _add_lint(parser: Parser) -> None:
    add_json_option(parser)
    parser.add_argument("name", nargs="?", metavar="NAME", help="profile (default: all)")


def _lint(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.reports import lint

    if args.name:
        config_profile.read(settings, args.name)  # an invalid profile that is named is an error, not a finding
    names = (args.name,) if args.name else config_profile.names(settings)
    findings = lint.lint_profiles(settings, names)
    if args.json:
        console.print_json([as_data(finding) for finding in findings])
    else:
        for finding in findings:
            console.print_result(f"{finding.profile}: {as_text(finding)}")
        if not findings and not args.quiet:
            console.info(f"no findings: {', '.join(names) or 'no profiles'}")
    return int(bool(findings))


def as_data(finding: "Finding") -> dict[str, Any]:
    """Return a finding as ``--json`` prints it."""
    places = [{"file": str(place.file), "line": place.line} for place in finding.places]
    return {"profile": finding.profile, "kind": finding.kind, "message": finding.text, "places": places}


def as_text(finding: "Finding") -> str:
    """Format a finding, with its places as FILE:LINE below."""
    return "\n".join([f"{finding.text}  [{finding.kind}]", *(f"    {place}" for place in finding.places)])


def _edit(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.process import run_interactive

    name = require_profile(settings, args)
    file = settings.config / "profiles" / f"{config_profile.valid(name, 'profile')}.toml"
    if not file.exists():
        raise unknown_profile(name, config_profile.names(settings))
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    argv = [*shlex.split(editor), str(file)]
    if status := run_interactive(argv, os.environ):
        raise ProgramFailed(argv, status, "", hint="set VISUAL or EDITOR to another editor")
    return _lint(settings, argparse.Namespace(name=name, json=False, quiet=args.quiet))


def _set_key(settings: Settings, args: argparse.Namespace) -> int:
    file, changed = profile_change.set_key(settings, args.name, args.key, args.value)
    if not args.quiet:
        console.info(f"wrote {file}" if changed else f"{file} has this value already")
    return _lint(settings, argparse.Namespace(name=args.name, json=False, quiet=True))


def _environment(settings: Settings, view: "View") -> dict[str, str]:
    """Return the environment of Portage's programs, and GM_HOST for our own."""
    from gentoomuch_portage.emerge.profile_view import environment

    return {"GM_HOST": str(settings.host.parents[1]), **environment(view)}


@contextmanager
def _load_guarded_view(settings: Settings, name: str) -> "Iterator[View]":
    """Load a profile for other programs; they cannot merge packages into this system that its CPU cannot run.

    Raises:
        CpuUnnamed: the profile is for another machine, and its CPU is not named.
    """
    from gentoomuch_portage.emerge import own_cpu
    from gentoomuch_portage.emerge.profile_view import load_view

    with load_view(settings, name) as view:
        excess = own_cpu.find_excess_anywhere(view.plan, settings)
        if excess is None:
            yield view
            return
    with load_view(settings, name, [("own-cpu", own_cpu.Guard(excess))]) as view:
        yield view


def _env(settings: Settings, args: argparse.Namespace) -> int:
    with _load_guarded_view(settings, require_profile(settings, args)) as view:
        for name, value in sorted(_environment(settings, view).items()):
            quoted = value.replace("'", "'\\''")
            console.print_result(f"export {name}='{quoted}'")
    return 0


def _add_run(parser: Parser) -> None:
    add_profile_argument(parser)
    parser.usage = "gentoomuch profile run [NAME] -- COMMAND..."
    parser.set_defaults(becomes=True)


def _run(settings: Settings, args: argparse.Namespace) -> int:

    from gentoomuch_portage.emerge import own_cpu
    from gentoomuch_portage.process import become

    if not args.behind:
        error = bad_usage("gentoomuch profile run", "the command is missing: gentoomuch profile run NAME -- COMMAND...")
        raise error.with_correction("", "--", "emerge", "--info")
    with _load_guarded_view(settings, require_profile(settings, args)) as view:
        if Path(args.behind[0]).name == "emerge":  # before anything is built
            own_cpu.check(view.plan, settings, args.behind[1:])
        env = {**os.environ, **_environment(settings, view)}
        for lock in view.locks:
            os.set_inheritable(lock, True)  # the configroot is in use as long as the command runs
        try:
            return become(args.behind, env)
        except OSError as error:
            raise MachineError(f"{args.behind[0]}: {error.strerror}", code="system") from error


COMMANDS = (
    Command("diff", "compare the composed configurations of two profiles", _add_diff, _diff),
    Command("lint", "find contradictions between layers", _add_lint, _lint),
    Command("env", 'print the environment of a profile for a shell, for eval "$(...)"', add_profile_argument, _env),
    Command("run", "run a command in the environment of a profile", _add_run, _run),
)


_KEYS = ("make_profile", "cpu", "root", "isolation")


def _add_ls(parser: Parser) -> None:
    add_json_option(parser)
    one_of = parser.add_mutually_exclusive_group()
    one_of.add_argument("--names", action="store_true", help="print only names, one per line")
    one_of.add_argument("--gentoo", action="store_true", help="list the values for make_profile in the repositories")


def _ls(settings: Settings, args: argparse.Namespace) -> int:
    if args.gentoo:
        return _ls_gentoo(settings, args)
    if args.names:
        names = config_profile.names(settings)
        console.print_json(names) if args.json else console.print_results(names)
        return 0
    profiles = [_row(settings, name) for name in config_profile.names(settings)]
    if args.json:
        console.print_json(profiles)
    elif profiles:
        rows = [("*" if row["set"] else " ", row["name"], *_cells(row)) for row in profiles]
        console.print_result(format_table(("", "name", "cpu", "root", "isolation", "make_profile"), rows))
    elif not args.quiet:
        console.info(f"no profiles in {settings.config / 'profiles'}; add one: gentoomuch profile add NAME --here")
    return 0


def _row(settings: Settings, name: str) -> dict[str, Any]:
    """Return a profile as ``--json`` lists it; an invalid one has its error, and nulls."""
    row = {"name": name, "set": name == settings.chosen}
    try:
        profile = config_profile.read(settings, name)
    except GmError as error:
        return {**row, **dict.fromkeys(_KEYS), "error": error.message}
    return {**row, **{key: str(getattr(profile, key)) for key in _KEYS}}


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    if "error" in row:
        return ("", "", "", console.bad(row["error"]))
    return row["cpu"] or "-", row["root"], row["isolation"], row["make_profile"] or "the host's"


def _ls_gentoo(settings: Settings, args: argparse.Namespace) -> int:
    from dataclasses import asdict

    from gentoomuch_portage.portage_adapter import gentoo_profiles

    by = gentoo_profiles.reader()
    candidates = gentoo_profiles.offers(settings.host.parent.parent, by)
    if args.json:
        console.print_json([asdict(candidate) for candidate in candidates])
        return 0
    rows = [
        (
            f"{candidate.repository}:{candidate.path}",
            candidate.arch,
            candidate.status,
            console.bad("deprecated") if candidate.deprecated else "",
        )
        for candidate in candidates
    ]
    console.print_result(format_table(("make_profile", "arch", "stability", ""), rows))
    return 0


def _add_show(parser: Parser) -> None:
    add_json_option(parser)
    add_profile_argument(parser)


def _show(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.config import origins
    from gentoomuch_portage.emerge.profile_view import load_view
    from gentoomuch_portage.reports import lint

    name = require_profile(settings, args)
    values = origins.values(settings, name)
    with load_view(settings, name) as view:
        findings = lint.find_contradictions(view) + lint.find_shared_root(settings, name)
        configroot, sources = view.plan.configroot, view.sources
    if args.json:
        by_key = {value.key: {"value": value.value, "where": value.where} for value in values}
        layers = [{"name": source.name, "folder": str(source.folder)} for source in sources]
        summary = {"name": name, "configroot": configroot, "values": by_key, "layers": layers}
        console.print_json({**summary, "findings": [as_data(finding) for finding in findings]})
        return 0
    console.print_result(console.heading(f"profile {name}"))
    console.print_result(
        format_table(("key", "value", "from"), [(value.key, _toml(value.value), value.where) for value in values])
    )
    console.print_result(f"\n{console.heading('layers')}, later ones win")
    console.print_result(format_table(("name", "folder"), [(source.name, str(source.folder)) for source in sources]))
    console.print_result(f"\n{console.heading('composed')} {configroot}/etc/portage")
    for finding in findings:
        console.print_result(f"\n{as_text(finding)}")
    return 0


def _toml(value: object) -> str:
    """Format a value as TOML."""
    import json

    return json.dumps(value, ensure_ascii=False)


def _add_set(parser: Parser) -> None:
    one_of = parser.add_mutually_exclusive_group(required=True)
    one_of.add_argument("name", nargs="?", metavar="NAME", help="profile")
    one_of.add_argument("--unset", action="store_true", help="unset it: gm-emerge works as plain emerge")


def _set(settings: Settings, args: argparse.Namespace) -> int:
    place = settings.state / "profile"
    if args.unset:
        fs.unlink(place)
        if settings.chosen:  # set by root; an empty file of the user overrides it
            fs.write(place, "")
    else:
        fs.write(place, f"{config_profile.read(settings, args.name).name}\n")
    if not args.quiet:
        console.info(f"gm-emerge builds for profile {args.name}" if args.name else "no profile is active")
        report_fallback_state(settings)
    return 0


def _add_add(parser: Parser) -> None:
    parser.add_argument("name", metavar="NEW", help="name of the new profile")
    parser.add_argument("--from", dest="other", metavar="OTHER", help="copy another profile, except its root")
    root = parser.add_mutually_exclusive_group(required=True)
    root.add_argument("--root", metavar="DIR", type=_absolute, help="merge packages into this directory")
    text = "merge packages into this machine"
    root.add_argument("--here", dest="root", action="store_const", const="/", help=text)


def _absolute(path: str) -> str:
    return str(Path(path).absolute())


def _new(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.config import profile as config_profile

    file = settings.config / "profiles" / f"{config_profile.valid(args.name, 'profile')}.toml"
    text = _copied(settings, args.other) if args.other else config_profile.text(args.name)
    text = edit.set_value(text, "root", args.root)
    for folder in ("profiles", "layers", "patches"):
        fs.ensure(settings.config / folder)
    try:
        fs.create(file, text)
    except FileExistsError as error:
        raise profile_exists(args.name, file) from error
    if not args.quiet:
        console.info(
            f"wrote {file}; next: gentoomuch profile edit {args.name}, then gentoomuch profile set {args.name}"
        )
    return 0


def _copied(settings: Settings, other: str) -> str:
    file = settings.config / "profiles" / f"{config_profile.valid(other, 'profile')}.toml"
    if not file.is_file():
        raise unknown_profile(other, config_profile.names(settings))
    schema.load(file, schema.PROFILE)
    return file.read_text(encoding="utf-8")


COMMAND = group_commands(
    "profile",
    "manage the profiles of machines",
    (
        Command("ls", "list profiles, or the values for make_profile", _add_ls, _ls),
        Command("show", "show the values of a profile, their origins and contradictions", _add_show, _show),
        Command("set", "set the active profile", _add_set, _set),
        Command("add", "add a profile", _add_add, _new),
        Command("edit", "edit a profile with VISUAL or EDITOR, and lint it", add_profile_argument, _edit),
        Command("set-key", "set a key of a profile, and lint it", profile_change.add_set_key_arguments, _set_key),
        ADOPT,
        UPDATE,
        Command(
            "rename",
            "rename a profile with its state and its commands NAME-emerge",
            profile_change.add_rename_arguments,
            profile_change.rename,
        ),
        RM,
        *COMMANDS,
    ),
)
