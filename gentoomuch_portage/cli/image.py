# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch image``: list, build and explain the images of profiles."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gentoomuch_portage import console
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.errors import bad_usage
from gentoomuch_portage.cli.output import format_table
from gentoomuch_portage.cli.parser import Parser, add_json_option, group_commands
from gentoomuch_portage.config import isolation_kinds
from gentoomuch_portage.config.schema import ISOLATION, IsolationKinds
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import GmError
from gentoomuch_portage.startup import LazyModule

if TYPE_CHECKING:
    from gentoomuch_portage.images import build, plan, state
    from gentoomuch_portage.images.plan import Images
    from gentoomuch_portage.images.state import ImageState
else:
    build = LazyModule("gentoomuch_portage.images.build")
    plan = LazyModule("gentoomuch_portage.images.plan")
    state = LazyModule("gentoomuch_portage.images.state")

_KINDS = IsolationKinds(kind for kind in ISOLATION if kind not in {isolation_kinds.NONE, isolation_kinds.VM.name})


def _ls(settings: Settings, args: argparse.Namespace) -> int:
    loaded = state.load_all(settings, plan.load_images(settings))
    if args.json:
        console.print_json([state.as_data(name, each) for name, each in loaded.items()])
    elif loaded:
        rows = [_row(name, each) for name, each in loaded.items()]
        console.print_result(format_table(("image", "parent", "formats", "state", "details"), rows))
    else:
        _report_none(quiet=args.quiet)
    return 0


def _report_none(*, quiet: bool) -> int:
    if not quiet:
        console.info("no profile has an image (hint: [image] in profiles)")
    return 0


def _row(name: str, each: "ImageState | GmError") -> tuple[str, str, str, str, str]:
    if isinstance(each, GmError):
        return name, "", "", console.bad(state.INVALID), each.message
    colour = console.good if each.state == state.CURRENT else console.bad
    return name, each.plan.parent, " ".join(each.plan.formats), colour(each.state), _shorten(each.reasons)


def _add_build(parser: Parser) -> None:
    add_json_option(parser)
    parser.add_argument(
        "names", metavar="NAME", nargs="*", help="profiles with an image; their parents are built first"
    )
    parser.add_argument("--all", action="store_true", help="all images")
    parser.add_argument("-p", "--pretend", action="store_true", help="only show what would be built")
    parser.add_argument("--force", action="store_true", help="also build images that are current")
    text = "container type (default: as in the profile, or auto)"
    parser.add_argument("--isolation", metavar="KIND", choices=_KINDS, help=text)


def _build(settings: Settings, args: argparse.Namespace) -> int:
    if bool(args.names) == args.all:
        raise bad_usage("gentoomuch image build", "use either names of images or --all")
    images = plan.load_images(settings)
    plans = images.order(args.names or images.plans)
    if not plans:
        return _report_none(quiet=args.quiet)
    forced = set(images.plans if args.all else args.names) if args.force else set()
    results: list[dict[str, Any]] = []
    states: dict[str, ImageState] = {}
    with console.results_apart(apart=True):
        for each in plans:
            loaded = states[each.name] = state.load_state(settings, each, states.get(each.parent))
            result = "current"
            if loaded.reasons or each.name in forced:
                result = "to build" if args.pretend else "built"
                if not args.pretend:
                    _build_one(settings, images, states, each.name, args)
            results.append({"name": each.name, "result": result, "reasons": list(loaded.reasons)})
    if args.json:
        console.print_json(results)
    elif not args.quiet:
        rows = [(row["name"], row["result"], _shorten(row["reasons"])) for row in results]
        console.print_result(format_table(("image", "result", "reason"), rows))
    return 0


def _build_one(
    settings: Settings, images: "Images", states: "dict[str, ImageState]", name: str, args: argparse.Namespace
) -> None:
    for library in states[name].missing:
        console.warning(f"image {name}: no package has the library {library}")
    if not args.quiet:
        console.info(f"gentoomuch: building image {name}")
    parents = [states[above.name] for above in images.chain(name)[:0:-1]]
    folder = build.build_image(states[name], parents, settings, isolation=args.isolation or "")
    if not args.quiet:
        console.info(f"gentoomuch: image {name} is in {folder}")


def _shorten(reasons: Sequence[str]) -> str:
    more = f" and {len(reasons) - 1} more" if len(reasons) > 1 else ""
    return f"{reasons[0]}{more}" if reasons else ""


def _add_why(parser: Parser) -> None:
    add_json_option(parser)
    parser.add_argument("name", metavar="NAME", help="profile with an image")


def _why(settings: Settings, args: argparse.Namespace) -> int:
    loaded: ImageState | None = None
    for each in plan.load_images(settings).order([args.name]):
        loaded = state.load_state(settings, each, loaded)
    assert loaded is not None
    if args.json:
        console.print_json(state.as_data(args.name, loaded))
    elif not loaded.reasons:
        if not args.quiet:
            console.print_result(f"image {args.name} is current")
    else:
        console.print_result("\n".join(loaded.reasons))
    return int(bool(loaded.reasons))


def _graph(settings: Settings, args: argparse.Namespace) -> int:
    images = plan.load_images(settings)
    for name, error in images.errors.items():
        console.warning(f"profile {name}: {error.message}")
    if args.json:
        console.print_json([{"name": name, "parent": each.parent} for name, each in sorted(images.plans.items())])
        return 0
    lines = [f'  "{name}";' for name in sorted(images.plans)]
    lines += [f'  "{each.parent}" -> "{name}";' for name, each in sorted(images.plans.items()) if each.parent]
    console.print_result("\n".join(["digraph images {", *lines, "}"]))
    return 0


COMMAND = group_commands(
    "image",
    "list and build images of profiles",
    (
        Command("ls", "list images, and whether they are current", add_json_option, _ls),
        Command("build", "build images that are not current, after their parents", _add_build, _build),
        Command("why", "report what changed since an image was built", _add_why, _why),
        Command("graph", "print images and their parents as a graph for dot", add_json_option, _graph),
    ),
)
