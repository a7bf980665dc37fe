"""``gentoomuch bootstrap``: make the root of a profile, by emerge, from a stage3, or from the image of a container.

``gentoomuch freshroot``: a shell or a command in a clean copy-on-write view of a profile's root.

``gentoomuch root``: the roots of profiles; list them, remove one, take one elsewhere.
"""

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from gentoomuch_portage import console, fs
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.errors import BadUsage
from gentoomuch_portage.cli.output import columns
from gentoomuch_portage.cli.parser import Parser, chosen, group, listing, named
from gentoomuch_portage.config import profile as config_profile
from gentoomuch_portage.config.schema import PROFILE, Kinds
from gentoomuch_portage.config.settings import Settings


def _add_bootstrap(parser: Parser) -> None:
    named(parser)
    one_of = parser.add_mutually_exclusive_group(required=True)
    one_of.add_argument(
        "--from-host", action="store_true", help="fill it by emerge, from binary packages where they fit"
    )
    one_of.add_argument("--stage3", metavar="FILE", type=Path, help="unpack a stage3 that Gentoo has signed")
    one_of.add_argument("--oci", metavar="ARCHIVE", type=Path, help="unpack the image of a container (podman save)")
    parser.add_argument("--set", metavar="SET|ATOM", nargs="+", help="what is emerged; @system where left out")
    parser.add_argument("--key", metavar="FILE", type=Path, help="public keys for a stage3; Gentoo's where left out")
    told = "the main key that signs a stage3; Gentoo's release keys where left out"
    parser.add_argument("--fingerprint", metavar="HEX", action="append", default=[], help=told)
    told = "the kind of container; left out: as the profile says, or auto"
    parser.add_argument("--isolation", metavar="KIND", choices=PROFILE["isolation"], help=told)


def _work_bootstrap(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.roots.errors import RootIsHost

    profile = config_profile.read(settings, chosen(settings, args))
    if not profile.foreign:
        raise RootIsHost(profile.name, str(profile.file))
    _fitting(args)
    if args.from_host:
        _from_host(settings, args, profile)
    elif args.stage3:
        _stage3(settings, args, profile.root)
    else:
        _oci(settings, args, profile)
    if not args.quiet:
        console.tell(f"the root of {profile.name} is made: {profile.root}; next: gentoomuch freshroot {profile.name}")
    return 0


def _fitting(args: argparse.Namespace) -> None:
    """Refuse options of another way than the one that is asked for."""
    for name, mine in (("set", args.from_host), ("key", args.stage3), ("fingerprint", args.stage3)):
        if getattr(args, name) and not mine:
            raise BadUsage("gentoomuch bootstrap", f"--{name} has nothing to say here")


def _from_host(settings: Settings, args: argparse.Namespace, profile: config_profile.Profile) -> None:
    from gentoomuch_portage.containers import detect
    from gentoomuch_portage.emerge.profile_view import looked_at
    from gentoomuch_portage.emerge.run import walk
    from gentoomuch_portage.portage_adapter import config
    from gentoomuch_portage.portage_adapter import emerge as portage_emerge
    from gentoomuch_portage.portage_adapter.config import arrangement
    from gentoomuch_portage.roots import bootstrap

    asked = tuple(args.set or ("@system",))
    isolation = args.isolation or profile.contained
    top = Path(f"{profile.root}{portage_emerge.eprefix()}")
    bootstrap.refuse(profile.root)
    detect.chosen(isolation, settings.cache)  # what cannot be had is refused before a root is begun
    with looked_at(settings, profile.name) as view:
        configroot = Path(view.plan.configroot)
        plan = bootstrap.planned(asked, config.repositories(configroot).values())
        arranged = arrangement(configroot)
    ours = [f"--gm-{name}={getattr(settings, name)}" for name in ("config", "state", "cache")]

    def emerge(words: Sequence[str]) -> int:
        return walk("gm-emerge", [*ours, f"--gm-profile={profile.name}", f"--gm-isolation={isolation}", *words])

    bootstrap.fill(
        profile.root,
        top,
        plan,
        emerge,
        arrangement=arranged,
        again=_again(args, profile.name),
        begin=lambda name: None if args.quiet else console.tell(f"bootstrap: emerge {name}"),
    )


def _again(args: argparse.Namespace, name: str) -> str:
    """The command line that goes on."""
    isolation = ("--isolation", args.isolation) if args.isolation else ()
    asked = ("--set", *args.set) if args.set else ()
    return shlex.join(("gentoomuch", "bootstrap", name, "--from-host", *isolation, *asked))


def _stage3(settings: Settings, args: argparse.Namespace, root: Path) -> None:
    from gentoomuch_portage import gpg
    from gentoomuch_portage.roots import install, stage3

    fingerprints = frozenset(map(gpg.plain, args.fingerprint))
    if "" in fingerprints:
        raise BadUsage("gentoomuch bootstrap", "--fingerprint wants all 40 signs of it")
    trusted = stage3.Trusted((args.key or stage3.KEYS).absolute(), fingerprints or stage3.RELEASE_KEYS)
    install.refuse(root)
    with stage3.proven(args.stage3.absolute(), trusted, settings.cache) as found:
        install.place((found.packed,), root, still=found.still, quiet=args.quiet)


def _oci(settings: Settings, args: argparse.Namespace, profile: config_profile.Profile) -> None:
    from gentoomuch_portage.emerge.profile_view import looked_at
    from gentoomuch_portage.isa.requirement import Abi
    from gentoomuch_portage.roots import install, oci

    install.refuse(profile.root)
    with looked_at(settings, profile.name) as view:
        chost = Abi.of(view.plan.abi).chost
    install.place(oci.layers(args.oci.absolute(), chost), profile.root, quiet=args.quiet)


BOOTSTRAP = Command("bootstrap", "make the root of a profile", _add_bootstrap, _work_bootstrap)


def _add_freshroot(parser: Parser) -> None:
    named(parser)
    parser.set_defaults(becomes=True)
    parser.add_argument(
        "--keep", metavar="ROOT", default="", help="keep what was changed under this name, or go on with it"
    )
    parser.add_argument("--network", action="store_true", help="share the host's network")
    kinds = Kinds(one for one in PROFILE["isolation"] if one != "none")
    told = "the kind of container; left out: as the profile says, or auto"
    parser.add_argument("--isolation", metavar="KIND", choices=kinds, help=told)


def _work_freshroot(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.containers import cleanup, detect, fresh_root
    from gentoomuch_portage.emerge.profile_view import looked_at
    from gentoomuch_portage.roots.errors import refuse_empty

    name = chosen(settings, args)
    profile = config_profile.read(settings, name)
    refuse_empty(profile.root, name)
    keep = config_profile.valid(args.keep, "root") if args.keep else ""
    kind = detect.chosen(args.isolation or profile.contained, settings.cache)
    if kind == "none":
        raise detect.NoContainer
    with looked_at(settings, name) as view:
        cleanup.sweep(settings, view.plan)
        if not (args.quiet or args.behind):
            fate = f"what you change is kept as {keep!r}" if keep else "what you change vanishes"
            console.tell(f"a fresh root of {view.plan.root} for profile {name} ({kind}); {fate}; packages are kept")
        status, packages = fresh_root.enter(view.plan, settings, kind, args.behind, keep=keep, network=args.network)
    if packages and not args.quiet:
        console.tell(f"{packages} {'package was' if packages == 1 else 'packages were'} kept")
    return status


FRESHROOT = Command(
    "freshroot", "work in a clean copy-on-write view of a profile's root", _add_freshroot, _work_freshroot
)


def _ls(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.portage_adapter import emerge as portage_emerge
    from gentoomuch_portage.roots.manage import roots

    found = list(roots(settings, portage_emerge.eprefix()))
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
    from gentoomuch_portage.containers import lifecycle, root_lock
    from gentoomuch_portage.roots import bootstrap, manage
    from gentoomuch_portage.roots.errors import NoFreshRoot, NoRoot, NotAgreed, NotARoot, RootIsHost

    profile = config_profile.read(settings, args.name)
    if args.fresh:
        folder = lifecycle.kept(settings, profile.name, config_profile.valid(args.fresh, "root"))
        if args.fresh not in (names := manage.kept(settings, profile.name)):
            raise NoFreshRoot(args.fresh, profile.name, names)
    elif not profile.foreign:
        raise RootIsHost(profile.name, str(profile.file))
    else:
        folder = profile.root
    if folder.is_symlink() or not folder.is_dir():
        raise NoRoot(folder, profile.name)
    if not args.fresh and any(folder.iterdir()) and not bootstrap.is_root(folder):
        raise NotARoot(folder)
    manage.unmounted(folder)
    if not (args.yes or console.agreed(f"remove {folder} and all that is in it?")):
        raise NotAgreed(str(folder))
    with root_lock.alone(folder):
        manage.clear(folder)
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
    from gentoomuch_portage.containers import root_lock
    from gentoomuch_portage.roots import bootstrap
    from gentoomuch_portage.roots.errors import RootIsHost, UnfinishedRoot, refuse_empty

    profile = config_profile.read(settings, chosen(settings, args))
    if not profile.foreign:
        raise RootIsHost(profile.name, str(profile.file))
    if args.output.is_dir() or fs.is_stream(args.output):  # two others are written beside it
        raise BadUsage("gentoomuch root export", f"{args.output} is no plain file")
    _plain_tar(args)
    refuse_empty(profile.root, profile.name)
    if bootstrap.begun(profile.root):
        raise UnfinishedRoot(profile.root, profile.name)
    if args.output.absolute().parent.resolve().is_relative_to(profile.root.resolve()):
        raise BadUsage("gentoomuch root export", f"{args.output} is in the root, and would be in itself")
    with root_lock.alone(profile.root):
        written = _exported(settings, args, profile)
    if not args.quiet:
        for file in written:
            console.tell(f"{file}  {file.stat().st_size / 1e6:.1f} MB")
    return 0


def _plain_tar(args: argparse.Namespace) -> None:
    """Refuse a name that says another packing than the file would have."""
    from gentoomuch_portage.roots.pack import SUFFIXES

    suffix = args.output.suffix
    if args.format == "tar" and args.output.name.endswith(f".tar{suffix}") and suffix not in SUFFIXES:
        known = ", ".join(f".tar.{one}" for one in ("gz", "xz", "zst"))
        raise BadUsage("gentoomuch root export", f"{args.output.name}: a tar is packed as its name ends: .tar, {known}")


def _exported(settings: Settings, args: argparse.Namespace, profile: config_profile.Profile) -> tuple[Path, ...]:
    from gentoomuch_portage.emerge.profile_view import looked_at
    from gentoomuch_portage.isa.requirement import Abi
    from gentoomuch_portage.portage_adapter import emerge as portage_emerge
    from gentoomuch_portage.portage_adapter import runtime_deps
    from gentoomuch_portage.portage_adapter.config import arrangement
    from gentoomuch_portage.roots import export

    top = Path(f"{profile.root}{portage_emerge.eprefix()}")
    export.recorded(profile.root, top)
    with looked_at(settings, profile.name) as view:
        configroot = Path(view.plan.configroot)
        try:
            packages, missing = runtime_deps.packages(configroot, profile.root, args.packages)
        except LookupError as error:
            raise BadUsage("gentoomuch root export", str(error)) from error
        arranged = arrangement(configroot)
    for one in missing:
        console.warn(f"needed and not installed: {one}")
    what = export.Export(
        root=profile.root,
        top=top,
        name=profile.name,
        packages=packages,
        arrangement=arranged,
        thin=bool(args.packages),
        chost=Abi.of(view.plan.abi).chost,
    )
    return export.export(what, args.format, args.output.absolute())


COMMAND = group(
    "root",
    "list the roots of profiles, remove one, take one elsewhere",
    (
        Command("ls", "list the roots and the fresh roots that were kept", listing, _ls),
        Command("rm", "remove the root of a profile", _add_rm, _rm),
        Command("export", "write a root as one file: tar, OCI image or squashfs", _add_export, _export),
    ),
)
