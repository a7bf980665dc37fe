# SPDX-License-Identifier: GPL-2.0-or-later
"""Find Portage's own files and directories; reads no configuration."""

import sys
from pathlib import Path

import portage
from portage.const import EPREFIX, GLOBAL_CONFIG_PATH, WORLD_FILE, WORLD_SETS_FILE


def eprefix() -> str:
    """Return Portage's EPREFIX, without a trailing slash."""
    return str(EPREFIX)


def python() -> str:
    """Return the path of the Python interpreter, to start programs of Portage."""
    return sys.executable


def global_config() -> Path:
    """Return the directory of Portage's make.globals and default sets.

    A wheel installs them below the prefix of the interpreter, regardless of EPREFIX.
    """
    named = Path(GLOBAL_CONFIG_PATH)
    beside = Path(sys.prefix) / "share/portage/config"
    return beside if beside.is_dir() else named


def emaint_modules() -> Path:
    """Return the directory of emaint's modules. Source: bin/emaint of Portage."""
    return Path(portage.__file__).parent / "emaint/modules"


def world(root: Path) -> tuple[Path, Path]:
    """Return the files ``world`` and ``world_sets`` of a root. Source: portage.const.WORLD_FILE, WORLD_SETS_FILE."""
    eroot = Path(f"{str(root).rstrip('/')}{EPREFIX}/")
    return eroot / WORLD_FILE, eroot / WORLD_SETS_FILE
