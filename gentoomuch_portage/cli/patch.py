# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch patch``: create, build, save and check patch sets."""

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gentoomuch_portage import console
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.errors import no_active_profile, unknown_patch_set
from gentoomuch_portage.cli.output import format_table
from gentoomuch_portage.cli.parser import (
    Parser,
    add_json_option,
    add_profile_option,
    group_commands,
    require_known_profile,
)
from gentoomuch_portage.config import profile
from gentoomuch_portage.config.schema import ISOLATION
from gentoomuch_portage.config.settings import Settings

if TYPE_CHECKING:
    from gentoomuch_portage.binpkg_filter.built import CpuExceeded
    from gentoomuch_portage.patches.build import BuildResult
    from gentoomuch_portage.plan.plan import Plan
    from gentoomuch_portage.reports.patches import PatchFinding


def _add(parser: Parser) -> None:
    parser.add_argument("--yes", action="store_true", help="remove unsaved changes without asking")
    parser.add_argument("set", metavar="SET", help="patch set with work trees")


def _work(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.patches import patch_set, save, worktree
    from gentoomuch_portage.roots.errors import not_confirmed

    name = profile.valid(args.set, "patch set")
    benches = worktree.load_set(settings, name)
    for bench in benches if not args.yes else ():
        lost = not save.is_saved(bench, patch_set.folder(settings, name))
        if lost and not console.confirm(f"remove {bench.tree}, which has unsaved changes?"):
            raise not_confirmed(str(bench.tree))
    worktree.drop(settings, benches)
    if not args.quiet:
        console.info(f"removed {', '.join(str(bench.tree) for bench in benches)}")
    return 0


DROP = Command("drop", "remove the work trees of a patch set; its patches are kept", _add, _work)


def _add_ls(parser: Parser) -> None:
    add_json_option(parser)


def _ls(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.patches import patch_set, worktree

    users, benches = patch_set.find_users(settings), worktree.load_all(settings)
    rows: list[dict[str, Any]] = [
        {
            "set": name,
            "packages": sorted({f"{patch.category}/{patch.package}" for patch in patches if patch.category}),
            "patches": len([patch for patch in patches if patch.category]),
            "profiles": users.get(name, []),
            "trees": [str(bench.tree) for bench in benches if bench.set == name],
        }
        for name in sorted({*patch_set.names(settings), *(bench.set for bench in benches)})
        for patches in [list(patch_set.list_files(name, patch_set.folder(settings, name)))]
    ]
    if args.json:
        console.print_json(rows)
    elif rows:
        console.print_result(format_table(("set", "patches", "profiles", "packages"), [_row(row) for row in rows]))
        console.print_results(f"work trees: {tree}" for row in rows for tree in row["trees"])
    elif not args.quiet:
        console.info("no patch sets")
    return 0


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    profiles = ", ".join(row["profiles"]) or "-"
    return row["set"], str(row["patches"]), profiles, ", ".join(row["packages"]) or "-"


def _add_prep(parser: Parser) -> None:
    add_profile_option(parser)
    parser.add_argument(
        "--from", dest="old", metavar="VERSION", default="", help="apply the patches of this version to the new one"
    )
    parser.add_argument("set", metavar="SET", help="patch set, new or existing")
    parser.add_argument("atom", metavar="ATOM", help="package; with a version, the patch applies only to that version")
    parser.add_argument("version", metavar="VERSION", nargs="?", help="version, the same as =ATOM-VERSION")


def _prep(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.emerge.profile_view import load_view
    from gentoomuch_portage.patches import prepare
    from gentoomuch_portage.reports.patches import load_packages

    name = profile.valid(args.set, "patch set")
    atom = f"={args.atom}-{args.version}" if args.version else args.atom
    with (
        load_view(settings, require_known_profile(settings, args), without="patches") as view,
        load_packages(view, settings) as world,
    ):
        made = prepare.prepare_worktree(settings, world, name, atom, old=args.old)
    console.print_result(str(made.bench.tree))
    if made.conflict:
        console.info(made.conflict)
        return 1
    if not args.quiet:
        console.info(f"edit the files, commit if you like; then: gentoomuch patch try {name}")
    return 0


def _add_try(parser: Parser) -> None:
    add_profile_option(parser)
    parser.add_argument(
        "--isolation",
        metavar="KIND",
        choices=ISOLATION,
        help="container type for the build (default: as in the profile)",
    )
    parser.add_argument("set", metavar="SET", help="patch set with work trees")


def _try(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.emerge.profile_view import load_view
    from gentoomuch_portage.patches import build, worktree
    from gentoomuch_portage.reports.patches import load_packages

    benches = worktree.load_set(settings, profile.valid(args.set, "patch set"))
    status = 0
    with load_view(settings, require_known_profile(settings, args)) as view, load_packages(view, settings) as world:
        if not args.quiet:
            console.info(f"building {', '.join(bench.cpv for bench in benches)} for profile {view.plan.profile}")
        plan = replace(view.plan, isolation=args.isolation or view.plan.isolation)
        for tried in build.build_worktrees(settings, plan, benches, world.ebuilds):
            how = " incrementally" if tried.again else ""
            if not tried.status and (excess := _excess(tried, plan, settings)):
                console.info(excess.report())
                return excess.status
            if tried.status:
                console.print_result(tried.tail)
                console.info(f"{tried.bench.cpv} failed to build{how}: {tried.log}")
            elif not args.quiet:
                console.info(f"{tried.bench.cpv} builds{how}")
            status = status or tried.status
    return status


def _excess(tried: "BuildResult", plan: "Plan", settings: Settings) -> "CpuExceeded | None":
    """Return why a run would reject the built package, or None."""
    from gentoomuch_portage.binpkg_filter import machine_code
    from gentoomuch_portage.isa import resolve
    from gentoomuch_portage.portage_adapter import build_info

    measured = build_info.measured(tried.folder, tried.bench.cpv, plan.root, resolve.recorder(settings.cache))
    return machine_code.find_excess(measured, plan, settings)


def _add_save(parser: Parser) -> None:
    parser.add_argument("--series", action="store_true", help="write one patch per commit instead of one patch")
    parser.add_argument("-m", "--message", default="", metavar="TEXT", help="subject of the patch")
    parser.add_argument("set", metavar="SET", help="patch set with work trees")


def _save(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage import git
    from gentoomuch_portage.patches import patch_set, save, worktree

    name = profile.valid(args.set, "patch set")
    made = [
        (bench, save.make_patches(bench, series=args.series, message=args.message))
        for bench in worktree.load_set(settings, name)
    ]
    for bench, pieces in made:
        if left := git.list_ignored(bench.tree):
            console.warning(f"ignored because of .gitignore (use git add -f): {', '.join(left)}")
        kept, changed = save.store(bench, pieces, patch_set.folder(settings, name))
        kept.save()
        console.print_results(f"{'' if path.exists() else 'removed '}{path}" for path in changed)
        if not changed and not args.quiet:
            console.info(f"{bench.cpv}: no changes")
    if not args.quiet:
        if name not in patch_set.find_users(settings):
            console.info(f"no profile uses these patches yet: gentoomuch patch use {name}")
        console.info(f"continue in the work trees, or remove them: gentoomuch patch drop {name}")
    return 0


def _add_use(parser: Parser) -> None:
    one_of = parser.add_mutually_exclusive_group()
    add_profile_option(one_of)
    one_of.add_argument("--all", action="store_true", help="all profiles that have no list of their own")
    parser.add_argument("--remove", action="store_true", help="no longer use it")
    parser.add_argument("set", metavar="SET", help="patch set")


def _use(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.config import edit, schema
    from gentoomuch_portage.patches import patch_set

    name = profile.valid(args.set, "patch set")
    if not args.remove and name not in (known := patch_set.names(settings)):
        raise unknown_patch_set(name, known)
    if args.all:
        file = settings.config / "gentoomuch.toml"
        changed = edit.change_list(file, schema.GENTOOMUCH, "patches", name, remove=args.remove)
    else:
        file, sets = (machine := profile.read(settings, require_known_profile(settings, args))).file, machine.patches
        changed = edit.change_list(file, schema.PROFILE, "patches", name, default=sets, remove=args.remove)
    if not args.quiet:
        console.info(f"{'changed' if changed else 'no change in'} {file}")
        if changed:
            console.info("rebuild packages installed with other patches: gm-emerge @gm-patches-changed")
    return 0


def _add_check(parser: Parser) -> None:
    add_json_option(parser)
    parser.add_argument("--profile", metavar="NAME", help="only the sets of this profile (default: all)")


def _check(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.reports import patches

    names = (args.profile,) if args.profile else profile.names(settings)
    if not names:
        raise no_active_profile(names)
    findings = patches.check_patches(settings, names)
    if args.json:
        console.print_json([_finding(finding) for finding in findings])
    else:
        for reported in findings:
            finding = reported.finding
            place = f"{finding.file}:{finding.line}" if finding.line else str(finding.file)
            about = f" [{finding.package}]" if finding.package else ""
            suffix = console.faint(f"({', '.join(reported.profiles)})")
            console.print_result(f"{place}: {console.bad(finding.kind)}: {finding.text}{about}  {suffix}")
        if any(reported.finding.kind == "changed" for reported in findings) and not args.quiet:
            console.info("rebuild packages installed with other patches: gm-emerge @gm-patches-changed")
        if not findings and not args.quiet:
            console.info("all patches apply")
    return int(bool(findings))


def _finding(reported: "PatchFinding") -> dict[str, Any]:
    shown = {key: getattr(reported.finding, key) for key in ("file", "line", "kind", "text", "package")}
    return {**shown, "profiles": list(reported.profiles)}


COMMAND = group_commands(
    "patch",
    "create, build, save and check patches of packages",
    (
        Command("ls", "list patch sets and the profiles that use them", _add_ls, _ls),
        Command("check", "find patches that no longer apply, without building", _add_check, _check),
        Command("prep", "unpack the sources of a package into a git work tree", _add_prep, _prep),
        Command("try", "build from the work trees of a patch set, without installing", _add_try, _try),
        Command("save", "save the changes in work trees as patches", _add_save, _save),
        Command("use", "add a patch set to a profile, or remove it", _add_use, _use),
        DROP,
    ),
)
