"""Where a root keeps what was selected for it, and what of a configuration belongs to the machine alone."""

from pathlib import Path

from gentoomuch_portage.portage_adapter import whole

PLACES = (
    "DISTDIR", "PKGDIR", "PORTAGE_TMPDIR", "PORTAGE_LOGDIR", "PORT_LOGDIR", "EMERGE_LOG_DIR", "PORTAGE_USERNAME",
    "PORTAGE_GRPNAME",
)  # fmt: skip
"""Variables of make.conf that name folders and users of one machine."""


def world(root: Path) -> tuple[Path, Path]:
    """The files ``world`` and ``world_sets`` of a root. Source: portage.const.WORLD_FILE, WORLD_SETS_FILE."""
    from portage.const import EPREFIX, WORLD_FILE, WORLD_SETS_FILE

    eroot = Path(f"{str(root).rstrip('/')}{EPREFIX}/")
    return eroot / WORLD_FILE, eroot / WORLD_SETS_FILE


def places(configroot: Path) -> dict[str, str]:
    """What this machine's configuration says of itself: those of ``PLACES`` that it sets.

    Raises:
        BadFile: Portage cannot read it.
    """
    found, _ = whole.read(configroot)
    return {name: str(found[name]) for name in PLACES if found.get(name)}
