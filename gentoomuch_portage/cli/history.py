"""``gentoomuch history``: what each run did, and what is under way."""

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
from gentoomuch_portage.cli.errors import BadUsage
from gentoomuch_portage.cli.output import columns
from gentoomuch_portage.cli.parser import Parser, listing
from gentoomuch_portage.config import profile
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import UnknownProfile
from gentoomuch_portage.events.estimate import spoken
from gentoomuch_portage.history import Run

_UNITS = {"h": 3600, "d": 86400, "w": 7 * 86400}
_PHASES = 3
"""So many phases of a package are told, those that took longest."""
_WORDS = 40
"""Columns for emerge's words; --json has all."""


def _add(parser: Parser) -> None:
    listing(parser)
    parser.add_argument("--profile", metavar="NAME", help="of this profile alone; of all where left out")
    parser.add_argument("--since", metavar="WHEN", help="a day, 2026-11-21, or 12h, 7d, 4w ago; all where left out")
    parser.add_argument("--now", action="store_true", help='what runs now; of runs with FEATURES="observability"')
    parser.add_argument("--all", action="store_true", help="also runs that only told something, as --pretend does")
    parser.add_argument("cpv", nargs="?", metavar="CPV", help="builds of a package, with or without version")


def _work(settings: Settings, args: argparse.Namespace) -> int:
    if args.now:
        return _running(args)
    names = _names(settings, args.profile)
    since = _since(args.since)
    every = (run for state in settings.states for name in names for run in history.runs(state, name))
    found = sorted(every, key=lambda run: run.at)
    found = [run for run in found if run.at >= since]
    found = found if args.all or args.cpv else list(_changing(found))
    rows = [(run, one) for run in found for one in run.packages if not args.cpv or named(args.cpv, one["cpv"])]
    if args.json:
        console.say_json([told(one) for _, one in rows] if args.cpv else [_run(run) for run in found])
    elif args.cpv and rows:
        console.say(builds(one for _, one in rows))
    elif found and not args.cpv:
        console.say(columns(_HEADS, [_cells(run) for run in found]))
    elif not args.quiet:
        console.tell(f"nothing is recorded{f' of {args.cpv}' if args.cpv else ''}")
    return 0


def _names(settings: Settings, asked: str | None) -> Iterable[str]:
    """The profiles whose record is told; one that is gone may have left its own.

    Raises:
        UnknownProfile: there is neither a profile nor a record of that name.
    """
    recorded = sorted({name for state in settings.states for name in history.profiles(state)})
    known = {*recorded, *profile.names(settings)}
    if asked and asked not in known:
        raise UnknownProfile(asked, known)
    return (asked,) if asked else recorded


def _changing(runs: Iterable[Run]) -> Iterator[Run]:
    """Those that may have changed what is installed; one that failed before it knew what to merge is among them."""
    known: dict[tuple[str, ...], bool] = {}
    for run in runs:
        if not run.planned and run.words not in known:
            known[run.words] = not _TELLING & {*run.words} and _changes(run.words)
        if run.planned or known[run.words]:
            yield run


def _changes(words: tuple[str, ...]) -> bool:
    from gentoomuch_portage.portage_adapter import emerge

    with contextlib.redirect_stderr(io.StringIO()), contextlib.suppress(SystemExit):  # emerge's own, for a bad word
        return emerge.changes(words)
    return False


_TELLING = frozenset({"-p", "-pv", "--pretend", "-s", "--search", "--info", "-h", "--help", "-V", "--version"})
"""Words that change nothing whatever stands beside them; others are read by emerge itself, which takes its time."""
_HEADS = ("when", "profile", "emerge", "packages", "took", "ended")


def _cells(run: Run) -> tuple[str, ...]:
    words = textwrap.shorten(" ".join(run.words), _WORDS, placeholder=" ...")
    return when(run.at), run.profile, words, _packages(run), spoken(run.seconds), _ended(run)


def _packages(run: Run) -> str:
    """``2 built, 1 from binpkg, 1 failed, of 5``."""
    if not run.planned:
        return "-"
    good = [one for one in run.packages if not one["status"]]
    built = sum(one["source"] != "binpkg" for one in good)
    told = {"built": built, "from binpkg": len(good) - built, "failed": len(run.packages) - len(good)}
    verb = {"built": "fetched"} if run.goal == "fetch" else {}
    counted = ", ".join(f"{number} {verb.get(name, name)}" for name, number in told.items() if number) or "none"
    return counted if len(run.packages) == len(run.planned) else f"{counted}, of {len(run.planned)}"


def _ended(run: Run) -> str:
    if run.status is None:
        return console.bad("runs still, or was killed")
    return console.good("well") if run.status == 0 else console.bad(f"with {run.status}")


def _run(run: Run) -> dict[str, Any]:
    """A run as ``--json`` tells it."""
    return {
        "run": run.run,
        "at": run.at,
        "profile": run.profile,
        "words": run.words,
        "goal": run.goal,
        "status": run.status,
        "seconds": run.seconds,
        "planned": run.planned,
        "packages": [told(one) for one in run.packages],
        "refused": dict(run.refused),
        "unmasked": list(run.unmasked),
    }


def told(package: Mapping[str, Any]) -> dict[str, Any]:
    """A package of the record as ``--json`` tells it."""
    return {key: value for key, value in package.items() if key not in {"event", "slot"}}


def builds(packages: Iterable[Mapping[str, Any]]) -> str:
    """Packages of the record, for people."""
    return columns(
        ("when", "profile", "package", "from", "took", "longest", "ended"), [_build(one) for one in packages]
    )


def _build(one: Mapping[str, Any]) -> tuple[str, ...]:
    longest = sorted(one["phases"].items(), key=lambda phase: -phase[1])[:_PHASES]
    phases = ", ".join(f"{name} {spoken(seconds)}" for name, seconds in longest)
    source = f"{one['source']} {one['build_id']}" if one["build_id"] else one["source"]
    ended = console.bad(f"with {one['status']}") if one["status"] else console.good("well")
    return when(one["at"]), one["profile"], one["cpv"], source, spoken(one["seconds"]), phases, ended


def named(asked: str, cpv: str) -> bool:
    """Whether a user means a package: ``cat/pkg-1.0``, ``pkg-1.0``, ``cat/pkg`` or ``pkg``, with ``=`` or without."""
    from gentoomuch_portage.portage_adapter import config

    cp = config.package_of(cpv)
    return asked.lstrip("=~") in {cpv, cpv.partition("/")[2], cp, cp.partition("/")[2]}


def when(at: float) -> str:
    """``2026-11-21 14:05``, of this machine's time zone."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))


def _since(text: str | None) -> float:
    """Seconds since the epoch.

    Raises:
        BadUsage: it is no time.
    """
    if text is None:
        return 0
    if found := re.fullmatch(r"(\d+)([hdw])", text):
        return time.time() - int(found[1]) * _UNITS[found[2]]
    try:
        return time.mktime(time.strptime(text, "%Y-%m-%d"))
    except ValueError as error:
        raise BadUsage("gentoomuch history", f"--since {text}: neither a day, 2026-11-21, nor 12h, 7d, 4w") from error


def _running(args: argparse.Namespace) -> int:
    from gentoomuch_portage.portage_adapter import observability

    found = observability.jobs()
    if args.json:
        console.say_json([one._asdict() for one in found])
    elif found:
        rows = [
            (str(one.process), f"{one.done} of {one.total}", one.cpv, one.phase, spoken(one.seconds)) for one in found
        ]
        console.say(columns(("emerge", "done", "package", "phase", "for"), rows))
    elif not args.quiet:
        console.tell('nothing tells that it runs; emerge does with FEATURES="observability"')
    return 0


COMMAND = Command("history", "say what each run merged, from where, and how long it took", _add, _work)
