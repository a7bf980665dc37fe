# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch farm``: a queue of packages to build and publish on this machine."""

import argparse
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gentoomuch_portage import console
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.output import format_table
from gentoomuch_portage.cli.parser import Parser, add_json_option, group_commands
from gentoomuch_portage.config import profile
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import unknown_profile
from gentoomuch_portage.startup import LazyModule

if TYPE_CHECKING:
    from gentoomuch_portage.farm import environment, keeper, moves, planning, store
    from gentoomuch_portage.farm.jobs import Job, NewJob
else:
    environment = LazyModule("gentoomuch_portage.farm.environment")
    keeper = LazyModule("gentoomuch_portage.farm.keeper")
    moves = LazyModule("gentoomuch_portage.farm.moves")
    planning = LazyModule("gentoomuch_portage.farm.planning")
    store = LazyModule("gentoomuch_portage.farm.store")

_PAUSE = 0.5
"""Seconds between two looks at the attempts that run."""
_SHOWN = 12
"""Digits of a key in tables."""


def _folder(settings: Settings) -> Path:
    """Return the directory of the farm; no profile can have its name."""
    return settings.state / ".farm"


def _add_serve(parser: Parser) -> None:
    parser.add_argument("folder", metavar="DIR", type=Path, help="directory of the binhosts, one for each profile")
    text = "number of packages to build at once (default: 1)"
    parser.add_argument("--jobs", metavar="N", type=int, default=1, help=text)
    text = "exit when there is nothing left to build"
    parser.add_argument("--until-idle", action="store_true", help=text)


def _serve(settings: Settings, args: argparse.Namespace) -> int:
    with (
        environment.only_farm_environment(settings) as env,
        keeper.open_keeper(
            settings,
            program=("gentoomuch",),
            env=env,
            folder=_folder(settings),
            top=args.folder.absolute(),
            slots=max(1, args.jobs),
        ) as opened,
    ):
        known = {job.key: job for job in moves.list_jobs(opened.store)}
        while True:
            running = opened.step()
            known = _report_changes(known, moves.list_jobs(opened.store), _folder(settings))
            if not running and args.until_idle:
                return 0
            time.sleep(_PAUSE)


def _report_changes(before: Mapping[str, "Job"], jobs: Iterable["Job"], folder: Path) -> "dict[str, Job]":
    """Print each job whose state has changed, and return all of them by their keys."""
    after = {job.key: job for job in jobs}
    for job in after.values():
        if job.key in before and before[job.key].state == job.state:
            continue
        match job.state:
            case "leased":
                console.info(f"building {job.cpv} for {job.profile}")
            case "done":
                console.info(f"{job.cpv} is built")
            case "failed":
                console.warning(f"{job.cpv} failed: {job.code}; its output is in {folder / 'logs'}",
                    hint=f"gentoomuch farm retry {job.key[:_SHOWN]}")  # fmt: skip
    console.flush()
    return after


def _add_add(parser: Parser) -> None:
    add_json_option(parser)
    parser.add_argument("name", metavar="NAME", help="profile")
    parser.add_argument("atoms", nargs="+", metavar="ATOM", help="package; its best visible version is built")


def _add(settings: Settings, args: argparse.Namespace) -> int:
    if args.name not in (known := profile.names(settings)):
        raise unknown_profile(args.name, known)
    planned: dict[str, NewJob] = {}
    with console.results_apart(apart=True), environment.only_farm_environment(settings):
        for job in planning.plan_wishes(settings, args.name, args.atoms):
            planned.setdefault(job.key, job)
        with store.Store.open(_folder(settings)) as opened:
            moves.add(opened, args.name, [*planned.values()])
            jobs = [job for job in moves.list_jobs(opened) if job.key in planned]
    _print_jobs(jobs, as_json=args.json)
    return 0


def _list(settings: Settings, args: argparse.Namespace) -> int:
    with store.Store.open(_folder(settings)) as opened:
        jobs, is_paused = moves.list_jobs(opened), moves.is_paused(opened)
    if is_paused and not args.json:
        console.info("the farm is paused; to start it again: gentoomuch farm pause --off")
    _print_jobs(jobs, as_json=args.json)
    return 0


def _print_jobs(jobs: "list[Job] | tuple[Job, ...]", *, as_json: bool) -> None:
    if as_json:
        console.print_json([job._asdict() for job in jobs])
    elif jobs:
        rows = [(job.key[:_SHOWN], job.cpv, job.profile, str(job.state), job.code) for job in jobs]
        console.print_result(format_table(("job", "package", "profile", "state", "reason"), rows))


def _add_keys(parser: Parser) -> None:
    add_json_option(parser)
    parser.add_argument("jobs", nargs="+", metavar="JOB", help="job, or the first digits of its name")


def _change(change: Callable[[Any, str], None], settings: Settings, args: argparse.Namespace) -> int:
    with store.Store.open(_folder(settings)) as opened:
        keys = [moves.find_job(opened, start).key for start in args.jobs]
        for key in keys:
            change(opened, key)
        jobs = [job for job in moves.list_jobs(opened) if job.key in keys]
    _print_jobs(jobs, as_json=args.json)
    return 0


def _cancel(settings: Settings, args: argparse.Namespace) -> int:
    return _change(lambda opened, key: moves.cancel(opened, key), settings, args)


def _retry(settings: Settings, args: argparse.Namespace) -> int:
    return _change(lambda opened, key: moves.retry(opened, key), settings, args)


def _add_pause(parser: Parser) -> None:
    parser.add_argument("--off", action="store_true", help="start packages again")


def _pause(settings: Settings, args: argparse.Namespace) -> int:
    with store.Store.open(_folder(settings)) as opened:
        moves.pause(opened, paused=not args.off)
    return 0


COMMANDS: tuple[Command, ...] = (
    Command("serve", "build the packages of the queue, and publish them", _add_serve, _serve),
    Command("add", "add packages, and what their builds need, to the queue", _add_add, _add),
    Command("ls", "list the packages of the queue", add_json_option, _list),
    Command("cancel", "cancel packages that are not built yet", _add_keys, _cancel),
    Command("retry", "build packages again that failed or were cancelled", _add_keys, _retry),
    Command("pause", "start no further builds", _add_pause, _pause),
)
COMMAND = group_commands("farm", "build packages of a queue, and publish them as binhosts", COMMANDS)
