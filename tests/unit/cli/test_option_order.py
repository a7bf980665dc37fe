# SPDX-License-Identifier: GPL-2.0-or-later
"""Options of a command may stand before, between and behind its values."""

import argparse
from collections.abc import Iterator

import pytest
from helpers.errors import raises

from gentoomuch_portage.cli import commands, parser
from gentoomuch_portage.cli.parser import Parser

COUNTS = {None: (1,), "?": (0, 1), "*": (0, 2), "+": (1, 2)}
"""How many words a positional argument of argparse may take, by its nargs."""
OPTIONS = (["-q"], ["--config", "elsewhere"], ["--config=elsewhere"])


def leaves(top: Parser, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Parser]]:
    """The commands below a parser that have no commands below them."""
    top.ensure_arguments()
    below = [action for action in top._actions if isinstance(action, argparse._SubParsersAction)]
    if not below:
        yield path, top
    for action in below:
        for name, leaf in action.choices.items():
            yield from leaves(leaf, (*path, name))


def value(action: argparse.Action, number: int) -> str:
    """A word that an argument takes."""
    return str(next(iter(action.choices))) if action.choices else str(number + 1)


def values(command: Parser) -> Iterator[list[str]]:
    """The values of a command: the most and the fewest of each positional argument."""
    found: list[list[str]] = [[]]
    for action in command._get_positional_actions():
        found = [
            [*before, *(value(action, len(before) + number) for number in range(count))]
            for before in found
            for count in COUNTS[action.nargs]
        ]
    yield from found


def required(command: Parser, given: list[str]) -> list[str]:
    """Options that a command cannot do without."""
    groups = [group for group in command._mutually_exclusive_groups if group.required]
    of_groups = [next(action for action in group._group_actions if action.option_strings) for group in groups]
    alone = [action for action in command._actions if action.required and action.option_strings]
    return [
        word
        for action in [*alone, *([] if given and command.prog.endswith("profile set") else of_groups)]
        for word in [action.option_strings[0], *([] if action.nargs == 0 else [value(action, 0)])]
    ]


LEAVES = dict(leaves(parser.build_parser(commands.load_own_commands())))


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_an_option_means_the_same_at_every_place_among_the_values(path: tuple[str, ...]):
    """``freeze NAME --unsigned FILE`` and ``fleet NAME --json OTHER`` were usage errors."""
    for words in values(LEAVES[path]):
        needed = required(LEAVES[path], words)
        for option in OPTIONS:
            read = [
                vars(parser.build_parser([commands.load_own_command(path[0])]).parse_args([*path, *line, *needed]))
                for line in ([*words[:at], *option, *words[at:]] for at in range(len(words), -1, -1))
            ]
            assert all(one == read[0] for one in read), (words, option)


@pytest.mark.parametrize(
    ("line", "name", "file"),
    [
        ("freeze --unsigned FILE", None, "FILE"),
        ("freeze NAME --unsigned FILE", "NAME", "FILE"),
        ("freeze --unsigned NAME FILE", "NAME", "FILE"),
        ("freeze NAME --config DIR --unsigned --redact FILE", "NAME", "FILE"),
        ("freeze NAME --unsigned -", "NAME", "-"),
    ],
)
def test_freeze_accepts_options_between_arguments(line: str, name: str | None, file: str):
    args = parser.build_parser([commands.load_own_command("freeze")]).parse_args(line.split())

    assert (args.name, args.file, args.unsigned) == (name, file, True)


def test_an_option_of_several_values_keeps_them():
    args = parser.build_parser([commands.load_own_command("isa")]).parse_args(
        [*["isa", "check", "-O2"], *["--cpu", "haswell", "znver4", "--json"]]
    )

    assert (args.cpu, args.others, args.flags, args.json) == (["haswell", "znver4"], [], ["-O2"], True)


def test_a_value_that_looks_like_an_unknown_option_is_rejected():
    """``profile adopt -oProxyCommand=...`` was taken as NAME, and NAME as the machine."""
    with raises("usage"):
        parser.build_parser([commands.load_own_command("profile")]).parse_args(
            ["profile", "adopt", "-oProxyCommand=x:/etc/portage", "other", "--json"]
        )
