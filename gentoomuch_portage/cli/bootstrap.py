# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch bootstrap``: create the root of a profile."""

import argparse
import shlex
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gentoomuch_portage import console
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.errors import bad_usage
from gentoomuch_portage.cli.parser import Parser, add_profile_argument, require_profile
from gentoomuch_portage.config import profile as config_profile
from gentoomuch_portage.config.schema import ISOLATION
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import GmError, MachineError, RunError

if TYPE_CHECKING:
    from gentoomuch_portage.roots.at_hand import Kind
    from gentoomuch_portage.roots.stage3 import Verified


def _add(parser: Parser) -> None:
    add_profile_argument(parser)
    one_of = parser.add_mutually_exclusive_group()
    text = "install with emerge, from binary packages where possible (default without such a stage3)"
    one_of.add_argument("--from-host", action="store_true", help=text)
    text = "unpack a stage3 signed by Gentoo (default: the newest in DISTDIR that fits the profile)"
    one_of.add_argument("--stage3", metavar="FILE", type=Path, help=text)
    one_of.add_argument("--oci", metavar="ARCHIVE", type=Path, help="unpack a container image (podman save)")
    text = "sets and packages to install (default: @system, and @machine if the profile has packages)"
    parser.add_argument("--set", metavar="SET|ATOM", nargs="+", help=text)
    parser.add_argument("--key", metavar="FILE", type=Path, help="public keys for the stage3 (default: Gentoo's)")
    text = "main key of the stage3's signature (default: Gentoo's release keys)"
    parser.add_argument("--fingerprint", metavar="HEX", action="append", default=[], help=text)
    text = "container type (default: as in the profile, or auto)"
    parser.add_argument("--isolation", metavar="KIND", choices=ISOLATION, help=text)


def _work(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.roots.errors import root_is_host

    profile = config_profile.read(settings, require_profile(settings, args))
    if not profile.foreign:
        raise root_is_host(profile.name, str(profile.file))
    _check_options(args)
    if args.from_host:
        _from_host(settings, args, profile)
    elif args.stage3:
        with _verified(settings, args, profile.root, args.stage3.absolute()) as archive:
            _unpack(args, profile.root, archive)
    elif args.oci:
        _oci(settings, args, profile)
    else:
        _from_what_is_at_hand(settings, args, profile)
    if not args.quiet:
        console.info(
            f"created root {profile.root} of profile {profile.name}; next: gentoomuch freshroot {profile.name}"
        )
    return 0


def _check_options(args: argparse.Namespace) -> None:
    """Reject options that belong to another source than the chosen one."""
    source = args.from_host or args.stage3 or args.oci
    for name, mine in (("set", args.from_host), ("key", args.stage3), ("fingerprint", args.stage3)):
        if getattr(args, name) and source and not mine:
            error = bad_usage("gentoomuch bootstrap", f"--{name} cannot be used with this source")
            raise error.with_correction(f"--{name}", length=2)


def _from_host(settings: Settings, args: argparse.Namespace, profile: config_profile.Profile) -> None:
    from gentoomuch_portage.containers import detect
    from gentoomuch_portage.emerge.profile_view import load_view
    from gentoomuch_portage.emerge.run import run
    from gentoomuch_portage.portage_adapter import config, paths
    from gentoomuch_portage.portage_adapter.config import arrangement
    from gentoomuch_portage.roots import bootstrap

    isolation = args.isolation or profile.contained
    top = Path(f"{profile.root}{paths.eprefix()}")
    bootstrap.check_empty(profile.root)
    detect.resolve(isolation, settings.cache)  # check options before a root is created
    with load_view(settings, profile.name) as view:
        configroot = Path(view.plan.configroot)
        default = ("@system", "@machine") if view.composed.machine else ("@system",)
        plan = bootstrap.plan_steps(args.set or default, config.repositories(configroot).values())
        arranged = arrangement(configroot)
    ours = [f"--gm-{name}={getattr(settings, name)}" for name in ("config", "state", "cache")]

    def emerge(words: Sequence[str]) -> int:
        return run("gm-emerge", [*ours, f"--gm-profile={profile.name}", f"--gm-isolation={isolation}", *words])

    bootstrap.fill(
        profile.root,
        top,
        plan,
        emerge,
        arrangement=arranged,
        again=_again(args, profile.name),
        begin=lambda name: None if args.quiet else console.info(f"bootstrap: emerge {name}"),
    )


def _again(args: argparse.Namespace, name: str) -> str:
    """Return the command that continues an interrupted bootstrap."""
    isolation = ("--isolation", args.isolation) if args.isolation else ()
    options = ("--set", *args.set) if args.set else ()
    return shlex.join(("gentoomuch", "bootstrap", name, "--from-host", *isolation, *options))


@contextmanager
def _verified(settings: Settings, args: argparse.Namespace, root: Path, file: Path) -> Iterator["Verified"]:
    """Verify a stage3 with the keys of the command line."""
    from gentoomuch_portage import gpg
    from gentoomuch_portage.roots import install, stage3

    fingerprints = frozenset(map(gpg.parse_fingerprint, args.fingerprint))
    if "" in fingerprints:
        error = bad_usage("gentoomuch bootstrap", "--fingerprint requires all 40 hexadecimal digits")
        raise error.with_correction("--fingerprint", length=2)  # Gentoo's keys are required then
    trusted = stage3.Trusted((args.key or stage3.KEYS).absolute(), fingerprints or stage3.RELEASE_KEYS)
    install.check_free(root)
    with stage3.verified(file, trusted, settings.cache) as archive:
        yield archive


def _unpack(args: argparse.Namespace, root: Path, archive: "Verified") -> None:
    from gentoomuch_portage.roots import install

    install.install((archive.packed,), root, recheck=archive.recheck, quiet=args.quiet)


def _oci(settings: Settings, args: argparse.Namespace, profile: config_profile.Profile) -> None:
    from gentoomuch_portage.emerge.profile_view import load_view
    from gentoomuch_portage.isa.abi import Abi
    from gentoomuch_portage.roots import install, oci

    install.check_free(profile.root)
    with load_view(settings, profile.name) as view:
        chost = Abi.parse(view.plan.abi).chost
    install.install(oci.layers(args.oci.absolute(), chost), profile.root, quiet=args.quiet)


@dataclass(frozen=True, slots=True)
class _AtHand:
    """What the root of a profile can be created from, without a download."""

    distdir: Path
    kind: "Kind"
    stage3s: tuple[Path, ...]
    obstacle: GmError | None
    """Why this host cannot install into the root; None if it can."""


def _find_at_hand(settings: Settings, args: argparse.Namespace, profile: config_profile.Profile) -> _AtHand:
    from gentoomuch_portage.configroot import cross
    from gentoomuch_portage.containers import detect
    from gentoomuch_portage.containers.host_paths import Places
    from gentoomuch_portage.emerge.profile_view import load_view
    from gentoomuch_portage.isa.abi import Abi
    from gentoomuch_portage.portage_adapter import config
    from gentoomuch_portage.roots.at_hand import Kind, find_stage3s
    from gentoomuch_portage.roots.errors import no_repository

    with load_view(settings, profile.name) as view:
        configroot = Path(view.plan.configroot)
        distdir = Places.load(view.plan, settings).distdir
        kind = Kind.of_profile(Abi.parse(view.plan.abi).chost, config.load(configroot).profile)
        obstacle: GmError | None = None
        if not any(folder.is_dir() for folder in config.repositories(configroot).values()):
            obstacle = no_repository(profile.name)
        else:
            obstacle = cross.find_missing_compiler(view.plan)
    try:
        detect.resolve(args.isolation or profile.contained, settings.cache)
    except GmError as error:
        obstacle = error
    return _AtHand(distdir, kind, find_stage3s(distdir, kind), obstacle)


def _from_what_is_at_hand(settings: Settings, args: argparse.Namespace, profile: config_profile.Profile) -> None:
    """Unpack the newest stage3 in DISTDIR that fits and can be verified; without one, install from this host.

    Raises:
        RunError[no-source]: neither is possible.
    """
    from gentoomuch_portage.roots import bootstrap
    from gentoomuch_portage.roots.errors import no_source, root_taken

    bootstrap.check_empty(profile.root)
    is_begun = bootstrap.is_begun(profile.root)
    if args.set or is_begun:
        reason = "the bootstrap of this root has begun there" if is_begun else "--set is given"
        _print_choice(args, f"from this host, because {reason}")
        _from_host(settings, args, profile)
        return
    if bootstrap.is_root(profile.root):
        raise root_taken(profile.root, "it exists already", hint=f"gentoomuch update {profile.name}")
    at_hand = _find_at_hand(settings, args, profile)
    for file in at_hand.stage3s:
        with ExitStack() as stack:
            try:
                archive = stack.enter_context(_verified(settings, args, profile.root, file))
            except (RunError, MachineError) as error:
                console.warning(f"{file} is not used: {error.message}")
                continue
            _print_choice(args, f"from {file}, the newest verified {at_hand.kind} in DISTDIR")
            _unpack(args, profile.root, archive)
            return
    where = f"no verified {at_hand.kind} in {at_hand.distdir}"
    if at_hand.obstacle:
        raise no_source(profile.root, where, at_hand.obstacle, profile.name)
    _print_choice(args, f"from this host, because there is {where}")
    _from_host(settings, args, profile)


def _print_choice(args: argparse.Namespace, text: str) -> None:
    if not args.quiet:
        console.info(f"bootstrap: {text}")


BOOTSTRAP = Command("bootstrap", "create the root of a profile", _add, _work)
