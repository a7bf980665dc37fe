"""``gentoomuch sync``: Portage's own sync, then a snapshot of each repository for containers."""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gentoomuch_portage import console
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.parser import Parser, in_force, profiled
from gentoomuch_portage.config.settings import Settings

if TYPE_CHECKING:
    from gentoomuch_portage.portage_adapter.config import Synced


def _add(parser: Parser) -> None:
    parser.add_argument("repositories", nargs="*", metavar="REPO", help="only these; all with auto-sync where left out")
    profiled(parser)
    told = "do not sync, only make snapshots of what is there, of repositories that are never synced as well"
    parser.add_argument("--only-snapshot", action="store_true", help=told)


def _work(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.configroot.prepare import lay
    from gentoomuch_portage.emerge import run as emerge_run
    from gentoomuch_portage.plan.request import Request
    from gentoomuch_portage.portage_adapter import config
    from gentoomuch_portage.roots import repo_snapshots

    profile = in_force(settings, args.profile)
    plan, _ = emerge_run.prepare(Request(words=(), said={}), settings, profile)
    plan, locks = lay(plan, settings)
    try:
        known = config.synced_repositories(Path(plan.configroot))
        asked = repo_snapshots.chosen(args.repositories, known, syncs=not args.only_snapshot)
        if not asked and not args.quiet:
            console.tell("no repository is to be synced: none has a sync-type, a sync-uri and auto-sync = yes")
        return max((_sync(settings, args, profile, one) for one in asked), default=0)
    finally:
        for lock in locks:
            os.close(lock)


def _sync(settings: Settings, args: argparse.Namespace, profile: str, repository: "Synced") -> int:
    """Sync one repository; where that fails, the snapshot that boxes see stays the last good one."""
    from gentoomuch_portage.errors import MissingProgram
    from gentoomuch_portage.roots import repo_snapshots

    try:
        with repo_snapshots.syncing(settings.cache, repository) as ended_well:
            if not args.only_snapshot and (status := _portages(settings, profile, repository.name, quiet=args.quiet)):
                raise _Failed(status)
            ended_well()
            taken = repo_snapshots.take(settings.cache, repository)
    except MissingProgram as error:
        console.warn(
            f"{repository.name}: no snapshot is made, containers see the folder: {error.message} ({error.remedy})"
        )
        return 0
    except _Failed as failed:
        console.warn(f"{repository.name} was not synced; containers see its last good snapshot, where there is one")
        return failed.status
    if not args.quiet:
        what = "a new snapshot" if taken.fresh else "nothing new"
        console.tell(f"{repository.name}: {what}, {taken.image.stem[:12]}, {taken.image.stat().st_size / 1e6:.1f} MB")
    return 0


class _Failed(Exception):
    """Portage's sync ended with a status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def _portages(settings: Settings, profile: str, name: str, *, quiet: bool) -> int:
    """Run ``emerge --sync`` for one repository, in a process of its own: it changes what Portage holds in memory."""
    from gentoomuch_portage.process import run

    ours = [f"--gm-{key}={getattr(settings, key)}" for key in ("config", "state", "cache")]
    for_profile = [*ours, f"--gm-profile={profile}"] if profile else []
    words = [*for_profile, "--sync", *(["--quiet"] if quiet else []), name]
    # The hook snapshot of hooks/files leaves the snapshot to us: it would wait for the lock that we hold.
    env = {**os.environ, "GM_SYNCING": "1"}
    return run([sys.executable, "-P", "-m", "gentoomuch_portage.emerge.main", *words], env=env, accept=()).status


COMMAND = Command("sync", "sync repositories, and keep a snapshot of each for containers", _add, _work)
