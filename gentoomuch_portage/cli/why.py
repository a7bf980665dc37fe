"""``gentoomuch why``: one page over all that is decided about a package."""

import argparse
import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from gentoomuch_portage import console
from gentoomuch_portage.cli.binpkg import worded
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.history import builds, told
from gentoomuch_portage.cli.parser import Parser, listing, profile_named, profiled
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.portage_adapter.binpkg import RECORDED

if TYPE_CHECKING:
    from gentoomuch_portage.portage_adapter.installed import Installed
    from gentoomuch_portage.reports.why import Decisions, Mask


def _add(parser: Parser) -> None:
    listing(parser)
    profiled(parser)
    parser.add_argument("cpv", metavar="CPV", help="a package, with or without version")


def _work(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.emerge.profile_view import looked_at
    from gentoomuch_portage.reports import why

    name = profile_named(settings, args)
    with looked_at(settings, name) as view:
        found = why.of(args.cpv, view, settings)
    if args.json:
        console.say_json(_data(found, name))
        return 0
    console.say(f"{console.heading(found.package)} for profile {name}")
    for title, lines in _sections(found):
        shown = list(lines)
        console.say(f"\n{console.heading(title)}{'' if shown else ': none'}")
        console.say_each(f"  {line}" for line in shown)
    return 0


def _sections(found: "Decisions") -> Iterator[tuple[str, Iterable[str]]]:
    yield "ebuilds", _ebuilds(found)
    yield "installed", (_installed(one) for one in found.installed)
    yield "binary packages", _binpkgs(found)
    yield (
        "unmasked",
        (f"{one.kind}: {one.line}, since {one.since}, for {_asked(one.required_by)}" for one in found.unmasked),
    )
    yield "user patches", (f"{cpv}: {name}  {console.faint(str(file))}" for cpv, name, file in found.patches)
    yield (
        "said of it",
        (f"{one.kind}: {' '.join((one.atom, *one.words))}  {console.faint(str(one.place))}" for one in found.lines),
    )
    yield "last builds", builds(found.builds).splitlines() if found.builds else ()


def _ebuilds(found: "Decisions") -> Iterator[str]:
    best = next((one for one, masks in reversed(found.ebuilds) if not masks), None)
    for one, masks in reversed(found.ebuilds):
        yield f"{one.cpv}::{one.repository}  {console.good('taken') if one == best else _state(masks)}"
        yield from (f"    {mask.kind}: {mask.reason}{f'; {mask.against}' if mask.against else ''}" for mask in masks)


def _state(masks: "Iterable[Mask]") -> str:
    """What a run that needs an ebuild does with it."""
    if any(mask.against for mask in masks):
        return console.bad("masked")
    return "may be taken, once unmasked" if masks else "may be taken"


def _installed(one: "Installed") -> str:
    built = _built_with(one)
    return f'{one.cpv}  USE="{" ".join(sorted(one.use))}"{f"  built with {built}" if built else ""}'


def _built_with(one: "Installed") -> str:
    """The machine flags that it recorded of its build; empty where it was built without us."""
    return str(json.loads(one.told[RECORDED])["told"]) if RECORDED in one.told else ""


def _asked(required_by: tuple[str, ...]) -> str:
    return ", then ".join(required_by) or "the command line"


def _binpkgs(found: "Decisions") -> Iterator[str]:
    for one in found.binpkgs:
        offer = one.offer.binpkg
        yield f"{offer.name}  {worded(one)}  {console.faint(offer.where)}"
        yield from (f"    {code}: {text}" for code, text in one.reasons)


def _data(found: "Decisions", profile: str) -> dict[str, Any]:
    return {
        "package": found.package,
        "profile": profile,
        "ebuilds": [
            {
                "cpv": one.cpv,
                "repository": one.repository,
                "visible": one.visible,
                "where": str(one.path),
                "masks": [mask._asdict() for mask in masks],
            }
            for one, masks in found.ebuilds
        ],
        "installed": [
            {"cpv": one.cpv, "use": sorted(one.use), "built_with": _built_with(one)} for one in found.installed
        ],
        "binpkgs": [
            {
                "name": one.offer.binpkg.name,
                "where": one.offer.binpkg.where,
                "verdict": "accept" if one.taken else "reject",
                "reasons": [{"code": code, "reason": text} for code, text in one.reasons],
                "unmasks": sorted(one.lifted),
            }
            for one in found.binpkgs
        ],
        "unmasked": [one._asdict() for one in found.unmasked],
        "patches": [{"cpv": cpv, "name": name, "file": str(file)} for cpv, name, file in found.patches],
        "lines": [
            {"file": one.kind, "atom": one.atom, "words": one.words, "layer": one.layer, "where": str(one.place)}
            for one in found.lines
        ],
        "builds": [told(one) for one in found.builds],
    }


COMMAND = Command("why", "say on one page all that is decided about a package", _add, _work)
