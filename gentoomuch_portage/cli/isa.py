"""``gentoomuch isa``: what a CPU has, and whether code would run on it."""

import argparse
import string
from collections.abc import Sequence
from typing import Any

from gentoomuch_portage import console
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.errors import BadUsage, UnknownCompiler
from gentoomuch_portage.cli.output import columns
from gentoomuch_portage.cli.parser import Parser, group, listing
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.isa import tables

_STATUS = {"accept": 0, "unknown": 2, "reject": 1}
_TAKING = frozenset({"--param", "-D", "-I", "-L", "-U", "-Xclang", "-Xlinker", "-include", "-isystem", "-mllvm"})
"""Flags whose value may stand in the next word."""


class _Flag(argparse.Action):
    """A compiler's flag among our words: kept as it was typed."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        namespace.flags = [*(getattr(namespace, self.dest) or ()), f"{option_string or ''}{values or ''}"]


def _flags(parser: Parser, help_: str) -> None:
    """Let a command take a compiler's flags, quoted as one word or as they are."""
    parser.set_defaults(becomes="flags")  # they may stand behind --, and are no program
    parser.add_argument("told", nargs="*", metavar="FLAGS", help=help_)
    for letter in sorted(set(string.ascii_letters) - set("hq")):
        parser.add_argument(f"-{letter}", action=_Flag, dest="flags", nargs="?", help=argparse.SUPPRESS)


def _told(args: argparse.Namespace, add: Any, prog: str) -> str:
    """The flags that were typed, those behind ``--`` among them, where our own words may stand too."""
    if args.behind:
        behind = Parser(prog=prog)
        add(behind)
        before = args.told
        behind.parse_args(list(args.behind), args)
        args.told = [*before, *args.told]
    return " ".join([*args.told, *(args.flags or ())])


def _add_ls(parser: Parser) -> None:
    listing(parser)
    told = "those of this architecture; this machine's where left out"
    parser.add_argument("--arch", choices=tables.ARCHES, help=told)


def _ls(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.isa import flags as isa_flags

    arch = args.arch or isa_flags.arch_of("")
    names = tables.cpus(arch)
    console.say_json([{"cpu": name, "arch": arch} for name in names]) if args.json else console.say_each(names)
    return 0


def _add_show(parser: Parser) -> None:
    listing(parser)
    _flags(parser, "a CPU, perhaps with features behind it, or compiler flags; this machine where left out")


def _show(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.binhost.query import UnknownCpu
    from gentoomuch_portage.isa import cpu as isa_cpu
    from gentoomuch_portage.isa import resolve

    told = _told(args, _add_show, "gentoomuch isa show") or "native"
    arch, found = resolve.cpu(_sifted(told), settings.cache)
    if not found.known:
        raise UnknownCpu(told, found.told)
    name, flags = isa_cpu.cpu_flags_of(found.features, arch)
    level = isa_cpu.level_of(found.features, arch)
    shown = {
        "cpu": told,
        "arch": arch,
        "features": sorted(one.lower() for one in found.features),
        "level": f"x86-64-{level}" if level else "",
        "goamd64": level,
        "cpu_flags": {name: flags} if name else {},
    }
    if args.json:
        console.say_json(shown)
        return 0
    rows = [("architecture", arch), ("features", " ".join(shown["features"]) or "those of every CPU of its kind")]
    rows += [("level", f"x86-64-{level}"), ("GOAMD64", level)] if level else []
    rows += [(name, flags)] if name else []
    console.say(columns((told, ""), rows))
    return 0


def _sifted(told: str) -> str:
    """Flags of a compiler without what chooses no CPU; a CPU's name as it is."""
    from gentoomuch_portage.isa.requirement import machine_flags

    return " ".join(machine_flags(told)) or "-mtune=generic" if told.startswith("-") else told


def _add_check(parser: Parser) -> None:
    listing(parser)
    cpu_help = "where it should run: a CPU as in a profile; several may be named"
    parser.add_argument("--cpu", nargs="+", action="extend", metavar="CPU", help=cpu_help)
    parser.add_argument("--compiler", metavar="NAME-MAJOR", help="built by this one, as gcc-12; any where left out")
    _flags(parser, "what the code is built with, as in CFLAGS")


def _check(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.isa import requirement, resolve

    told = _told(args, _add_check, "gentoomuch isa check")
    if not args.cpu:
        raise BadUsage("gentoomuch isa check", "the following arguments are required: --cpu")
    _refuse_names(told.split())
    rows = []
    for cpu in args.cpu:
        arch, has = resolve.cpu(cpu, settings.cache)
        known = tables.compilers(arch) if arch else ()
        if args.compiler and arch and args.compiler not in known:
            raise UnknownCompiler(args.compiler, known)
        needs = resolve.needed_on(arch, requirement.machine_flags(told), settings.cache, args.compiler or "")
        judged = requirement.judge(needs, has)
        verdict = "accept" if judged.accept else "unknown" if judged.code == "unknown" else "reject"
        rows.append({"cpu": cpu, "verdict": verdict, "missing": list(judged.missing), "reason": judged.reason})
    if args.json:
        console.say_json([{key: row[key] for key in ("cpu", "verdict", "missing")} for row in rows])
    elif not args.quiet:
        for row in rows:
            console.say(f"{row['cpu']}: {_worded(row)}")
    return max((_STATUS[str(row["verdict"])] for row in rows), key=(0, 2, 1).index)


def _refuse_names(words: list[str]) -> None:
    """What is no flag says nothing of the code: taken for one, the answer would be that all of it runs.

    Raises:
        BadUsage: there is none, or a word is no flag, perhaps a CPU's name.
    """
    if not words:
        raise BadUsage("gentoomuch isa check", "no FLAGS are given", remedy='gentoomuch isa check "$CFLAGS" --cpu CPU')
    for before, word in zip(["", *words], words, strict=False):
        if not word.startswith("-") and before not in _TAKING:
            raise BadUsage("gentoomuch isa check", f"{word!r} is no flag of a compiler", remedy=f"-march={word} ?")


def _worded(row: dict[str, Any]) -> str:
    match row["verdict"]:
        case "accept":
            return console.good("runs")
        case "reject":
            return console.bad(row["reason"] if not row["missing"] else f"lacks {', '.join(row['missing'])}")
    return f"unknown: {row['reason']}"


COMMAND = group(
    "isa",
    "say what a CPU has, and what runs on it",
    (
        Command("ls", "list the CPUs that are known by name", _add_ls, _ls),
        Command("show", "show the features of a CPU, and what Gentoo and Go call them", _add_show, _show),
        Command("check", "say whether code built with some flags would run on a CPU", _add_check, _check),
    ),
)
