# SPDX-License-Identifier: GPL-2.0-or-later
"""Parse command lines of emerge with its own parser."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from _emerge.main import parse_opts

from gentoomuch_portage.portage_adapter import emerge_defaults

_REMOVING = frozenset({"depclean", "unmerge", "prune", "rage-clean"})
"""Actions of emerge that remove packages."""
_ACTIONS = frozenset({"--help", "--info", "--version"})
"""Options that mean an action whatever the parser says, if they are alone."""
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


def parse_with_defaults(words: Sequence[str], defaults: str) -> Arguments:
    """Parse a command line as emerge does, after the options that it adds.

    Args:
        defaults: as ``emerge_defaults.default_options`` returns them. Those that come from FEATURES always apply.
    """
    return parse([*emerge_defaults.split(defaults, ignored="--ignore-default-opts" in words), *words])


def uses_binhosts(words: Sequence[str], defaults: str) -> bool:
    """Return whether emerge takes packages from binhosts.

    Args:
        defaults: as ``emerge_defaults.default_options`` returns them.
    """
    options = parse_with_defaults(words, defaults).options
    return options.get("--getbinpkg") is True or options.get("--getbinpkgonly") is True


def find_action(words: Iterable[str]) -> str:
    """Return the action of a command line; the parser, which is slow to create, is not needed for an option alone."""
    words = tuple(words)
    return words[0].removeprefix("--") if len(words) == 1 and words[0] in _ACTIONS else parse(words).action


def find_root(words: Iterable[str]) -> str:
    """Return the directory of ``--root``, which overrides ROOT; empty if it is not given, as in most command lines."""
    words = tuple(words)
    if not any(word.startswith("--ro") for word in words):  # argparse accepts no shorter form
        return ""
    return str(parse(words).options.get("--root", ""))
