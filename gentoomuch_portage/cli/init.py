"""``gentoomuch init``: the first steps on a machine."""

import argparse
from pathlib import Path

from gentoomuch_portage import console, fs
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.errors import ProfileExists
from gentoomuch_portage.cli.parser import Parser
from gentoomuch_portage.config import profile
from gentoomuch_portage.config.settings import Settings


def _add(parser: Parser) -> None:
    parser.add_argument("name", nargs="?", metavar="NAME", help="the profile; this machine's name where left out")
    parser.add_argument("-p", "--pretend", action="store_true", help="print what would be written, and write nothing")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _work(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.reports import init_profile

    name = profile.valid(args.name or init_profile.host_name(), "profile")
    file = settings.config / "profiles" / f"{name}.toml"
    text = init_profile.profile_text(name, settings.host)
    if file.exists() and not args.pretend:
        raise ProfileExists(name, file)
    if args.pretend:
        console.say_json({"name": name, "file": file, "text": text}) if args.json else console.say(text.rstrip("\n"))
        return 0
    for folder in ("profiles", "layers", "patches"):
        fs.ensure(settings.config / folder)
    top = settings.config / "gentoomuch.toml"
    written = [file] if top.exists() else [top, file]
    for place in written:
        fs.write(place, text if place == file else init_profile.DEFAULTS)
    if args.json:
        console.say_json({"name": name, "file": file, "text": text})
    elif not args.quiet:
        _tell(settings, name, written)
    return 0


def _tell(settings: Settings, name: str, written: list[Path]) -> None:
    """What was written, what doctor finds wrong, and what may come next."""
    import os

    from gentoomuch_portage.plan.request import Request
    from gentoomuch_portage.reports import doctor

    for place in written:
        console.tell(f"wrote {place}")
    for fact in doctor.facts(settings, Request.of((), os.environ).without):
        if fact.state == "bad":
            console.warn(f"{fact.name}: {fact.text}; try: {fact.remedy}")
    console.tell(f"see that it equals emerge: gm-emerge --gm-profile={name} -puDN @world")
    console.tell(
        f"from now on without a word: gentoomuch profile set {name}; a further machine: gentoomuch profile adopt"
    )


COMMAND = Command(
    "init", "write a configuration with one profile that equals this machine, each line explained", _add, _work
)
