# SPDX-License-Identifier: GPL-2.0-or-later
"""List the options of emerge, from its own parser."""

import argparse
import contextlib
from dataclasses import dataclass
from typing import Any, NoReturn

from _emerge import main

from gentoomuch_portage.portage_adapter.patching import swapped


@dataclass(frozen=True, slots=True)
class EmergeOption:
    """An option of emerge."""

    names: tuple[str, ...]
    """``--ask``, ``-a``; the long ones first."""
    takes: bool
    """Whether it may have a value."""
    choices: tuple[str, ...]
    """The allowed values, without ``True``, which means no value; empty if any value is allowed."""


class _Built(Exception):
    """Raised when emerge's parser is built."""


def emerge_options() -> list[EmergeOption]:
    """Return all options of emerge, sorted by name.

    Emerge builds its parser within parse_opts, which does not return it. So parse_opts is stopped when it starts to
    parse.
    """
    held: list[argparse.ArgumentParser] = []

    def stop(parser: argparse.ArgumentParser, *_: Any, **__: Any) -> NoReturn:
        held.append(parser)
        raise _Built

    parser = argparse.ArgumentParser
    with (
        swapped(parser, "parse_intermixed_args", stop),
        swapped(parser, "parse_args", stop),
        contextlib.suppress(_Built),
    ):
        main.parse_opts([])
    return sorted(_gathered(held[0]), key=lambda option: option.names)


def _gathered(parser: argparse.ArgumentParser) -> list[EmergeOption]:
    """Return an option for each destination: emerge adds the short name of a switch as a separate option."""
    meant: dict[str, list[argparse.Action]] = {}
    for action in parser._actions:
        if action.option_strings:
            meant.setdefault(action.dest, []).append(action)
    return [
        EmergeOption(
            names=tuple(
                sorted(
                    (name for action in actions for name in action.option_strings), key=lambda name: (-len(name), name)
                )
            ),
            takes=any(action.nargs != 0 for action in actions),
            choices=tuple(str(choice) for action in actions for choice in action.choices or () if choice != "True"),
        )
        for actions in meant.values()
    ]
