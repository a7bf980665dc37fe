# SPDX-License-Identifier: GPL-2.0-or-later
"""Errors of freezing and thawing."""

import os
import shlex
from collections.abc import Iterable
from pathlib import Path

from gentoomuch_portage.errors import ConfigError, MachineError, RunError, UsageError, correct_path, existing_path


def cannot_freeze(why: str, *, hint: str = "") -> ConfigError:
    """The profile needs files that a frozen archive cannot contain."""
    return ConfigError(why, code="cannot-freeze", hint=hint)


def secrets_found(places: Iterable[str]) -> ConfigError:
    """Files of the profile contain private keys, passwords or tokens."""
    places = list(places)
    listing = "\n    ".join(places)
    return ConfigError(
        f"cannot freeze a profile with secrets:\n    {listing}",
        code="secrets-found",
        hint="remove them, or pass --redact to write REDACTED in their place",
    )


class BadArchive(RunError):
    """The file is not a frozen profile, or was changed. Nothing was written.

    Attributes:
        why: the reason alone: ``it is truncated``.
    """

    code = "bad-archive"

    def __init__(self, name: str, why: str) -> None:
        hint = "get another copy from its author"
        if name != "-" and not os.path.lexists(name):
            hint = f"ls -l {shlex.quote(str(existing_path(name)))}"
        super().__init__(f"cannot read {name} as a frozen profile: {why}", hint=hint)
        self.name, self.why = name, why
        correct_path(self, name)


def unsigned_archive(name: str) -> UsageError:
    """An archive has no signature."""
    return UsageError(
        f"{name} is not signed",
        code="unsigned-archive",
        hint="pass --unsigned to accept it",
    )


def signer_revoked(name: str, key: str) -> RunError:
    """An archive is signed by a revoked key."""
    return RunError(f"{name} is signed by the revoked key {key}", code="signer-revoked", hint="gentoomuch freeze")


def signer_unknown(name: str, fingerprint: str, expected: str = "") -> UsageError:
    """An archive is signed by a key that the user has not confirmed."""
    other = f", not by {expected}" if expected else ", which is unknown here"
    return UsageError(
        f"{name} is signed by {fingerprint}{other}",
        code="signer-unknown",
        hint=f"compare the key with gentoomuch binhost key on the other machine, then use --key {fingerprint}",
    )


def repositories_differ(differences: Iterable[str]) -> MachineError:
    """Repositories of a frozen profile are missing on this machine, or have another commit."""
    differences = list(differences)
    listing = "\n    ".join(differences)
    return MachineError(
        f"the repositories differ from those of the frozen profile:\n    {listing}",
        code="repositories-differ",
        hint="sync them to those revisions, or pass --anyway",
    )


def thaw_taken(paths: Iterable[Path], *, world: bool) -> UsageError:
    """``thaw`` would overwrite existing files."""
    paths = sorted(paths)
    listing = "\n    ".join(map(str, paths))
    keep = "; --keep-world does not change the world file" if world else ""
    return UsageError(
        f"cannot thaw over existing files:\n    {listing}",
        code="thaw-taken",
        hint=f"--as OTHER chooses another name, --replace overwrites them{keep}",
    )
