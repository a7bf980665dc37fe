# SPDX-License-Identifier: GPL-2.0-or-later
"""Parse command lines of emerge with its own parser."""

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from _emerge.main import parse_opts

_REMOVING = frozenset({"depclean", "unmerge", "prune", "rage-clean"})
"""Actions of emerge that remove packages."""
_ACTIONS = frozenset({"--help", "--info", "--version"})
"""Options that mean an action whatever the parser says, if they are alone."""
_GETBINPKG = "getbinpkg"
_OPTION = f"--{_GETBINPKG}"
_FETCHES = re.compile(r"-[A-Za-z0-9]*[gGr]|--g|--resume")
"""Arguments of emerge that may mean --getbinpkg, --getbinpkgonly or --resume."""
_MERGES_NOTHING = frozenset({"--pretend", "--buildpkgonly", "--fetchonly", "--fetch-all-uri"})


class Arguments(NamedTuple):
    """A command line of emerge."""

    action: str
    """``version``, ``info``, ``sync``; empty if it installs."""
    options: dict[str, Any]
    targets: tuple[str, ...]

    @property
    def removes(self) -> bool:
        """Whether it removes packages."""
        return self.action in _REMOVING and "--pretend" not in self.options

    @property
    def changes(self) -> bool:
        """Whether it may change what is installed."""
        return self.action in {"", "clean", "config", *_REMOVING} and "--pretend" not in self.options

    @property
    def merges(self) -> bool:
        """Whether it may merge packages; it does not if it only builds or fetches."""
        return not self.action and not _MERGES_NOTHING & self.options.keys()


def parse(words: Iterable[str]) -> Arguments:
    """Parse a command line of emerge, without the program's name."""
    action, options, targets = parse_opts(list(words), silent=True)
    return Arguments(action or "", options, tuple(targets))


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
    return any(map(_FETCHES.match, (*words, *_split(defaults))))


def _split(defaults: str, *, ignored: bool = False) -> list[str]:
    """Return the words of default options.

    Args:
        ignored: only those that ``--ignore-default-opts`` leaves, as they come from FEATURES.
    """
    try:
        words = shlex.split(defaults)
    except ValueError:  # a missing quote, which emerge reports
        return []
    return [word for word in words[:1] if word == _OPTION] if ignored else words


def parse_with_defaults(words: Sequence[str], defaults: str) -> Arguments:
    """Parse a command line as emerge does, after the options that it adds.

    Args:
        defaults: as ``default_options`` returns them. Those that come from FEATURES always apply.
    """
    return parse([*_split(defaults, ignored="--ignore-default-opts" in words), *words])


def uses_binhosts(words: Sequence[str], defaults: str) -> bool:
    """Return whether emerge takes packages from binhosts.

    Args:
        defaults: as ``default_options`` returns them.
    """
    options = parse_with_defaults(words, defaults).options
    return options.get("--getbinpkg") is True or options.get("--getbinpkgonly") is True


def find_action(words: Iterable[str]) -> str:
    """Return the action of a command line; the parser, which is slow to create, is not needed for an option alone."""
    words = tuple(words)
    return words[0].removeprefix("--") if len(words) == 1 and words[0] in _ACTIONS else parse(words).action


_SHORTEST = {"--prefix": "--pref", "--root": "--ro", "--sysroot": "--sys"}
"""An option with a directory -> the shortest form of it that argparse accepts."""


def find_directory(words: Iterable[str], option: str) -> str:
    """Return the directory of ``--prefix``, ``--root`` or ``--sysroot``, which override EPREFIX, ROOT and SYSROOT.

    Empty if it is not given, as in most command lines.
    """
    words = tuple(words)
    if not any(word.startswith(_SHORTEST[option]) for word in words):
        return ""
    return str(parse(words).options.get(option, ""))
