"""Where this host has what Portage reads."""

from pathlib import Path

from gentoomuch_portage.hooks.kinds import Places
from gentoomuch_portage.portage_adapter import front, own
from gentoomuch_portage.settings import Settings


def here(settings: Settings) -> Places:
    """The places of the host that we run on."""
    return Places(settings.host, Path(front.eprefix() or "/"), own.emaint_modules())
