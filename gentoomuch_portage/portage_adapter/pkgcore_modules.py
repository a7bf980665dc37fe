# SPDX-License-Identifier: GPL-2.0-or-later
"""Import pkgcore, which is optional, without its warnings on standard error."""

import importlib
import logging
from typing import Any


def import_pkgcore(module: str) -> Any:
    """Import a module of pkgcore, named without ``pkgcore.``.

    If bash is older than the newest EAPI requires, pkgcore logs a warning; its releases up to 0.12.34 exit.
    Source: pkgcore.ebuild.eapi, pkgcore.log.

    Raises:
        ImportError: pkgcore is missing, or it exits; the message is the reason.
    """
    logger = logging.getLogger("pkgcore")
    logger.handlers, logger.propagate = [logging.NullHandler()], False
    try:
        return importlib.import_module(f"pkgcore.{module}")
    except ImportError as error:
        raise ImportError(f"pkgcore cannot be imported: {error}") from error
    except SystemExit as error:
        raise ImportError(f"pkgcore cannot start: {' '.join(str(error.code).split())}") from error
