# SPDX-License-Identifier: GPL-2.0-or-later
"""Update masks of binary packages and ledgers after a sync, and for emaint."""

import os
from collections.abc import Iterator

from gentoomuch_portage import fs
from gentoomuch_portage.config import profile
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.emerge import prune_ledger
from gentoomuch_portage.emerge.profile_view import load_view
from gentoomuch_portage.errors import GmError
from gentoomuch_portage.portage_adapter import hook_sets, paths
from gentoomuch_portage.portage_hooks import binpkg_masks, install
from gentoomuch_portage.portage_hooks.catalog import ALL
from gentoomuch_portage.unmask import ledger
from gentoomuch_portage.unmask.ledger import Entry


def refresh(settings: Settings, names: tuple[str, ...]) -> Iterator[str]:
    """Update the files of ``binpkg mask --write``, and prune ledgers.

    Args:
        names: of profiles.

    Returns:
        The changes, a line each.
    """
    for file in binpkg_masks.find_written(settings.host):
        name = binpkg_masks.profile_of(file)
        if name in names:
            text = binpkg_masks.text(settings, name)
            if text != file.read_text(encoding="utf-8"):
                fs.write(file, text)
                yield f"{file}: updated the masks of {name}"
    for name in names:
        with load_view(settings, name) as view:
            for pruned in prune_ledger.prune(view.plan, settings):
                yield f"removed {pruned.entry.atom} from the ledger of {name}: {pruned.why}"


def check() -> tuple[bool, list[str] | None]:
    """Check for emaint: changed hooks, outdated masks, and packages that plain emerge would downgrade."""
    settings = _settings()
    try:
        problems = [
            f"hook {hook.name}: {why}: {hint}"
            for hook in ALL
            for why, hint in [
                install.find_problem(settings, hook, install.find_places(settings), profile.names(settings))
            ]
            if why
        ]
        for file in binpkg_masks.find_written(settings.host):
            name = binpkg_masks.profile_of(file)
            if name in profile.names(settings) and binpkg_masks.text(settings, name) != file.read_text(
                encoding="utf-8"
            ):
                problems.append(f"{file} is outdated: emaint --fix gentoomuch")
        problems += [
            f"plain emerge masks {entry.line}, which was unmasked ({entry.kind}): gentoomuch hooks enable unmask"
            for entry in find_unknown(settings)
        ]
    except GmError as error:
        problems = [error.message]
    return not problems, problems or None


def fix() -> tuple[bool, list[str] | None]:
    """Update masks and ledgers of all profiles for emaint."""
    settings = _settings()
    try:
        return True, list(refresh(settings, profile.names(settings))) or None
    except GmError as error:
        return False, [f"{error.message} ({error.hint})" if error.hint else error.message]


def find_unknown(settings: Settings) -> list[Entry]:
    """Find ledger entries of installed packages that plain emerge would mask or rebuild.

    There are none if the hook ``unmask`` is enabled.
    """
    entries = [entry for name in profile.names(settings) for entry in ledger.read(settings.state, name)]
    if not entries or install.state(settings, install.find_hook("unmask"), install.find_places(settings)) == "enabled":
        return []
    return hook_sets.unknown(str(settings.host.parents[1]), entries)


def _settings() -> Settings:
    return Settings.load(os.environ, eprefix=paths.eprefix())
