"""``gentoomuch patch``: patch sets, whether they still apply, and the loop of making one."""

import argparse
from dataclasses import replace
from typing import Any

from gentoomuch_portage import console, profiles
from gentoomuch_portage.cli import Command, patch_drop
from gentoomuch_portage.cli.columns import columns
from gentoomuch_portage.cli.errors import NoProfileSet
from gentoomuch_portage.cli.parser import Parser, group, listing, profile_named, profiled
from gentoomuch_portage.settings import Settings
from gentoomuch_portage.tables import PROFILE


def _add_ls(parser: Parser) -> None:
    listing(parser)


def _ls(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.patches import sets, workbench

    users, benches = sets.users(settings), workbench.every(settings)
    rows: list[dict[str, Any]] = [
        {
            "set": name,
            "packages": sorted({f"{one.category}/{one.package}" for one in found if one.category}),
            "patches": len([one for one in found if one.category]),
            "profiles": users.get(name, []),
            "trees": [str(one.tree) for one in benches if one.set == name],
        }
        for name in sorted({*sets.names(settings), *(one.set for one in benches)})
        for found in [list(sets.saved(name, sets.folder(settings, name)))]
    ]
    if args.json:
        console.say_json(rows)
    elif rows:
        console.say(columns(("set", "patches", "profiles", "packages"), [_row(one) for one in rows]))
        console.say_each(f"being made: {tree}" for one in rows for tree in one["trees"])
    elif not args.quiet:
        console.tell("there are no patch sets")
    return 0


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    profiles = ", ".join(one["profiles"]) or "-"
    return one["set"], str(one["patches"]), profiles, ", ".join(one["packages"]) or "-"


def _add_prep(parser: Parser) -> None:
    profiled(parser)
    parser.add_argument(
        "--from", dest="old", metavar="VERSION", default="", help="bring the patches of this version over"
    )
    parser.add_argument("set", metavar="SET", help="a patch set; made where it is new")
    parser.add_argument("atom", metavar="ATOM", help="a package; with a version, the patch is for that version alone")


def _prep(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.patchcheck import world_of
    from gentoomuch_portage.patches import prep
    from gentoomuch_portage.view import looked_at

    name = profiles.valid(args.set, "patch set")
    with (
        looked_at(settings, profile_named(settings, args), without="patches") as view,
        world_of(view, settings) as world,
    ):
        made = prep.prep(settings, world, name, args.atom, old=args.old)
    console.say(str(made.bench.tree))
    if made.conflict:
        console.tell(made.conflict)
        return 1
    if not args.quiet:
        console.tell(f"edit there, git commit if you like; then: gentoomuch patch try {name}")
    return 0


def _add_try(parser: Parser) -> None:
    profiled(parser)
    parser.add_argument(
        "--isolation",
        metavar="KIND",
        choices=PROFILE["isolation"],
        help="where to build; left out: as the profile says",
    )
    parser.add_argument("set", metavar="SET", help="a patch set with work trees")


def _try(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.patchcheck import world_of
    from gentoomuch_portage.patches import attempt, workbench
    from gentoomuch_portage.view import looked_at

    benches = workbench.of(settings, profiles.valid(args.set, "patch set"))
    status = 0
    with looked_at(settings, profile_named(settings, args)) as view, world_of(view, settings) as world:
        if not args.quiet:
            console.tell(f"building {', '.join(one.cpv for one in benches)} for profile {view.plan.profile}")
        plan = replace(view.plan, isolation=args.isolation or view.plan.isolation)
        for tried in attempt.attempts(settings, plan, benches, world.ebuilds):
            how = " on what was built before" if tried.again else ""
            if tried.status:
                console.say(tried.tail)
                console.tell(f"{tried.bench.cpv} did not build{how}: {tried.log}")
            elif not args.quiet:
                console.tell(f"{tried.bench.cpv} builds{how}")
            status = status or tried.status
    return status


def _add_save(parser: Parser) -> None:
    parser.add_argument("--series", action="store_true", help="a patch for each commit, instead of one for all")
    parser.add_argument("-m", "--message", default="", metavar="TEXT", help="subject of the patch")
    parser.add_argument("set", metavar="SET", help="a patch set with work trees")


def _save(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.patches import git, save, sets, workbench

    name = profiles.valid(args.set, "patch set")
    made = [(one, save.pieces(one, series=args.series, message=args.message)) for one in workbench.of(settings, name)]
    for bench, pieces in made:
        if left := git.ignored(bench.tree):
            console.warn(f"left out, for .gitignore names them (git add -f): {', '.join(left)}")
        kept, changed = save.store(bench, pieces, sets.folder(settings, name))
        kept.keep()
        console.say_each(f"{'' if path.exists() else 'removed '}{path}" for path in changed)
        if not changed and not args.quiet:
            console.tell(f"{bench.cpv}: nothing is new")
    if not args.quiet:
        console.tell(f"go on in the work trees, or end them: gentoomuch patch drop {name}")
    return 0


def _add_check(parser: Parser) -> None:
    listing(parser)
    parser.add_argument("--profile", metavar="NAME", help="the sets of this profile alone; of all where left out")


def _check(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage import patchcheck

    names = (args.profile,) if args.profile else profiles.names(settings)
    if not names:
        raise NoProfileSet(names)
    found = patchcheck.examine(settings, names)
    if args.json:
        console.say_json([_finding(one) for one in found])
    else:
        for one in found:
            place = f"{one.finding.file}:{one.finding.line}" if one.finding.line else str(one.finding.file)
            about = f" [{one.finding.package}]" if one.finding.package else ""
            told = console.faint(f"({', '.join(one.profiles)})")
            console.say(f"{place}: {console.bad(one.finding.kind)}: {one.finding.text}{about}  {told}")
        if any(one.finding.kind == "changed" for one in found) and not args.quiet:
            console.tell("what is installed with other patches is rebuilt by: gm-emerge @gm-patches-changed")
        if not found and not args.quiet:
            console.tell("every patch applies")
    return int(bool(found))


def _finding(one: Any) -> dict[str, Any]:
    shown = {key: getattr(one.finding, key) for key in ("file", "line", "kind", "text", "package")}
    return {**shown, "profiles": list(one.profiles)}


COMMAND = group(
    "patch",
    "make, keep and check patches of packages",
    (
        Command("ls", "list patch sets, and which profiles have them", _add_ls, _ls),
        Command("check", "find patches that no longer apply, without building", _add_check, _check),
        Command("prep", "unpack a package as user patches find it, in git", _add_prep, _prep),
        Command("try", "build what stands in the work trees of a set", _add_try, _try),
        Command("save", "make the work trees of a set its patches", _add_save, _save),
        patch_drop.COMMAND,
    ),
)
