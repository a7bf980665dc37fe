# SPDX-License-Identifier: GPL-2.0-or-later
"""The options that emerge adds to its command line; imports nothing of Portage, as each run calls this.

Source: ``run_action`` in _emerge/actions.py and ``emerge_main`` in _emerge/main.py, Portage 3.0.83.
"""

import re
import shlex
from collections.abc import Iterable, Mapping

_GETBINPKG = "getbinpkg"
_OPTION = f"--{_GETBINPKG}"
_FETCHES = re.compile(r"-[A-Za-z0-9]*[gGr]|--g|--resume")
"""Arguments of emerge that may mean --getbinpkg, --getbinpkgonly or --resume."""


def default_options(values: Mapping[str, str], environ: Mapping[str, str]) -> str:
    """Return the options that emerge adds to its command line: EMERGE_DEFAULT_OPTS, and those of FEATURES.

    Args:
        values: EMERGE_DEFAULT_OPTS and FEATURES of the configuration.
        environ: the environment of emerge, which adds to FEATURES and replaces other variables.

    Returns:
        Words, quoted for a shell.
    """
    enabled = False
    for word in f"{values['FEATURES']} {environ.get('FEATURES', '')}".split():
        if word in {_GETBINPKG, f"-{_GETBINPKG}", "-*"}:
            enabled = word == _GETBINPKG
    options = environ.get("EMERGE_DEFAULT_OPTS", values["EMERGE_DEFAULT_OPTS"])
    return " ".join([_OPTION] * enabled + [options] * bool(options))


def may_use_binhosts(words: Iterable[str], defaults: str) -> bool:
    """Return whether emerge may take packages from binhosts, or resume a run that does, without its slow parser."""
    return any(map(_FETCHES.match, (*words, *split(defaults))))


def split(defaults: str, *, ignored: bool = False) -> list[str]:
    """Return the words of default options.

    Args:
        ignored: only those that ``--ignore-default-opts`` leaves, as they come from FEATURES.
    """
    try:
        words = shlex.split(defaults)
    except ValueError:  # a missing quote, which emerge reports
        return []
    return [word for word in words[:1] if word == _OPTION] if ignored else words
