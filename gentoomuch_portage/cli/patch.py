"""``gentoomuch patch``: patch sets, whether they still apply, and the loop of making one.

``gentoomuch patch drop``: end the work trees of a set; what is saved stays.
"""

import argparse
from dataclasses import replace
from typing import Any

from gentoomuch_portage import console
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.errors import NoProfileSet
from gentoomuch_portage.cli.output import columns
from gentoomuch_portage.cli.parser import Parser, group, listing, profile_named, profiled
from gentoomuch_portage.config import profile
from gentoomuch_portage.config.schema import PROFILE
from gentoomuch_portage.config.settings import Settings


def _add(parser: Parser) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask, though something is not saved")
    parser.add_argument("set", metavar="SET", help="a patch set with work trees; its patches stay")


def _work(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.patches import patch_set, save, worktree
    from gentoomuch_portage.roots.errors import NotAgreed

    name = profile.valid(args.set, "patch set")
    benches = worktree.of(settings, name)
    for one in benches if not args.yes else ():
        lost = not save.is_saved(one, patch_set.folder(settings, name))
        if lost and not console.agreed(f"remove {one.tree}, which holds what is not saved?"):
            raise NotAgreed(str(one.tree))
    worktree.drop(settings, benches)
    if not args.quiet:
        console.tell(f"removed {', '.join(str(one.tree) for one in benches)}")
    return 0


DROP = Command("drop", "remove the work trees of a set; its patches stay", _add, _work)


def _add_ls(parser: Parser) -> None:
    listing(parser)


def _ls(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.patches import patch_set, worktree

    users, benches = patch_set.users(settings), worktree.every(settings)
    rows: list[dict[str, Any]] = [
        {
            "set": name,
            "packages": sorted({f"{one.category}/{one.package}" for one in found if one.category}),
            "patches": len([one for one in found if one.category]),
            "profiles": users.get(name, []),
            "trees": [str(one.tree) for one in benches if one.set == name],
        }
        for name in sorted({*patch_set.names(settings), *(one.set for one in benches)})
        for found in [list(patch_set.saved(name, patch_set.folder(settings, name)))]
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
    from gentoomuch_portage.emerge.profile_view import looked_at
    from gentoomuch_portage.patches import prepare
    from gentoomuch_portage.reports.patches import world_of

    name = profile.valid(args.set, "patch set")
    with (
        looked_at(settings, profile_named(settings, args), without="patches") as view,
        world_of(view, settings) as world,
    ):
        made = prepare.prep(settings, world, name, args.atom, old=args.old)
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
    from gentoomuch_portage.emerge.profile_view import looked_at
    from gentoomuch_portage.patches import build, worktree
    from gentoomuch_portage.reports.patches import world_of

    benches = worktree.of(settings, profile.valid(args.set, "patch set"))
    status = 0
    with looked_at(settings, profile_named(settings, args)) as view, world_of(view, settings) as world:
        if not args.quiet:
            console.tell(f"building {', '.join(one.cpv for one in benches)} for profile {view.plan.profile}")
        plan = replace(view.plan, isolation=args.isolation or view.plan.isolation)
        for tried in build.attempts(settings, plan, benches, world.ebuilds):
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
    from gentoomuch_portage import git
    from gentoomuch_portage.patches import patch_set, save, worktree

    name = profile.valid(args.set, "patch set")
    made = [(one, save.pieces(one, series=args.series, message=args.message)) for one in worktree.of(settings, name)]
    for bench, pieces in made:
        if left := git.ignored(bench.tree):
            console.warn(f"left out, for .gitignore names them (git add -f): {', '.join(left)}")
        kept, changed = save.store(bench, pieces, patch_set.folder(settings, name))
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
    from gentoomuch_portage.reports import patches

    names = (args.profile,) if args.profile else profile.names(settings)
    if not names:
        raise NoProfileSet(names)
    found = patches.examine(settings, names)
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
        DROP,
    ),
)
