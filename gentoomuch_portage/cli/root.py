# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch freshroot`` and ``root``: enter, list, remove and export roots. Snapshots: ``root_snapshots``."""

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from gentoomuch_portage import console, fs, history
from gentoomuch_portage.cli import root_snapshots
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.errors import bad_usage
from gentoomuch_portage.cli.output import format_table
from gentoomuch_portage.cli.parser import Parser, add_json_option, add_profile_argument, group_commands, require_profile
from gentoomuch_portage.config import profile as config_profile
from gentoomuch_portage.config.schema import ISOLATION, IsolationKinds
from gentoomuch_portage.config.settings import Settings


def _add_freshroot(parser: Parser) -> None:
    add_profile_argument(parser)
    parser.set_defaults(becomes=True)
    parser.add_argument(
        "--keep", metavar="ROOT", default="", help="save changes under this name, or continue with saved ones"
    )
    parser.add_argument("--network", action="store_true", help="use the host's network")
    kinds = IsolationKinds(kind for kind in ISOLATION if kind != "none")
    text = "container type (default: as in the profile, or auto)"
    parser.add_argument("--isolation", metavar="KIND", choices=kinds, help=text)


def _work_freshroot(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.containers import cleanup, detect, fresh_root
    from gentoomuch_portage.emerge.profile_view import load_view
    from gentoomuch_portage.roots.errors import check_filled

    name = require_profile(settings, args)
    profile = config_profile.read(settings, name)
    check_filled(profile.root, name)
    keep = config_profile.valid(args.keep, "root") if args.keep else ""
    kind = detect.resolve(args.isolation or profile.contained, settings.cache)
    if kind == "none":
        raise detect.no_container()
    with load_view(settings, name) as view:
        cleanup.recover(settings, view.plan)
        if not (args.quiet or args.behind):
            fate = f"changes are saved as {keep!r}" if keep else "changes are discarded"
            fate += "; packages of the first emerge are saved to PKGDIR"
            console.info(f"a fresh root of {view.plan.root} for profile {name} ({kind}); {fate}")
        status, packages = fresh_root.enter(view.plan, settings, kind, args.behind, keep=keep, network=args.network)
    if packages and not args.quiet:
        console.info(f"{packages} {'package was' if packages == 1 else 'packages were'} saved to PKGDIR")
    return status


FRESHROOT = Command(
    "freshroot", "run a shell or command in a disposable copy of a profile's root", _add_freshroot, _work_freshroot
)


def _add_enter(parser: Parser) -> None:
    add_profile_argument(parser)
    parser.set_defaults(becomes=True)
    parser.add_argument("-u", "--user", metavar="USER", default="", help="user of the root (default: root)")
    parser.add_argument("--network", action="store_true", help="use the host's network")
    kinds = IsolationKinds(kind for kind in ISOLATION if kind != "none")
    text = "container type (default: as in the profile, or auto)"
    parser.add_argument("--isolation", metavar="KIND", choices=kinds, help=text)


def _enter(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.configroot.cross import has_own_portage
    from gentoomuch_portage.containers import cleanup, detect, fresh_root
    from gentoomuch_portage.emerge.profile_view import load_view
    from gentoomuch_portage.roots.errors import check_filled, partial_root, root_is_host

    profile = config_profile.read(settings, require_profile(settings, args))
    if not profile.foreign:
        raise root_is_host(profile.name, str(profile.file))
    check_filled(profile.root, profile.name)
    is_bootable = has_own_portage(profile.root)
    if args.user and not is_bootable:
        raise partial_root(profile.root, profile.name)
    kind = detect.resolve(args.isolation or profile.contained, settings.cache)
    if kind == "none":
        raise detect.no_container()
    command = _as_user(args.user, args.behind) if args.user else args.behind
    arguments = ("root", "enter", profile.name, *(("--user", args.user) if args.user else ()), *args.behind)
    with load_view(settings, profile.name) as view:
        cleanup.recover(settings, view.plan)
        if not (args.quiet or args.behind):
            where = f"in {profile.root}" if is_bootable else f"in a view of this host, with {profile.root}"
            console.info(f"a shell {where} for profile {profile.name} ({kind}); changes of the root are permanent")
        with history.recording(settings.state, profile.name, arguments, "enter") as record:
            record.status, packages = fresh_root.enter(
                view.plan, settings, kind, command, network=args.network, changes_root=True
            )
    if packages and not args.quiet:
        console.info(f"{packages} {'package was' if packages == 1 else 'packages were'} saved to PKGDIR")
    return record.status


def _as_user(user: str, command: Sequence[str]) -> tuple[str, ...]:
    """Return the command line that runs a command, or the user's shell, as a user.

    Users of services have a shell that only ends; a command is run by another one.
    """
    return ("su", "--login", user, *(("--shell", "/bin/sh", "--command", shlex.join(command)) if command else ()))


def _ls(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.portage_adapter import paths
    from gentoomuch_portage.roots.manage import roots

    listed = list(roots(settings, paths.eprefix()))
    if args.json:
        console.print_json([row._asdict() for row in listed])
    elif listed:
        cells = [
            (row.profile, str(row.root), row.state, str(row.packages), " ".join(row.fresh_roots)) for row in listed
        ]
        console.print_result(format_table(("profile", "root", "state", "packages", "saved fresh roots"), cells))
    elif not args.quiet:
        console.info("no profile has a separate root")
    return 0


def _add_rm(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", help="profile")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--fresh", metavar="ROOT", default="", help="remove a saved fresh root instead of the root")
    text = "remove a snapshot instead of the root"
    instead.add_argument("--generation", metavar="N", type=root_snapshots.parse_generation, default=0, help=text)
    parser.add_argument("--yes", action="store_true", help="do not ask")


def _rm(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.containers import lifecycle, root_lock
    from gentoomuch_portage.roots import bootstrap, manage, snapshots
    from gentoomuch_portage.roots.errors import no_fresh_root, no_root, not_a_root, not_confirmed, root_is_host

    if args.generation:
        return root_snapshots.remove(settings, args)
    profile = config_profile.read(settings, args.name)
    if args.fresh:
        folder = lifecycle.kept_root(settings, profile.name, config_profile.valid(args.fresh, "root"))
        if args.fresh not in (names := manage.kept_roots(settings, profile.name)):
            raise no_fresh_root(args.fresh, profile.name, names)
    elif not profile.foreign:
        raise root_is_host(profile.name, str(profile.file))
    else:
        folder = profile.root
    if folder.is_symlink() or not folder.is_dir():
        raise no_root(folder, profile.name)
    if not args.fresh and any(folder.iterdir()) and not bootstrap.is_root(folder):
        raise not_a_root(folder)
    manage.check_unmounted(folder)
    if not (args.yes or console.confirm(f"remove {folder} and its contents?")):
        raise not_confirmed(str(folder))
    with root_lock.exclusive(folder):
        manage.clear(folder)
    if not args.quiet:
        console.info(f"removed {folder}")
        if not args.fresh and snapshots.generations(folder):
            console.info(f"its snapshots remain; gentoomuch root rollback {profile.name} restores the newest")
    return 0


def _add_export(parser: Parser) -> None:
    add_profile_argument(parser)
    parser.add_argument(
        "--format", choices=("tar", "oci", "squashfs"), default="tar", help="format of the archive (default: tar)"
    )
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, required=True, help="output file; - is stdout")
    text = "only these packages and their runtime dependencies"
    parser.add_argument("--packages", metavar="ATOM", nargs="+", default=[], help=text)


def _export(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.containers import root_lock
    from gentoomuch_portage.roots import bootstrap
    from gentoomuch_portage.roots.errors import check_filled, root_is_host, unfinished_root

    profile = config_profile.read(settings, require_profile(settings, args))
    if not profile.foreign:
        raise root_is_host(profile.name, str(profile.file))
    if args.output.is_dir() or fs.is_stream(args.output):  # two other files are written beside it
        raise bad_usage("gentoomuch root export", f"{args.output} is not a regular file")
    _plain_tar(args)
    check_filled(profile.root, profile.name)
    if bootstrap.is_begun(profile.root):
        raise unfinished_root(profile.root, profile.name)
    if args.output.absolute().parent.resolve().is_relative_to(profile.root.resolve()):
        raise bad_usage("gentoomuch root export", f"{args.output} is inside the root that is exported")
    with root_lock.exclusive(profile.root):
        written = _exported(settings, args, profile)
    if not args.quiet:
        for file in written:
            console.info(f"{file}  {file.stat().st_size / 1e6:.1f} MB")
    return 0


def _plain_tar(args: argparse.Namespace) -> None:
    """Reject a file name whose suffix does not match the compression."""
    from gentoomuch_portage.roots.pack import SUFFIXES

    suffix = args.output.suffix
    if args.format == "tar" and args.output.name.endswith(f".tar{suffix}") and suffix not in SUFFIXES:
        known = ", ".join(f".tar.{suffix}" for suffix in ("gz", "xz", "zst"))
        error = bad_usage("gentoomuch root export", f"{args.output.name}: unknown suffix; use .tar, {known}")
        raise error.with_correction(str(args.output), str(args.output.with_suffix("")))


def _exported(settings: Settings, args: argparse.Namespace, profile: config_profile.Profile) -> tuple[Path, ...]:
    from gentoomuch_portage.emerge.profile_view import load_view
    from gentoomuch_portage.isa.abi import Abi
    from gentoomuch_portage.portage_adapter import paths, runtime_deps
    from gentoomuch_portage.portage_adapter.config import arrangement
    from gentoomuch_portage.roots import export

    top = Path(f"{profile.root}{paths.eprefix()}")
    export.check_records(profile.root, top)
    with load_view(settings, profile.name) as view:
        configroot = Path(view.plan.configroot)
        try:
            packages, missing = runtime_deps.packages(configroot, profile.root, args.packages)
        except LookupError as error:
            raise bad_usage("gentoomuch root export", str(error)) from error
        arranged = arrangement(configroot)
    for dependency in missing:
        console.warning(f"required but not installed: {dependency}")
    what = export.Export(
        root=profile.root,
        top=top,
        name=profile.name,
        packages=packages,
        arrangement=arranged,
        thin=bool(args.packages),
        chost=Abi.parse(view.plan.abi).chost,
    )
    return export.export(what, args.format, args.output.absolute())


COMMAND = group_commands(
    "root",
    "list, enter, remove, export and roll back roots of profiles",
    (
        Command("ls", "list roots and saved fresh roots", add_json_option, _ls),
        Command("enter", "run a shell or command in a root; its changes are permanent", _add_enter, _enter),
        *root_snapshots.COMMANDS,
        Command("rm", "remove the root of a profile", _add_rm, _rm),
        Command("export", "export a root as tar, OCI image or squashfs", _add_export, _export),
    ),
)
