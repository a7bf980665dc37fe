"""What is kept up to date after a sync, and by emaint: masks of binary packages, and ledgers."""

import os
from collections.abc import Iterator

from gentoomuch_portage import files, ledger, masks, profiles, shedding
from gentoomuch_portage.errors import GmError
from gentoomuch_portage.hooks import switching, where
from gentoomuch_portage.hooks.kinds import ALL
from gentoomuch_portage.ledger import Entry
from gentoomuch_portage.portage_adapter import front
from gentoomuch_portage.settings import Settings
from gentoomuch_portage.view import looked_at


def refresh(settings: Settings, names: tuple[str, ...]) -> Iterator[str]:
    """Write masks again, where ``binpkg mask --write`` has made a file of them, and prune ledgers.

    Args:
        names: of profiles.

    Returns:
        What changed, a line each.
    """
    for file in masks.written(settings.host):
        name = masks.profile_of(file)
        if name in names:
            text = masks.text(settings, name)
            if text != file.read_text(encoding="utf-8"):
                files.write(file, text)
                yield f"{file}: masks of {name} are new"
    for name in names:
        with looked_at(settings, name) as view:
            for one in shedding.shed(view.plan, settings):
                yield f"{one.entry.atom} leaves the ledger of {name}: {one.why}"


def check() -> tuple[bool, list[str] | None]:
    """emaint's check: hooks that are not as written, masks that are old, and what plain emerge would downgrade."""
    settings = _settings()
    try:
        told = [
            f"hook {hook.name}: {why}: {remedy}"
            for hook in ALL
            for why, remedy in [switching.ailing(settings, hook, where.here(settings), profiles.names(settings))]
            if why
        ]
        for file in masks.written(settings.host):
            name = masks.profile_of(file)
            if name in profiles.names(settings) and masks.text(settings, name) != file.read_text(encoding="utf-8"):
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
        return True, list(refresh(settings, profiles.names(settings))) or None
    except GmError as error:
        return False, [f"{error.message} ({error.remedy})" if error.remedy else error.message]


def unknown(settings: Settings) -> list[Entry]:
    """What was unmasked for any profile and is installed here, and plain emerge would mask or build anew.

    Empty where the hook ``unmask`` is enabled.
    """
    entries = [entry for name in profiles.names(settings) for entry in ledger.read(settings.state, name)]
    if not entries or switching.state(settings, switching.named("unmask"), where.here(settings)) == "enabled":
        return []
    from gentoomuch_portage.portage_adapter import kept

    return kept.unknown(str(settings.host.parents[1]), entries)


def _settings() -> Settings:
    return Settings.of(os.environ, eprefix=front.eprefix())
