"""``gentoomuch root``: the roots of profiles; list them, remove one, take one elsewhere."""

import argparse
from pathlib import Path

from gentoomuch_portage import console, files, profiles
from gentoomuch_portage.cli import Command
from gentoomuch_portage.cli.columns import columns
from gentoomuch_portage.cli.errors import BadUsage
from gentoomuch_portage.cli.parser import Parser, chosen, group, listing, named
from gentoomuch_portage.settings import Settings


def _ls(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.portage_adapter import front
    from gentoomuch_portage.roots.listing import roots

    found = list(roots(settings, front.eprefix()))
    if args.json:
        console.say_json([one._asdict() for one in found])
    elif found:
        cells = [(one.profile, str(one.root), one.state, str(one.packages), " ".join(one.kept)) for one in found]
        console.say(columns(("profile", "root", "state", "packages", "kept fresh roots"), cells))
    elif not args.quiet:
        console.tell("no profile has a root of its own")
    return 0


def _add_rm(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", help="the profile")
    parser.add_argument("--fresh", metavar="ROOT", default="", help="remove a kept fresh root instead of the root")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def _rm(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.containers import boxes, tenants
    from gentoomuch_portage.roots import listing as known
    from gentoomuch_portage.roots import removing, steps
    from gentoomuch_portage.roots.errors import NoFreshRoot, NoRoot, NotAgreed, NotARoot, RootIsHost

    profile = profiles.read(settings, args.name)
    if args.fresh:
        folder = boxes.kept(settings, profile.name, profiles.valid(args.fresh, "root"))
        if args.fresh not in (names := known.kept(settings, profile.name)):
            raise NoFreshRoot(args.fresh, profile.name, names)
    elif not profile.foreign:
        raise RootIsHost(profile.name, str(profile.file))
    else:
        folder = profile.root
    if folder.is_symlink() or not folder.is_dir():
        raise NoRoot(folder, profile.name)
    if not args.fresh and any(folder.iterdir()) and not steps.is_root(folder):
        raise NotARoot(folder)
    removing.unmounted(folder)
    if not (args.yes or console.agreed(f"remove {folder} and all that is in it?")):
        raise NotAgreed(str(folder))
    with tenants.alone(folder):
        removing.clear(folder)
    if not args.quiet:
        console.tell(f"removed {folder}")
    return 0


def _add_export(parser: Parser) -> None:
    named(parser)
    parser.add_argument("--format", choices=("tar", "oci", "squashfs"), default="tar", help="tar where left out")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, required=True, help="where it is written")
    told = "only these packages and what they need to run"
    parser.add_argument("--packages", metavar="ATOM", nargs="+", default=[], help=told)


def _export(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.containers import tenants
    from gentoomuch_portage.roots import steps
    from gentoomuch_portage.roots.errors import RootIsHost, UnfinishedRoot, refuse_empty

    profile = profiles.read(settings, chosen(settings, args))
    if not profile.foreign:
        raise RootIsHost(profile.name, str(profile.file))
    if args.output.is_dir() or files.is_stream(args.output):  # two others are written beside it
        raise BadUsage("gentoomuch root export", f"{args.output} is no plain file")
    _plain_tar(args)
    refuse_empty(profile.root, profile.name)
    if steps.begun(profile.root):
        raise UnfinishedRoot(profile.root, profile.name)
    if args.output.absolute().parent.resolve().is_relative_to(profile.root.resolve()):
        raise BadUsage("gentoomuch root export", f"{args.output} is in the root, and would be in itself")
    with tenants.alone(profile.root):
        written = _exported(settings, args, profile)
    if not args.quiet:
        for file in written:
            console.tell(f"{file}  {file.stat().st_size / 1e6:.1f} MB")
    return 0


def _plain_tar(args: argparse.Namespace) -> None:
    """Refuse a name that says another packing than the file would have."""
    from gentoomuch_portage.roots.packing import SUFFIXES

    suffix = args.output.suffix
    if args.format == "tar" and args.output.name.endswith(f".tar{suffix}") and suffix not in SUFFIXES:
        known = ", ".join(f".tar.{one}" for one in ("gz", "xz", "zst"))
        raise BadUsage("gentoomuch root export", f"{args.output.name}: a tar is packed as its name ends: .tar, {known}")


def _exported(settings: Settings, args: argparse.Namespace, profile: profiles.Profile) -> tuple[Path, ...]:
    from gentoomuch_portage.abis import Abi
    from gentoomuch_portage.portage_adapter import front, runtime
    from gentoomuch_portage.portage_adapter.arrangement import arrangement
    from gentoomuch_portage.roots import exporting
    from gentoomuch_portage.view import looked_at

    top = Path(f"{profile.root}{front.eprefix()}")
    exporting.recorded(profile.root, top)
    with looked_at(settings, profile.name) as view:
        configroot = Path(view.plan.configroot)
        try:
            packages, missing = runtime.packages(configroot, profile.root, args.packages)
        except LookupError as error:
            raise BadUsage("gentoomuch root export", str(error)) from error
        arranged = arrangement(configroot)
    for one in missing:
        console.warn(f"needed and not installed: {one}")
    what = exporting.Export(
        root=profile.root,
        top=top,
        name=profile.name,
        packages=packages,
        arrangement=arranged,
        thin=bool(args.packages),
        chost=Abi.of(view.plan.abi).chost,
    )
    return exporting.export(what, args.format, args.output.absolute())


COMMAND = group(
    "root",
    "list the roots of profiles, remove one, take one elsewhere",
    (
        Command("ls", "list the roots and the fresh roots that were kept", listing, _ls),
        Command("rm", "remove the root of a profile", _add_rm, _rm),
        Command("export", "write a root as one file: tar, OCI image or squashfs", _add_export, _export),
    ),
)
