# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch isa``: features of CPUs, and whether code runs on them."""

import argparse
import shlex
import string
from collections.abc import Sequence
from typing import Any

from gentoomuch_portage import console
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.errors import bad_usage, unknown_compiler
from gentoomuch_portage.cli.output import format_table
from gentoomuch_portage.cli.parser import Parser, add_json_option, group_commands
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.isa import tables

_STATUS = {"accept": 0, "unknown": 2, "reject": 1}
_TAKING = frozenset({"--param", "-D", "-I", "-L", "-U", "-Xclang", "-Xlinker", "-include", "-isystem", "-mllvm"})
"""Flags whose value may be the next argument."""


class _Flag(argparse.Action):
    """A compiler flag among our options, stored as typed."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        namespace.flags = [*(getattr(namespace, self.dest) or ()), f"{option_string or ''}{values or ''}"]


def _flags(parser: Parser, help_: str) -> None:
    """Add compiler flags as arguments, either quoted as one argument or separate."""
    parser.set_defaults(becomes="flags")  # flags may follow --
    parser.add_argument("others", nargs="*", metavar="FLAGS", help=help_)
    for letter in sorted(set(string.ascii_letters) - set("hq")):
        parser.add_argument(f"-{letter}", action=_Flag, dest="flags", nargs="?", help=argparse.SUPPRESS)


def _collect_flags(args: argparse.Namespace, add: Any, prog: str) -> str:
    """Return the compiler flags; options of ours may follow ``--``, too."""
    if args.behind:
        behind = Parser(prog=prog)
        add(behind)
        before = args.others
        behind.parse_args(list(args.behind), args)
        args.others = [*before, *args.others]
    return " ".join([*args.others, *(args.flags or ())])


def _add_ls(parser: Parser) -> None:
    add_json_option(parser)
    text = "architecture (default: this machine's)"
    parser.add_argument("--arch", choices=tables.ARCHES, help=text)


def _ls(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.isa import flags as isa_flags

    arch = args.arch or isa_flags.arch_of("")
    names = tables.cpus(arch)
    console.print_json([{"cpu": name, "arch": arch} for name in names]) if args.json else console.print_results(names)
    return 0


def _add_show(parser: Parser) -> None:
    add_json_option(parser)
    _flags(parser, "CPU with optional features, or compiler flags (default: this machine)")


def _show(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.binhost.query import no_such_cpu
    from gentoomuch_portage.isa import cpu as isa_cpu
    from gentoomuch_portage.isa import resolve

    cpu = _collect_flags(args, _add_show, "gentoomuch isa show") or "native"
    arch, resolved = resolve.capabilities_of_cpu(_keep_machine_flags(cpu), settings.cache)
    if not resolved.known:
        raise no_such_cpu(cpu, resolved.description)
    name, flags = isa_cpu.cpu_flags_of(resolved.features, arch)
    level = isa_cpu.level_of(resolved.features, arch)
    shown = {
        "cpu": cpu,
        "arch": arch,
        "features": sorted(feature.lower() for feature in resolved.features),
        "level": f"x86-64-{level}" if level else "",
        "goamd64": level,
        "cpu_flags": {name: flags} if name else {},
    }
    if args.json:
        console.print_json(shown)
        return 0
    rows = [
        ("architecture", arch),
        ("features", " ".join(shown["features"]) or "those of each CPU of its architecture"),
    ]
    rows += [("level", f"x86-64-{level}"), ("GOAMD64", level)] if level else []
    rows += [(name, flags)] if name else []
    console.print_result(format_table((cpu, ""), rows))
    return 0


def _keep_machine_flags(flags: str) -> str:
    """Return only the flags that select a CPU; the name of a CPU is unchanged."""
    from gentoomuch_portage.isa.requirement import machine_flags

    return " ".join(machine_flags(flags)) or "-mtune=generic" if flags.startswith("-") else flags


def _add_check(parser: Parser) -> None:
    add_json_option(parser)
    cpu_help = "CPU to check, as in a profile; can be repeated"
    parser.add_argument("--cpu", nargs="+", action="extend", metavar="CPU", help=cpu_help)
    parser.add_argument("--compiler", metavar="NAME-MAJOR", help="compiler of the code, such as gcc-12 (default: any)")
    _flags(parser, "flags of the code, as in CFLAGS")


def _check(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.isa import requirement, resolve

    flags = _collect_flags(args, _add_check, "gentoomuch isa check")
    if not args.cpu:
        error = bad_usage("gentoomuch isa check", "the following arguments are required: --cpu")
        raise error.with_correction("", "--cpu", "native")
    _refuse_names(flags.split())
    rows = []
    for cpu in args.cpu:
        arch, has = resolve.capabilities_of_cpu(cpu, settings.cache)
        known = tables.compilers(arch) if arch else ()
        if args.compiler and arch and args.compiler not in known:
            raise unknown_compiler(args.compiler, known)
        needs = resolve.requirement_on(arch, requirement.machine_flags(flags), settings.cache, args.compiler or "")
        judged = requirement.judge(needs, has)
        verdict = "accept" if judged.accept else "unknown" if judged.code == "unknown" else "reject"
        rows.append({"cpu": cpu, "verdict": verdict, "missing": list(judged.missing), "reason": judged.reason})
    if args.json:
        console.print_json([{key: row[key] for key in ("cpu", "verdict", "missing")} for row in rows])
    elif not args.quiet:
        for row in rows:
            console.print_result(f"{row['cpu']}: {_format_row(row)}")
    return max((_STATUS[str(row["verdict"])] for row in rows), key=(0, 2, 1).index)


def _refuse_names(words: list[str]) -> None:
    """Check that all arguments are flags: other words would be ignored, and the code would seem to run everywhere.

    Raises:
        UsageError[usage]: no flag is given, or an argument is not a flag.
    """
    if not words:
        error = bad_usage("gentoomuch isa check", "FLAGS are missing")
        raise error.with_correction("", "-march=x86-64-v3")
    for before, word in zip(["", *words], words, strict=False):
        if not word.startswith("-") and before not in _TAKING:
            hint = f"gentoomuch isa check -march={shlex.quote(word)} --cpu native"
            error = bad_usage("gentoomuch isa check", f"{word!r} is not a compiler flag", hint=hint)
            raise error.with_correction(word, f"-march={word}")


def _format_row(row: dict[str, Any]) -> str:
    match row["verdict"]:
        case "accept":
            return console.good("runs")
        case "reject":
            return console.bad(row["reason"] if not row["missing"] else f"lacks {', '.join(row['missing'])}")
    return f"unknown: {row['reason']}"


COMMAND = group_commands(
    "isa",
    "show features of CPUs, and check what runs on them",
    (
        Command("ls", "list known CPUs", _add_ls, _ls),
        Command("show", "show the features of a CPU, with their names in Gentoo and Go", _add_show, _show),
        Command("check", "check whether code built with these flags runs on a CPU", _add_check, _check),
    ),
)
