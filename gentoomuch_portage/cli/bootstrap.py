"""``gentoomuch bootstrap``: make the root of a profile, by emerge, from a stage3, or from the image of a container."""

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from gentoomuch_portage import console, profiles
from gentoomuch_portage.cli import Command
from gentoomuch_portage.cli.errors import BadUsage
from gentoomuch_portage.cli.parser import Parser, chosen, named
from gentoomuch_portage.settings import Settings
from gentoomuch_portage.tables import PROFILE


def _add(parser: Parser) -> None:
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


def _work(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.roots.errors import RootIsHost

    profile = profiles.read(settings, chosen(settings, args))
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


def _from_host(settings: Settings, args: argparse.Namespace, profile: profiles.Profile) -> None:
    from gentoomuch_portage.containers import probes
    from gentoomuch_portage.portage_adapter import front, query
    from gentoomuch_portage.portage_adapter.arrangement import arrangement
    from gentoomuch_portage.roots import hosting
    from gentoomuch_portage.view import looked_at
    from gentoomuch_portage.walk import walk

    asked = tuple(args.set or ("@system",))
    isolation = args.isolation or profile.contained
    top = Path(f"{profile.root}{front.eprefix()}")
    hosting.refuse(profile.root)
    probes.chosen(isolation, settings.cache)  # what cannot be had is refused before a root is begun
    with looked_at(settings, profile.name) as view:
        configroot = Path(view.plan.configroot)
        plan = hosting.planned(asked, query.repositories(configroot).values())
        arranged = arrangement(configroot)
    ours = [f"--gm-{name}={getattr(settings, name)}" for name in ("config", "state", "cache")]

    def emerge(words: Sequence[str]) -> int:
        return walk("gm-emerge", [*ours, f"--gm-profile={profile.name}", f"--gm-isolation={isolation}", *words])

    hosting.fill(
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
    from gentoomuch_portage.binserve import gpg
    from gentoomuch_portage.roots import archives, placing, releases

    fingerprints = frozenset(map(gpg.plain, args.fingerprint))
    if "" in fingerprints:
        raise BadUsage("gentoomuch bootstrap", "--fingerprint wants all 40 signs of it")
    trusted = releases.Trusted((args.key or releases.KEYS).absolute(), fingerprints or releases.RELEASE_KEYS)
    placing.refuse(root)
    with releases.proven(args.stage3.absolute(), trusted, settings.cache) as found:
        archives.place((found.packed,), root, still=found.still, quiet=args.quiet)


def _oci(settings: Settings, args: argparse.Namespace, profile: profiles.Profile) -> None:
    from gentoomuch_portage.abis import Abi
    from gentoomuch_portage.roots import archives, images, placing
    from gentoomuch_portage.view import looked_at

    placing.refuse(profile.root)
    with looked_at(settings, profile.name) as view:
        chost = Abi.of(view.plan.abi).chost
    archives.place(images.layers(args.oci.absolute(), chost), profile.root, quiet=args.quiet)


COMMAND = Command("bootstrap", "make the root of a profile", _add, _work)
