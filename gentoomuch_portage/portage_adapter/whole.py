"""A whole configroot, as Portage reads it."""

import contextlib
import io
from pathlib import Path
from typing import Any

from gentoomuch_portage.portage_adapter.complaints import bad


def read(configroot: Path) -> tuple[Any, str]:
    """Portage's ``config`` of a configroot, with nothing of the environment, and what it complains of on stderr.

    Raises:
        BadFile: Portage cannot read it.
    """
    import portage
    from portage.exception import PortageException

    heard = io.StringIO()
    try:
        with contextlib.redirect_stderr(heard):
            found = portage.config(config_root=str(configroot), target_root="/", env={})
    except (PortageException, ValueError, OSError) as error:
        raise bad(configroot, f"{heard.getvalue()}{error}") from error
    return found, heard.getvalue()
