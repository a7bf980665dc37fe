"""Portage's own folders."""

from pathlib import Path


def emaint_modules() -> Path:
    """Where emaint looks for its modules. Source: bin/emaint of Portage."""
    import portage

    return Path(portage.__file__).parent / "emaint/modules"
