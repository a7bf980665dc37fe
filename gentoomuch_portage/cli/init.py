# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch init``: write the first profile of a machine."""

import argparse
from pathlib import Path

from gentoomuch_portage import console, fs
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.errors import profile_exists
from gentoomuch_portage.cli.parser import Parser
from gentoomuch_portage.config import profile
from gentoomuch_portage.config.settings import Settings


def _add(parser: Parser) -> None:
    parser.add_argument("name", nargs="?", metavar="NAME", help="profile (default: the host name)")
    parser.add_argument("-p", "--pretend", action="store_true", help="print the files instead of writing them")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _work(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.reports import init_profile

    name = profile.valid(args.name or init_profile.default_name(), "profile")
    file = settings.config / "profiles" / f"{name}.toml"
    text = init_profile.format_profile(name, settings.host)
    if file.exists() and not args.pretend:
        raise profile_exists(name, file)
    if args.pretend:
        console.print_json({"name": name, "file": file, "text": text}) if args.json else console.print_result(
            text.rstrip("\n")
        )
        return 0
    for folder in ("profiles", "layers", "patches"):
        fs.ensure(settings.config / folder)
    top = settings.config / "gentoomuch.toml"
    written = [file] if top.exists() else [top, file]
    for place in written:
        fs.write(place, text if place == file else init_profile.DEFAULTS)
    if args.json:
        console.print_json({"name": name, "file": file, "text": text})
    elif not args.quiet:
        _print_summary(settings, name, written)
    return 0


def _print_summary(settings: Settings, name: str, written: list[Path]) -> None:
    """Print the written files, problems that doctor finds, and the next steps."""
    import os

    from gentoomuch_portage.plan.request import Request
    from gentoomuch_portage.reports import doctor

    for place in written:
        console.info(f"wrote {place}")
    for fact in doctor.collect_facts(settings, Request.parse((), os.environ).without):
        if fact.state == "bad":
            console.warning(f"{fact.name}: {fact.text}; hint: {fact.hint}")
    console.info(f"check that it installs the same packages as emerge: gm-emerge --gm-profile={name} -puDN @world")
    console.info(f"make it the default: gentoomuch profile set {name}; add another machine: gentoomuch profile adopt")


COMMAND = Command("init", "write a commented configuration with one profile that equals this machine", _add, _work)
