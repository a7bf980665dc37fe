# SPDX-License-Identifier: GPL-2.0-or-later
"""Parse the command line of gm-emerge: split its own options from the arguments of emerge."""

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, Self

from gentoomuch_portage.config import schema
from gentoomuch_portage.errors import UsageError, listed, nearest

OPTIONS: Mapping[str, str] = {
    "--gm-profile": "NAME",
    "--gm-config": "DIR",
    "--gm-state": "DIR",
    "--gm-cache": "DIR",
    "--gm-explain": "[json]",
    "--gm-plan": "FILE",
    "--gm-isolation": "KIND",
    "--gm-unmask": "KIND[,KIND...]|none",
    "--gm-locked": "",
    "--gm-trust": "ID[,ID...]",
    "--gm-no": "PLUGIN[,PLUGIN...]",
    "--gm-json": "FILE",
    "--gm-help": "",
    "--gm-version": "",
}
"""The options of gm-emerge -> the form of their values; in brackets if optional."""
_VALUES: Mapping[str, tuple[str, ...]] = {
    "--gm-explain": ("json", "text"),
    "--gm-isolation": schema.ISOLATION,
    "--gm-unmask": (*schema.PROFILE["unmask"], "none"),
}
"""Options whose values come from a list -> the list."""
SAMPLES: Mapping[str, str] = {
    "--gm-profile": "NAME",
    "--gm-config": "/etc/gentoomuch",
    "--gm-state": "/var/lib/gentoomuch",
    "--gm-cache": "/var/cache/gentoomuch",
    "--gm-plan": "plan.json",
    "--gm-isolation": "auto",
    "--gm-unmask": "keywords",
    "--gm-no": "history",
    "--gm-json": "events.json",
}
"""Options -> an example of their value, for hints; the ID of ``--gm-trust`` has none."""
_OF_EMERGE = frozenset({"ask", "deep", "newuse", "oneshot", "pretend", "quiet", "search", "update", "verbose"})
"""Frequent options of emerge."""


def unknown_option(option: str, known: Iterable[str]) -> UsageError:
    """There is no ``--gm-`` option of this name."""
    prefix = "--gm-"
    name, equals, value = option.removeprefix(prefix).partition("=")
    near = nearest(name, [option.removeprefix(prefix) for option in known])
    error = UsageError(f"unknown option {option!r}", code="unknown-option", hint="gm-emerge --gm-help")
    if name in _OF_EMERGE:
        return error.with_correction(option, f"--{name}{equals}{value}")
    return error.with_correction(option, _fill_value(f"{prefix}{near}", value)) if near else error


def _fill_value(option: str, value: str) -> str:
    """Return an option with a value: the given one, or an example if it needs one."""
    form = OPTIONS[option]
    value = value or ("" if form.startswith("[") else SAMPLES.get(option, ""))
    return f"{option}={value}" if value and form else option


def invalid_value(option: str, value: str, known: Iterable[str]) -> UsageError:
    """A ``--gm-`` option has a value that it does not accept."""
    known = tuple(known)
    near = nearest(value, known)
    what = f"invalid value {value!r} for {option} {listed(known)}"
    error = UsageError(what, code="invalid-value", hint="gm-emerge --gm-help")
    return error.with_correction(value, near) if near else error


def option_needs_value(option: str, form: str) -> UsageError:
    """A ``--gm-`` option needs a value, and no value was given."""
    error = UsageError(f"{option} requires a value", code="option-needs-value", hint=f"gm-emerge {option}={form}")
    return error.with_correction(option, f"{option}={SAMPLES[option]}") if option in SAMPLES else error


def option_needs_profile(name: str) -> UsageError:
    """A ``--gm-`` option needs a profile: none was named, and there is no default profile."""
    hint = "pass --gm-profile=NAME, or run: gentoomuch profile set NAME"
    error = UsageError(f"--gm-{name} requires a profile", code="option-needs-profile", hint=hint)
    return error.with_correction("", "--gm-profile=NAME")


def plugin_disabled(option: str, plugin: str) -> UsageError:
    """A ``--gm-`` option belongs to a plugin that ``--gm-no`` disables."""
    message = f"--gm-{option} requires the plugin {plugin!r}, which --gm-no disables"
    error = UsageError(message, code="plugin-disabled", hint=f"omit --gm-{option} or --gm-no={plugin}")
    return error.with_correction("--gm-no", length=2)


def unparsable_variable(variable: str, reason: str) -> UsageError:
    """A quote is not closed in a variable with options, such as EMERGE_DEFAULT_OPTS."""
    return UsageError(
        f"cannot parse {variable}: {reason}", code="unparsable-variable", hint=f"unset {variable}, or fix the quoting"
    )


def unreadable_plan(path: Path, reason: Exception | str) -> UsageError:
    """The file of ``--gm-plan=FILE`` is not a plan, or a plan of another version."""
    return UsageError(
        f"cannot load a plan from {path}: {_describe(reason)}",
        code="unreadable-plan",
        hint="gm-emerge --gm-explain=json ... > FILE",
    )


def _describe(reason: Exception | str) -> str:
    match reason:
        case OSError(strerror=str(text)):
            return text.lower()
        case json.JSONDecodeError(lineno=line, msg=text):
            return f"line {line}: {text[:1].lower()}{text[1:]}"
        case KeyError():
            return f"{reason} is missing"
    return str(reason)


class Request(NamedTuple):
    """A parsed command line."""

    arguments: tuple[str, ...]
    """The arguments of emerge, in order."""
    options: Mapping[str, str]
    """Own options without ``--gm-`` -> values. The last of several wins; all values of ``no`` count."""

    @classmethod
    def parse(cls, argv: Iterable[str], environ: Mapping[str, str], *, called: str = "gm-emerge") -> Self:
        """Parse a command line.

        Args:
            called: the name of the program; ``router-emerge`` selects the profile router.

        Raises:
            UsageError[unknown-option], UsageError[invalid-value], UsageError[option-needs-value]: an own option is
                not valid.
            UsageError[unparsable-variable]: GM_DEFAULT_OPTS has a quote that is not closed.
        """
        options: dict[str, str] = {}
        machine = called.removesuffix("-emerge")
        if machine not in {called, "gm"}:
            options["profile"] = machine
        ours: list[str] = []
        theirs: list[str] = []
        rest = iter([*_split(environ, "GM_DEFAULT_OPTS"), *argv])
        for argument in rest:
            if argument == "--":
                theirs += [argument, *rest]
            elif argument.startswith("--gm-"):
                ours.append(_join_value(argument, rest))
            else:
                theirs.append(argument)
        for option in ours:
            name, equals, value = option.partition("=")
            form = OPTIONS.get(name)
            if form is None or (equals and not form):
                raise unknown_option(option, OPTIONS)
            if form and not form.startswith("[") and not value:
                raise option_needs_value(name, form)
            _check_value(name, value)
            key = name.removeprefix("--gm-")
            options[key] = f"{options[key]},{value}" if key == "no" and key in options else value
        if (default := environ.get("GM_PROFILE")) and "plan" not in options:  # a plan names its profile
            options.setdefault("profile", default)
        return cls(arguments=tuple(theirs), options=options)

    @property
    def without(self) -> frozenset[str]:
        """The plugins that the run does not use."""
        return frozenset(name for name in self.options.get("no", "").split(",") if name)


def _join_value(option: str, rest: Iterator[str]) -> str:
    """Return an option with its value, which may be the next argument."""
    form = OPTIONS.get(option, "")
    if not form or form.startswith("["):
        return option
    value = next(rest, "")
    if value.startswith("-") and value != "-":
        raise option_needs_value(option, form)
    return f"{option}={value}"


def _check_value(option: str, value: str) -> None:
    known = _VALUES.get(option, ())
    values = value.split(",") if "," in OPTIONS[option] else [value]
    for each in values if known else ():
        if each and each not in known:
            raise invalid_value(option, each, known)


def _split(environ: Mapping[str, str], variable: str) -> list[str]:
    try:
        return shlex.split(environ.get(variable, ""))
    except ValueError as error:
        raise unparsable_variable(variable, str(error).lower()) from error
