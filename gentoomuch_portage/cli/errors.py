# SPDX-License-Identifier: GPL-2.0-or-later
"""Errors of the command line of gentoomuch."""

import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

from gentoomuch_portage.errors import RunError, UsageError, listed, nearest


def bad_usage(program: str, what: str, *, hint: str = "") -> UsageError:
    """An option or argument is missing, unknown or not valid."""
    return UsageError(what, code="usage", hint=hint or f"{program} --help")


_EMERGE = "gm-emerge --gm-profile=NAME PACKAGE"
_SYNONYMS: Mapping[str, str] = {
    **dict.fromkeys(("gentoomuch emerge", "gentoomuch install", "gentoomuch merge", "gentoomuch add"), _EMERGE),
    "gentoomuch upgrade": "gentoomuch update",
    **dict.fromkeys(
        ("gentoomuch unmerge", "gentoomuch uninstall", "gentoomuch remove", "gentoomuch rm"),
        "gm-emerge --gm-profile=NAME --depclean PACKAGE",
    ),
    **dict.fromkeys(("gentoomuch search", "gentoomuch find"), "gm-emerge --gm-profile=NAME --search WORD"),
    **dict.fromkeys(
        ("gentoomuch list", "gentoomuch ls", "gentoomuch machines", "gentoomuch profiles"), "gentoomuch profile ls"
    ),
    **dict.fromkeys(("gentoomuch use", "gentoomuch set", "gentoomuch switch"), "gentoomuch profile set NAME"),
    **dict.fromkeys(("gentoomuch new", "gentoomuch create"), "gentoomuch profile add NAME --root DIR"),
    **dict.fromkeys(("gentoomuch import", "gentoomuch adopt"), "gentoomuch profile adopt FROM NAME"),
    **dict.fromkeys(("gentoomuch check", "gentoomuch lint"), "gentoomuch profile lint"),
    **dict.fromkeys(("gentoomuch shell", "gentoomuch run", "gentoomuch sandbox"), "gentoomuch freshroot NAME"),
    **dict.fromkeys(
        (
            *("gentoomuch chroot", "gentoomuch enter", "gentoomuch exec", "gentoomuch attach", "gentoomuch login"),
            *("gentoomuch arch-chroot", "gentoomuch gentoo-chroot", "gentoomuch root chroot", "gentoomuch root shell"),
        ),
        "gentoomuch root enter NAME",
    ),
    **dict.fromkeys(
        ("gentoomuch rollback", "gentoomuch undo", "gentoomuch revert", "gentoomuch root restore"),
        "gentoomuch root rollback NAME",
    ),
    **dict.fromkeys(("gentoomuch snapshot", "gentoomuch commit"), "gentoomuch root snapshot NAME"),
    **dict.fromkeys(("gentoomuch stage", "gentoomuch stage3"), "gentoomuch bootstrap NAME"),
    **dict.fromkeys(("gentoomuch stage4", "gentoomuch export"), "gentoomuch root export NAME --output FILE.tar.zst"),
    "gentoomuch pipeline": "gentoomuch update --all",
    "gentoomuch clean": "gentoomuch doctor --clean",
    "gentoomuch kernel": "gm-emerge --gm-profile=NAME sys-kernel/gentoo-kernel",
    **dict.fromkeys(("gentoomuch ps", "gentoomuch roots"), "gentoomuch root ls"),
    **dict.fromkeys(("gentoomuch rmi", "gentoomuch destroy"), "gentoomuch root rm NAME"),
    "gentoomuch root bootstrap": "gentoomuch bootstrap NAME",
    "gentoomuch emaint": "gentoomuch binhost check --fix",
    **dict.fromkeys(("gentoomuch backup", "gentoomuch save"), "gentoomuch freeze NAME FILE"),
    **dict.fromkeys(("gentoomuch restore", "gentoomuch load"), "gentoomuch thaw FILE"),
    **dict.fromkeys(("gentoomuch log", "gentoomuch genlop", "gentoomuch qlop"), "gentoomuch history"),
    **dict.fromkeys(("gentoomuch serve", "gentoomuch server"), "gentoomuch binhost serve"),
    **dict.fromkeys(("gentoomuch cpu", "gentoomuch march"), "gentoomuch isa --help"),
    **dict.fromkeys(("gentoomuch keywords", "gentoomuch autounmask", "gentoomuch ledger"), "gentoomuch unmask ls"),
    **dict.fromkeys(("gentoomuch setup", "gentoomuch configure"), "gentoomuch init"),
    **dict.fromkeys(("gentoomuch profile copy", "gentoomuch profile clone"), "gentoomuch profile add NEW --from OTHER"),
    "gentoomuch profile import": "gentoomuch profile adopt FROM NAME",
    "gentoomuch profile check": "gentoomuch profile lint NAME",
    **dict.fromkeys(
        ("gentoomuch profile active", "gentoomuch profile cat", "gentoomuch profile get", "gentoomuch profile current"),
        "gentoomuch profile show",
    ),
    **dict.fromkeys(("gentoomuch patch edit", "gentoomuch patch new"), "gentoomuch patch prep SET ATOM"),
    **dict.fromkeys(
        ("gentoomuch patch build", "gentoomuch patch test", "gentoomuch patch compile"), "gentoomuch patch try SET"
    ),
    **dict.fromkeys(("gentoomuch binhost add", "gentoomuch binhost use"), "gentoomuch binhost client URL"),
    **dict.fromkeys(("gentoomuch binhost rm", "gentoomuch binhost remove"), "gentoomuch binhost client URL --remove"),
    "gentoomuch patch profiles": "gentoomuch patch use SET --profile NAME",
    "gentoomuch binhost clean": "gentoomuch binhost client URL --fresh",
    **dict.fromkeys(("gentoomuch binhost run", "gentoomuch binhost start"), "gentoomuch binhost serve"),
    **dict.fromkeys(("gentoomuch unmask rm", "gentoomuch unmask remove"), "gentoomuch unmask drop ATOM"),
}
"""What people type that is no command -> what they look for."""


def unknown_command(program: str, name: str, known: Iterable[str]) -> UsageError:
    """gentoomuch and its plugins have no command of this name."""
    known = list(known)
    synonyms = (typed.removeprefix(f"{program} ") for typed in _SYNONYMS if typed.startswith(f"{program} "))
    near = nearest(name, [*(typed for typed in synonyms if " " not in typed), *known])
    example = _SYNONYMS.get(f"{program} {name}") or _SYNONYMS.get(f"{program} {near}")
    error = UsageError(
        f"unknown command {name!r} of {program} {listed(known, most=30)}",
        code="unknown-command",
        hint=example or (f"{program} {near}" if near else f"{program} --help"),
    )
    meant = (example or f"{program} {near}").removeprefix(f"{program} ").split()
    return error.with_correction(name, *meant) if example or near else error


def commands_conflict(name: str, first: str, second: str) -> RunError:
    """Two plugins, or a plugin and gentoomuch, have a command of the same name."""
    return RunError(
        f"command {name!r} exists twice: in {first} and in {second}",
        code="commands-conflict",
        hint="gentoomuch plugins",
    )


def no_active_profile(known: Iterable[str], *, option: str = "") -> UsageError:
    """The command needs a profile: none was named, and there is no default profile.

    Args:
        option: the option that names it, with ``=``; empty if it is an argument of its own.
    """
    known = list(known)
    error = UsageError(
        f"no profile given, and no default profile set {listed(known)}",
        code="no-profile",
        hint=f"gentoomuch profile set {known[0]}" if known else "gentoomuch profile add this-host --here",
    )
    return error.with_correction("", f"{option}NAME") if known else error


def unknown_patch_set(name: str, known: Iterable[str]) -> UsageError:
    """The configuration has no directory ``patches/SET``."""
    known = list(known)
    near = nearest(name, known)
    error = UsageError(
        f"patch set {name!r} not found {listed(known)}",
        code="unknown-patch-set",
        hint=f"gentoomuch patch prep {shlex.quote(name)} app-misc/hello",
    )
    return error.with_correction(name, near) if near else error


def unknown_key(name: str, known: Iterable[str], command: str) -> UsageError:
    """The configuration has no key of this name.

    Args:
        command: the command line, with ``{}`` for the key, for the hint.
    """
    known = list(known)
    near = nearest(name, known)
    last = (key for key in known if key.rpartition(".")[2] == name)
    meant = near or next(last, "")
    hint = command.replace("{}", meant, 1) if meant else "gentoomuch config"
    return UsageError(f"unknown key {name!r} {listed(known, most=30)}", code="unknown-key", hint=hint)


def profile_exists(name: str, file: Path) -> UsageError:
    """A profile of this name already exists."""
    return UsageError(
        f"profile {name!r} already exists: {file}", code="profile-exists", hint=f"gentoomuch profile show {name}"
    )


def unknown_compiler(name: str, known: Iterable[str]) -> UsageError:
    """No CPU data is recorded for this compiler."""
    known = list(known)
    near = nearest(name, known)
    error = UsageError(
        f"unknown compiler {name!r} {listed(known, most=20)}",
        code="unknown-compiler",
        hint="omit --compiler to check for all compilers",
    )
    return error.with_correction(name, near) if near else error
