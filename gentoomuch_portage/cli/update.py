# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch update``: sync once, then update the root of each profile."""

import argparse
import shlex
import signal
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple

from gentoomuch_portage import console, fs
from gentoomuch_portage.cli import sync
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.errors import bad_usage
from gentoomuch_portage.cli.output import format_table
from gentoomuch_portage.cli.parser import Parser, add_json_option, require_profile, require_profiles
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import Busy, GmError
from gentoomuch_portage.startup import LazyModule

if TYPE_CHECKING:
    from gentoomuch_portage.binpkg_filter import cpu
    from gentoomuch_portage.containers import root_lock
    from gentoomuch_portage.emerge import forked
    from gentoomuch_portage.emerge.forked import ForkedRun
else:
    cpu = LazyModule("gentoomuch_portage.binpkg_filter.cpu")
    forked = LazyModule("gentoomuch_portage.emerge.forked")
    root_lock = LazyModule("gentoomuch_portage.containers.root_lock")

_INTERRUPTED = {status for number in (signal.SIGINT, signal.SIGTERM) for status in (-number, 128 + number)}
"""Statuses of a run that Ctrl-C or SIGTERM ended."""


class _Result(NamedTuple):
    """What happened to a profile."""

    profile: str
    state: str
    """``success``, ``failed``, ``interrupted`` or ``not run``."""
    status: int = 0
    """Exit status of the run."""
    merged: int = 0
    counts: Mapping[str, int] = Counter()
    """Number of packages by source: built, binpkg."""
    failed: Sequence[str] = ()
    """The packages (cpv) that failed."""
    reason: str = ""
    resumable: bool = False
    """Whether ``--resume`` continues an interrupted run."""
    seconds: float = 0


def update_running(holder: str) -> Busy:
    """Another ``gentoomuch update`` has not ended yet."""
    return Busy(
        f"cannot update: another gentoomuch update is running; {holder}",
        code="update-running",
        hint="wait until it has ended, then try again",
    )


def _add(parser: Parser) -> None:
    parser.set_defaults(becomes="options of emerge")
    add_json_option(parser)
    parser.add_argument("names", nargs="*", metavar="NAME", help="profiles (default: the active profile)")
    parser.add_argument("--all", action="store_true", help="all profiles")
    parser.add_argument("-p", "--pretend", action="store_true", help="only print what would be done; does not sync")
    parser.add_argument("--keep-going", action="store_true", help="continue after failures, also with other profiles")
    parser.add_argument("--no-sync", action="store_true", help="do not sync the repositories")


def _work(settings: Settings, args: argparse.Namespace) -> int:
    if args.all and args.names:
        error = bad_usage("gentoomuch update", "--all cannot be combined with names of profiles")
        raise error.with_correction("--all")
    args.names = args.names if args.names or args.all else [require_profile(settings, argparse.Namespace(name=None))]
    profiles = require_profiles(settings, args)
    with nullcontext() if args.pretend else _lock(settings), console.results_apart(apart=args.json):
        results = _update_all(settings, profiles, args)
    if args.json:
        console.print_json([_as_data(result) for result in results])
    elif not args.quiet:
        _print(results, pretend=args.pretend)
    interrupted = next((index for index, result in enumerate(results) if result.state == "interrupted"), None)
    if interrupted is not None:
        _print_continuation(results[interrupted:])
        return results[interrupted].status
    return next((result.status for result in results if result.status), 0)


@contextmanager
def _lock(settings: Settings) -> Iterator[None]:
    """Hold the lock that only one update has.

    Raises:
        Busy[update-running]: another update has it.
    """
    with ExitStack() as held:
        try:
            held.enter_context(root_lock.exclusive(fs.ensure(settings.state)))
        except Busy as error:
            raise update_running(error.message) from error
        yield


def _update_all(settings: Settings, profiles: Sequence[str], args: argparse.Namespace) -> list[_Result]:
    """Sync, then update each profile, until one fails."""
    results: list[_Result] = []
    if not (args.pretend or args.no_sync):
        status = sync.sync_profiles(settings, profiles, quiet=args.quiet, skip_invalid=args.keep_going)
        if status:
            results.append(_Result("", "failed", status, reason="a repository could not be synced"))
    with ExitStack() as stack:
        updates = []
        for name in profiles:
            try:
                updates.append(stack.enter_context(closing(_prepare(settings, name, args))))
            except GmError as error:
                if not args.keep_going:
                    raise
                console.warning(f"profile {name!r} is not updated: {error.message}", error.hint)
                results.append(_Result(name, "failed", error.status, reason=error.message))
        updates.sort(key=lambda update: (update.features, update.profile))
        _run_all(updates, results, args)
    return results


def _run_all(updates: "Sequence[_Update]", results: list[_Result], args: argparse.Namespace) -> None:
    """Update profiles one after the other, and add the results to those of before."""
    stopped = bool(results) and not args.keep_going
    for number, update in enumerate(updates, 1):
        name = update.profile
        if stopped:
            results.append(_Result(name, "not run"))
            continue
        position = f"{name} ({number} of {len(updates)})"
        if not args.quiet:
            console.info(console.heading(f"update of profile {position}"))
        results.append(_run(update, position))
        stopped = results[-1].state == "interrupted" or (results[-1].state == "failed" and not args.keep_going)


class _Update(NamedTuple):
    """A run that updates a profile."""

    run: "ForkedRun"
    features: int
    """Number of CPU features of the profile. Profiles for the weakest CPUs come first: others can run their builds."""

    @property
    def profile(self) -> str:
        """The profile."""
        return self.run.prepared.plan.profile

    def close(self) -> None:
        """Release the configroots."""
        self.run.prepared.close()


def _prepare(settings: Settings, name: str, args: argparse.Namespace) -> _Update:
    """Prepare ``gm-emerge --gm-profile=NAME -uDN @world``.

    Raises:
        GmError: the profile is invalid.
    """
    options = (
        *(["--pretend"] if args.pretend else []),
        *(["--quiet"] if args.quiet else []),
        *(["--keep-going"] if args.keep_going else []),
    )
    words = ("--update", "--deep", "--newuse", *options, *args.behind, "@world")
    run = forked.ForkedRun.prepare(settings, name, words)
    plan = run.prepared.plan
    return _Update(run, len(cpu.find_cpu_of_root(plan.root, plan, settings.cache).features))


def _run(update: _Update, position: str) -> _Result:
    """Run emerge for a profile in a fork: it keeps its state in memory."""
    began = time.monotonic()
    try:
        status = update.run.run({"GM_UPDATE_POSITION": position})
    except KeyboardInterrupt as signalled:
        status = -getattr(signalled, "number", signal.SIGINT)
    return _summarize(update.profile, status, update.run.read_events(), time.monotonic() - began)


def _summarize(name: str, status: int, events: Sequence[Mapping[str, Any]], seconds: float) -> _Result:
    """Return the result of a run from its status and its events."""
    packages = [event for event in events if event["event"] == "package"]
    resolved = [event for event in events if event["event"] == "resolved"]
    done = [package for package in packages if not package["status"]]
    failed = [package["cpv"] for package in packages if package["status"]]
    state = "interrupted" if status in _INTERRUPTED else "failed" if status else "success"
    return _Result(
        profile=name,
        state=state,
        status=128 - status if status < 0 else status,
        merged=len(done) if resolved and resolved[-1]["goal"] == "merge" else 0,
        counts=Counter("binpkg" if package["source"] == "binpkg" else "built" for package in done),
        failed=failed,
        reason=_explain(status, failed, events) if state == "failed" else "",
        resumable=state == "interrupted" and bool(resolved and resolved[-1]["merges"]),
        seconds=seconds,
    )


def _explain(status: int, failed: Sequence[str], events: Sequence[Mapping[str, Any]]) -> str:
    """Return why a run failed."""
    if status < 0:
        return f"signal {-status} ended emerge"
    phases = {event["cpv"]: event["phase"] for event in events if event["event"] == "phase-ended"}
    # The task of a package contains its phases, and ends after them.
    phases |= {
        event["cpv"]: event["phase"] for event in events if event["event"] == "phase-ended" and event["phase"] != "task"
    }
    texts = [f"{cpv} failed{f' in {phases[cpv]}' if phases.get(cpv, 'task') != 'task' else ''}" for cpv in failed]
    return ", ".join(texts) or f"emerge ended with {status} before it built anything"


def _print(results: Sequence[_Result], *, pretend: bool) -> None:
    heads = ("profile", "result", "merged", "built", "from binary packages", "failed", "time")
    shown = 2 if pretend else len(heads)
    rows = [_cells(result)[:shown] for result in results if result.profile]
    console.print_result(format_table(heads[:shown], rows))
    for result in results:
        if result.reason:
            console.warning(f"{result.profile}: {result.reason}" if result.profile else result.reason)


def _cells(result: _Result) -> tuple[str, ...]:
    if result.state == "not run":
        return result.profile, console.bad("not run"), *("-" * 5)
    outcome = console.bad(f"{result.state} ({result.status})") if result.status else console.good(result.state)
    counts = (result.merged, result.counts["built"], result.counts["binpkg"], len(result.failed))
    return result.profile, outcome, *map(str, counts), f"{result.seconds:.0f} s"


def _as_data(result: _Result) -> dict[str, Any]:
    return {
        "profile": result.profile,
        "state": result.state,
        "status": result.status,
        "merged": result.merged,
        "built": result.counts["built"],
        "from_binpkg": result.counts["binpkg"],
        "failed": list(result.failed),
        "reason": result.reason,
        "seconds": round(result.seconds, 3),
    }


def _print_continuation(results: Sequence[_Result]) -> None:
    """Print the commands that continue an interrupted update.

    Args:
        results: that of the interrupted profile, and those of the profiles after it.
    """
    first, *others = results
    console.warning(f"update interrupted at profile {first.profile}")
    names = [result.profile for result in others]
    if first.resumable:
        console.info(f"gentoomuch:     hint: gm-emerge --gm-profile={shlex.quote(first.profile)} --resume")
    else:
        names.insert(0, first.profile)
    if names:
        console.info(f"gentoomuch:     hint: gentoomuch update --no-sync {shlex.join(names)}")


COMMAND = Command("update", "sync once, then update the roots of profiles", _add, _work)
