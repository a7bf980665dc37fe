# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch sync``: Portage's own sync, then a snapshot of each repository for containers."""

import argparse
import os
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from gentoomuch_portage import console, startup
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.parser import Parser, add_profile_option, find_profile
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import GmError

if TYPE_CHECKING:
    from gentoomuch_portage.portage_adapter.config import Synced


_GENTOO = "rsync://rsync.gentoo.org/gentoo-portage"
_VERIFIED = (
    "sync-rsync-verify-jobs = 1",
    "sync-rsync-verify-metamanifest = yes",
    "sync-rsync-verify-max-age = 3",
    "sync-openpgp-key-path = /usr/share/openpgp-keys/gentoo-release.asc",
    "sync-openpgp-keyserver = hkps://keys.gentoo.org",
)
"""Verification of what rsync fetches. Source: cnf/repos.conf of Portage 3.0.83."""


def _add(parser: Parser) -> None:
    parser.add_argument("repositories", nargs="*", metavar="REPO", help="repositories (default: all with auto-sync)")
    add_profile_option(parser)
    text = "only create snapshots, also of repositories without auto-sync"
    parser.add_argument("--only-snapshot", action="store_true", help=text)
    text = "first write repos.conf for ::gentoo, if no repository of that name exists (default URI: Gentoo's rsync)"
    parser.add_argument("--init", metavar="URI", nargs="?", const=_GENTOO, help=text)


def _work(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.emerge.prepare import prepare
    from gentoomuch_portage.plan.request import Request
    from gentoomuch_portage.portage_adapter import config
    from gentoomuch_portage.roots import repo_snapshots

    profile = find_profile(settings, args.profile)
    if args.init:
        _init(settings, args)
    with (
        config.accepting_missing_repositories(),
        closing(prepare(Request(arguments=(), options={}), settings, profile)) as prepared,
    ):
        known = config.synced_repositories(Path(prepared.plan.configroot))
        if args.only_snapshot:
            known = [repository for repository in known if repository.location.is_dir()]
        repositories = repo_snapshots.select(args.repositories, known, syncs=not args.only_snapshot)
        if not repositories and not args.quiet:
            console.info("nothing to sync: no repository has a sync-type, a sync-uri and auto-sync = yes")
            if not known:
                console.info("hint: gentoomuch sync --init")
        return max((_sync(settings, args, profile, repository) for repository in repositories), default=0)


def _init(settings: Settings, args: argparse.Namespace) -> None:
    """Write the host's ``repos.conf/gentoo.conf``.

    Raises:
        UsageError[repository-exists]: the host has a repository of this name, or ``repos.conf`` is a file.
    """
    from gentoomuch_portage import fs
    from gentoomuch_portage.portage_adapter import config, paths
    from gentoomuch_portage.roots.errors import repository_exists

    known = config.repositories(settings.host.parent.parent)
    folder = settings.host / "repos.conf"
    if "gentoo" in known:
        raise repository_exists("gentoo", f"it is at {known['gentoo']}")
    if folder.exists() and not folder.is_dir():
        raise repository_exists("gentoo", f"{folder} is a file")
    kind = "rsync" if args.init.startswith("rsync:") else "git"
    lines = [
        *([] if known else ["[DEFAULT]", "main-repo = gentoo", ""]),
        "[gentoo]",
        f"location = {paths.eprefix()}/var/db/repos/gentoo",
        f"sync-type = {kind}",
        f"sync-uri = {args.init}",
        "auto-sync = yes",
        *(_VERIFIED if args.init == _GENTOO else ()),
    ]
    fs.ensure(folder)
    fs.write(folder / "gentoo.conf", "\n".join(lines) + "\n")
    if not args.quiet:
        console.info(f"wrote {folder / 'gentoo.conf'}")


def sync_profiles(settings: Settings, names: Sequence[str], *, quiet: bool, skip_invalid: bool) -> int:
    """Sync the repositories of several profiles, each location once, and return the exit status.

    Args:
        skip_invalid: skip invalid profiles.

    Raises:
        GmError: a profile is invalid, and ``skip_invalid`` is False.
    """
    from gentoomuch_portage.emerge.profile_view import load_view
    from gentoomuch_portage.portage_adapter import config
    from gentoomuch_portage.roots import repo_snapshots

    args = argparse.Namespace(quiet=quiet, only_snapshot=False)
    synced: dict[Path, int] = {}
    for name in names:
        try:
            with config.accepting_missing_repositories(), load_view(settings, name) as view:
                repositories = repo_snapshots.select([], config.synced_repositories(Path(view.plan.configroot)))
        except GmError:
            if not skip_invalid:
                raise
            continue
        for repository in repositories:
            if repository.location not in synced:
                synced[repository.location] = _sync(settings, args, name, repository)
    return max(synced.values(), default=0)


def _sync(settings: Settings, args: argparse.Namespace, profile: str, repository: "Synced") -> int:
    """Sync one repository; if that fails, containers continue to use its last good snapshot."""
    from gentoomuch_portage.errors import MissingProgram
    from gentoomuch_portage.roots import repo_snapshots

    try:
        with repo_snapshots.syncing(settings.cache, repository) as ended_well:
            if not args.only_snapshot and (status := _portages(settings, profile, repository.name, quiet=args.quiet)):
                raise _Failed(status)
            ended_well()
            taken = repo_snapshots.make_snapshot(settings.cache, repository)
    except MissingProgram as error:
        console.warning(f"{repository.name}: no snapshot, containers use the directory: {error.message} ({error.hint})")
        return 0
    except _Failed as failed:
        console.warning(f"{repository.name} was not synced; containers use its last good snapshot, if any")
        return failed.status
    if not args.quiet:
        what = "a new snapshot" if taken.is_new else "nothing new"
        console.info(f"{repository.name}: {what}, {taken.image.stem[:12]}, {taken.image.stat().st_size / 1e6:.1f} MB")
    return 0


class _Failed(Exception):
    """Portage's sync ended with a status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def _portages(settings: Settings, profile: str, name: str, *, quiet: bool) -> int:
    """Run ``emerge --sync`` for one repository in a separate process: it changes Portage's state in memory."""
    from gentoomuch_portage.process import run

    ours = [f"--gm-{key}={getattr(settings, key)}" for key in ("config", "state", "cache")]
    for_profile = [*ours, f"--gm-profile={profile}"] if profile else []
    words = [*for_profile, "--sync", *(["--quiet"] if quiet else []), name]
    # The hook "snapshot" must not take the snapshot: it would wait for our lock.
    env = {**os.environ, "GM_SYNCING": "1"}
    return run([*startup.python("emerge.main"), *words], env=env, accept=()).status


COMMAND = Command("sync", "sync repositories and take a snapshot of each for containers", _add, _work)
