"""What is kept up to date after a sync, and by emaint: masks of binary packages, and ledgers."""

import os
from collections.abc import Iterator

from gentoomuch_portage import fs
from gentoomuch_portage.config import profile
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.emerge import prune_ledger
from gentoomuch_portage.emerge.profile_view import looked_at
from gentoomuch_portage.errors import GmError
from gentoomuch_portage.portage_adapter import emerge
from gentoomuch_portage.portage_hooks import binpkg_masks, install
from gentoomuch_portage.portage_hooks.catalog import ALL
from gentoomuch_portage.unmask import ledger
from gentoomuch_portage.unmask.ledger import Entry


def refresh(settings: Settings, names: tuple[str, ...]) -> Iterator[str]:
    """Write masks again, where ``binpkg mask --write`` has made a file of them, and prune ledgers.

    Args:
        names: of profiles.

    Returns:
        What changed, a line each.
    """
    for file in binpkg_masks.written(settings.host):
        name = binpkg_masks.profile_of(file)
        if name in names:
            text = binpkg_masks.text(settings, name)
            if text != file.read_text(encoding="utf-8"):
                fs.write(file, text)
                yield f"{file}: masks of {name} are new"
    for name in names:
        with looked_at(settings, name) as view:
            for one in prune_ledger.shed(view.plan, settings):
                yield f"{one.entry.atom} leaves the ledger of {name}: {one.why}"


def check() -> tuple[bool, list[str] | None]:
    """emaint's check: hooks that are not as written, masks that are old, and what plain emerge would downgrade."""
    settings = _settings()
    try:
        told = [
            f"hook {hook.name}: {why}: {remedy}"
            for hook in ALL
            for why, remedy in [install.ailing(settings, hook, install.here(settings), profile.names(settings))]
            if why
        ]
        for file in binpkg_masks.written(settings.host):
            name = binpkg_masks.profile_of(file)
            if name in profile.names(settings) and binpkg_masks.text(settings, name) != file.read_text(
                encoding="utf-8"
            ):
                told.append(f"{file} is old: emaint --fix gentoomuch")
        told += [
            f"plain emerge does not know that {one.line} was unmasked ({one.kind}): gentoomuch hooks enable unmask"
            for one in unknown(settings)
        ]
    except GmError as error:
        told = [error.message]
    return not told, told or None


def fix() -> tuple[bool, list[str] | None]:
    """emaint's fix: masks and ledgers of all profiles."""
    settings = _settings()
    try:
        return True, list(refresh(settings, profile.names(settings))) or None
    except GmError as error:
        return False, [f"{error.message} ({error.remedy})" if error.remedy else error.message]


def unknown(settings: Settings) -> list[Entry]:
    """What was unmasked for any profile and is installed here, and plain emerge would mask or build anew.

    Empty where the hook ``unmask`` is enabled.
    """
    entries = [entry for name in profile.names(settings) for entry in ledger.read(settings.state, name)]
    if not entries or install.state(settings, install.named("unmask"), install.here(settings)) == "enabled":
        return []
    from gentoomuch_portage.portage_adapter import package_sets

    return package_sets.unknown(str(settings.host.parents[1]), entries)


def _settings() -> Settings:
    return Settings.of(os.environ, eprefix=emerge.eprefix())
