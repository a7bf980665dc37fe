"""What a command line looks like, as data: what pages and completion are written from."""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gentoomuch_portage import console
from gentoomuch_portage.cli import commands
from gentoomuch_portage.cli.parser import GENERAL, Parser, build
from gentoomuch_portage.plan.request import WORDS
from gentoomuch_portage.portage_adapter import private_api
from gentoomuch_portage.portage_adapter.emerge import emerge_options

KINDS = {"NAME": "profile", "OTHER": "profile", "DIR": "folder", "FILE": "file"}
"""What a value of that name is; of any other name nothing is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """An option, or one of our words on emerge's line."""

    names: tuple[str, ...]
    help: str = ""
    value: str = ""
    """The shape of its value, ``DIR``; empty where it takes none."""
    optional: bool = False
    """Whether the value may be left out."""
    joined: bool = False
    """Whether the value stands behind a ``=`` and nowhere else."""
    choices: tuple[str, ...] = ()
    general: bool = False

    @property
    def kind(self) -> str:
        """``profile``, ``folder``, ``file``, or empty."""
        return KINDS.get(self.value, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A command, with what stands below it."""

    path: tuple[str, ...]
    """The program's name, then the commands that lead here."""
    help: str = ""
    options: tuple[Option, ...] = ()
    values: tuple[str, ...] = ()
    """Shapes of what stands without an option, in order: ``NAME``."""
    counts: tuple[str, ...] = ()
    """How often each may stand: once (empty), ``?``, ``*`` or ``+``."""
    below: tuple["Shape", ...] = ()
    source: str = ""
    """Where options that are not ours come from: ``Portage 3.0.83``."""
    becomes: bool = False
    """Whether a command line of another program follows behind ``--``."""

    @property
    def name(self) -> str:
        """As it is typed."""
        return self.path[-1]

    def header(self, shell: str) -> str:
        """The comment at the top of a completion."""
        theirs = f" Emerge's options are those of {self.source}." if self.source else ""
        return f"# Completion of {self.name} for {shell}; made by python -m gentoomuch_portage.cli.docs.{theirs}"

    def words(self, font: Callable[[str], str] = str) -> Iterator[str]:
        """Its values as a usage line has them: ``NAME [FILE] [ATOM...]``."""
        for value, count in zip(self.values, self.counts, strict=True):
            text = f"{font(value)}{'...' if count in {'*', '+'} else ''}"
            yield f"[{text}]" if count in {"*", "?"} else text

    def every(self) -> Iterator["Shape"]:
        """This one and all below."""
        yield self
        for one in self.below:
            yield from one.every()


def gentoomuch() -> Shape:
    """The shape of gentoomuch, without the commands of plugins."""
    return _of(build(commands.ours()), ("gentoomuch",), "")


def gm_emerge() -> Shape:
    """The shape of gm-emerge: our words, then emerge's options as this Portage has them."""
    ours = [_word(word, told) for word, told in WORDS.items()]
    theirs = [
        Option(names=one.names, value="VALUE" if one.takes else "", optional=bool(one.choices), choices=one.choices)
        for one in emerge_options()
    ]
    return Shape(
        path=("gm-emerge",),
        options=(*ours, *theirs),
        values=("PACKAGE",),
        counts=("*",),
        source=f"Portage {private_api.version()}",
    )


def _word(word: str, told: str) -> Option:
    """A word of ours; ``[json]`` is a value that may be left out, and the only one."""
    if told.startswith("["):
        value = told[1:-1]
        return Option(
            names=(word,), help=console.MEANING[word], value=value, optional=True, joined=True, choices=(value,)
        )
    return Option(names=(word,), help=console.MEANING[word], value=told, joined=bool(told))


def _of(parser: Parser, path: tuple[str, ...], told: str) -> Shape:
    groups = {action: group.title for group in parser._action_groups for action in group._group_actions}
    options, values, counts, below = [], [], [], []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {one.dest: one.help or "" for one in action._choices_actions}
            below += [_of(one, (*path, name), helps[name]) for name, one in action.choices.items()]
        elif action.help == argparse.SUPPRESS:
            continue
        elif action.option_strings:
            options.append(_option(action, general=groups.get(action) == GENERAL))
        else:
            values.append(str(action.metavar or action.dest))
            counts.append(str(action.nargs or ""))
    becomes = parser.get_default("becomes") is True
    return Shape(
        path=path,
        help=told,
        options=tuple(options),
        values=tuple(values),
        counts=tuple(counts),
        below=tuple(below),
        becomes=becomes,
    )


def _option(action: argparse.Action, *, general: bool) -> Option:
    takes = action.nargs != 0
    return Option(
        names=tuple(sorted(action.option_strings, key=lambda name: (-len(name), name))),
        help=action.help or "",
        value=str(action.metavar or action.dest.upper()) if takes else "",
        choices=("y", "n") if action.metavar == "BOOLEAN" else tuple(map(str, action.choices or ())),
        general=general,
    )
