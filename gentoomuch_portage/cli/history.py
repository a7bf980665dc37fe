# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch history``: past runs and running jobs."""

import argparse
import contextlib
import io
import re
import textwrap
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gentoomuch_portage import console, history
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.errors import bad_usage
from gentoomuch_portage.cli.output import format_table
from gentoomuch_portage.cli.parser import Parser, add_json_option
from gentoomuch_portage.config import profile
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import unknown_profile
from gentoomuch_portage.events.estimate import format_duration
from gentoomuch_portage.history import Run

_UNITS = {"h": 3600, "d": 86400, "w": 7 * 86400}
_PHASES = 3
"""Number of phases shown per package, the longest first."""
_COLUMNS = 40
"""Columns for emerge's arguments, and for names of packages; --json has all of them."""


def _add(parser: Parser) -> None:
    add_json_option(parser)
    parser.add_argument("--profile", metavar="NAME", help="only this profile (default: all)")
    parser.add_argument("--since", metavar="WHEN", help="a date (2026-11-21) or an age (12h, 7d, 4w) (default: all)")
    parser.add_argument("--now", action="store_true", help='show running jobs; requires FEATURES="observability"')
    parser.add_argument("--all", action="store_true", help="include runs that changed nothing, such as --pretend")
    parser.add_argument("cpv", nargs="?", metavar="CPV", help="show builds of this package, with or without a version")


def _work(settings: Settings, args: argparse.Namespace) -> int:
    if args.now:
        return _running(args)
    names = _names(settings, args.profile)
    since = _since(args.since)
    every = (run for state in settings.states for name in names for run in history.read_runs(state, name))
    runs = sorted(every, key=lambda run: run.at)
    runs = [run for run in runs if run.at >= since]
    runs = runs if args.all or args.cpv else list(_changing(runs))
    rows = [
        (run, package)
        for run in runs
        for package in run.packages
        if not args.cpv or matches_package(args.cpv, package["cpv"])
    ]
    if args.json:
        console.print_json([package_data(package) for _, package in rows] if args.cpv else [_run(run) for run in runs])
    elif args.cpv and rows:
        console.print_result(format_builds(package for _, package in rows))
    elif runs and not args.cpv:
        console.print_result(format_table(_HEADS, [_cells(run) for run in runs]))
    elif not args.quiet:
        console.info(f"nothing recorded{f' for {args.cpv}' if args.cpv else ''}")
    return 0


def _names(settings: Settings, name: str | None) -> Iterable[str]:
    """Return the profiles to show; a removed profile may still have a record.

    Raises:
        UsageError[unknown-profile]: neither a profile nor a record has that name.
    """
    recorded = sorted({name for state in settings.states for name in history.list_profiles(state)})
    known = {*recorded, *profile.names(settings)}
    if name and name not in known:
        raise unknown_profile(name, known)
    return (name,) if name else recorded


def _changing(runs: Iterable[Run]) -> Iterator[Run]:
    """Yield the runs that may have changed installed packages, including those that failed early."""
    known: dict[tuple[str, ...], bool] = {}
    for run in runs:
        if run.goal in {"enter", "rollback"}:
            known[run.arguments] = True
        if not run.planned and run.arguments not in known:
            known[run.arguments] = not _TELLING & {*run.arguments} and _changes(run.arguments)
        if run.planned or known[run.arguments]:
            yield run


def _changes(words: tuple[str, ...]) -> bool:
    from gentoomuch_portage.portage_adapter import emerge_arguments

    with (
        contextlib.redirect_stderr(io.StringIO()),
        contextlib.suppress(SystemExit),
    ):  # emerge's own error, for an invalid option
        return emerge_arguments.parse(words).changes
    return False


_TELLING = frozenset({"-p", "-pv", "--pretend", "-s", "--search", "--info", "-h", "--help", "-V", "--version"})
"""Options that never change anything; emerge's own parser decides about others, which is slow."""
_HEADS = ("when", "profile", "emerge", "packages", "result", "took", "status")


def _cells(run: Run) -> tuple[str, ...]:
    words, names = (
        textwrap.shorten(text, _COLUMNS, placeholder=" ...") or "-"
        for text in (" ".join(run.arguments), " ".join([package["cpv"] for package in run.packages] or run.planned))
    )
    return format_time(run.at), run.profile, words, names, _count(run), format_duration(run.seconds), _ended(run)


def _count(run: Run) -> str:
    """``2 built, 1 from binpkg, 1 failed, of 5``."""
    if not run.planned:
        return "-"
    good = [package for package in run.packages if not package["status"]]
    built = sum(package["source"] != "binpkg" for package in good)
    counts = {"built": built, "from binpkg": len(good) - built, "failed": len(run.packages) - len(good)}
    verb = {"built": "fetched"} if run.goal == "fetch" else {}
    counted = ", ".join(f"{number} {verb.get(name, name)}" for name, number in counts.items() if number) or "none"
    return counted if len(run.packages) == len(run.planned) else f"{counted}, of {len(run.planned)}"


def _ended(run: Run) -> str:
    if run.status is None:
        return console.bad("running or killed")
    return console.good("success") if run.status == 0 else console.bad(f"failed ({run.status})")


def _run(run: Run) -> dict[str, Any]:
    """Return a run as ``--json`` prints it."""
    return {
        "run": run.run,
        "at": run.at,
        "profile": run.profile,
        "arguments": run.arguments,
        "goal": run.goal,
        "status": run.status,
        "seconds": run.seconds,
        "planned": run.planned,
        "packages": [package_data(package) for package in run.packages],
        "rejected": dict(run.rejected),
        "unmasked": list(run.unmasked),
    }


def package_data(package: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recorded package as ``--json`` prints it."""
    return {key: value for key, value in package.items() if key not in {"event", "slot"}}


def format_builds(packages: Iterable[Mapping[str, Any]]) -> str:
    """Format recorded packages as a table."""
    return format_table(
        ("when", "profile", "package", "from", "took", "longest", "status"), [_build(package) for package in packages]
    )


def _build(build: Mapping[str, Any]) -> tuple[str, ...]:
    longest = sorted(build["phases"].items(), key=lambda phase: -phase[1])[:_PHASES]
    phases = ", ".join(f"{name} {format_duration(seconds)}" for name, seconds in longest)
    source = f"{build['source']} {build['build_id']}" if build["build_id"] else build["source"]
    ended = console.bad(f"failed ({build['status']})") if build["status"] else console.good("success")
    return (
        format_time(build["at"]),
        build["profile"],
        build["cpv"],
        source,
        format_duration(build["seconds"]),
        phases,
        ended,
    )


def matches_package(name: str, cpv: str) -> bool:
    """Match a name to a package: ``cat/pkg-1.0``, ``pkg-1.0``, ``cat/pkg`` or ``pkg``, with or without ``=``."""
    from gentoomuch_portage.portage_adapter import atoms

    cp = atoms.package_of(cpv)
    return name.lstrip("=~") in {cpv, cpv.partition("/")[2], cp, cp.partition("/")[2]}


def format_time(at: float) -> str:
    """Format a time as ``2026-11-21 14:05``, in this machine's time zone."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))


def _since(text: str | None) -> float:
    """Parse ``--since`` into seconds since 1970.

    Raises:
        UsageError[usage]: it is invalid.
    """
    if text is None:
        return 0
    if match := re.fullmatch(r"(\d+)([hdw])", text):
        return time.time() - int(match[1]) * _UNITS[match[2]]
    try:
        return time.mktime(time.strptime(text, "%Y-%m-%d"))
    except ValueError as error:
        failure = bad_usage("gentoomuch history", f"--since {text}: not a date (2026-11-21) or an age (12h, 7d, 4w)")
        raise failure.with_correction(text, "7d") from error


def _running(args: argparse.Namespace) -> int:
    from gentoomuch_portage.portage_adapter import observability

    jobs = observability.jobs()
    if args.json:
        console.print_json([job._asdict() for job in jobs])
    elif jobs:
        rows = [
            (str(job.process), f"{job.done} of {job.total}", job.cpv, job.phase, format_duration(job.seconds))
            for job in jobs
        ]
        console.print_result(format_table(("emerge", "done", "package", "phase", "for"), rows))
    elif not args.quiet:
        console.info('no running jobs found; emerge reports them with FEATURES="observability"')
    return 0


COMMAND = Command("history", "show what each run merged, from where, and how long it took", _add, _work)
