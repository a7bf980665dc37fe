"""Emerge's own options, taken from its parser; for completion alone, never for a run."""

import argparse
import contextlib
from dataclasses import dataclass
from typing import Any, NoReturn

from gentoomuch_portage.portage_adapter.swap import swapped


@dataclass(frozen=True, slots=True)
class EmergeOption:
    """An option of emerge."""

    names: tuple[str, ...]
    """``--ask``, ``-a``; the long ones first."""
    takes: bool
    """Whether a value may follow."""
    choices: tuple[str, ...]
    """The values that it takes, without ``True``, which means none; empty where it takes any."""


class _Built(Exception):
    """Emerge's parser is built."""


def emerge_options() -> list[EmergeOption]:
    """All options of this Portage's emerge, by name.

    Emerge builds its parser within parse_opts, which has no way to hand it out: it is stopped where it
    starts to parse.
    """
    from _emerge import main

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
    return sorted(_gathered(held[0]), key=lambda one: one.names)


def _gathered(parser: argparse.ArgumentParser) -> list[EmergeOption]:
    """One for each meaning: emerge adds the short name of a switch as an option of its own."""
    meant: dict[str, list[argparse.Action]] = {}
    for action in parser._actions:
        if action.option_strings:
            meant.setdefault(action.dest, []).append(action)
    return [
        EmergeOption(
            names=tuple(
                sorted((name for one in actions for name in one.option_strings), key=lambda name: (-len(name), name))
            ),
            takes=any(one.nargs != 0 for one in actions),
            choices=tuple(str(one) for action in actions for one in action.choices or () if one != "True"),
        )
        for actions in meant.values()
    ]
