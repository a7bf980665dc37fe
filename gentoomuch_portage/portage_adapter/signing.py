"""Signatures of binary packages, made and verified by Portage itself."""

import io
import os
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any


class Unfit(Exception):
    """A package that Portage does not sign, or whose signature does not hold; it says why."""


def sign(file: Path, told: Mapping[str, str]) -> None:
    """Sign a gpkg; its earlier signatures are replaced, and the file by a new one of the same name.

    Args:
        told: ``variables`` of the key.

    Raises:
        Unfit: it is no gpkg, damaged, or gpg fails.
    """
    _asked(file, told, "update_signature", verify=None)


def verify(file: Path, told: Mapping[str, str]) -> None:
    """Let Portage verify a gpkg, with its signature.

    Args:
        told: ``BINPKG_GPG_VERIFY_GPG_HOME``.

    Raises:
        Unfit: it is unsigned, altered, or signed by a key that is not trusted.
    """
    _asked(file, told, "_verify_binpkg", verify=True)


def _asked(file: Path, told: Mapping[str, str], what: str, *, verify: bool | None) -> None:
    from portage.exception import PortageException
    from portage.gpkg import gpkg

    heard = io.StringIO()
    try:
        with redirect_stdout(heard), redirect_stderr(heard):
            getattr(gpkg(_settings(told), None, str(file), verify_signature=verify), what)()
    except (PortageException, OSError, ValueError, EOFError) as error:
        lines = [line.strip(" *\t") for line in heard.getvalue().splitlines()]
        summary = lines[at + 1] if (at := lines.index("Summary:") if "Summary:" in lines else -1) >= 0 else ""
        raise Unfit(" ".join(f"{summary or error or type(error).__name__}".split())) from error


def _settings(told: Mapping[str, str]) -> Any:
    import portage

    made = portage.config(config_root=os.environ.get("PORTAGE_CONFIGROOT"), env=dict(os.environ))
    made.unlock()
    made.features.discard("binpkg-request-signature")
    made.features.discard("binpkg-ignore-signature")
    for name, value in told.items():
        made[name] = value
    return made
