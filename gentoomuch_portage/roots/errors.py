# SPDX-License-Identifier: GPL-2.0-or-later
"""Errors of creating, removing and exporting roots."""

from collections.abc import Iterable
from pathlib import Path

from gentoomuch_portage.errors import ConfigError, GmError, MachineError, RunError, UsageError, listed, nearest


def root_is_host(profile: str, where: str) -> ConfigError:
    """The root of the profile is the host itself; the command needs a profile with another root."""
    return ConfigError(
        f"cannot use the root of profile {profile!r}: it is /",
        code="root-is-host",
        hint=f'root = "/srv/roots/{profile}" in {where}',
    )


def root_taken(root: Path, reason: str, *, hint: str) -> RunError:
    """The path for a new root is in use already."""
    return RunError(f"cannot create root {root}: {reason}", code="root-taken", hint=hint)


def no_root(root: Path, profile: str) -> RunError:
    """The root does not exist."""
    return RunError(
        f"root {root} of profile {profile!r} does not exist",
        code="no-root",
        hint=f"gentoomuch bootstrap {profile}",
    )


def no_repository(profile: str) -> ConfigError:
    """The profile has no ebuild repository, or its directory does not exist."""
    return ConfigError(
        f"profile {profile!r} has no ebuild repository",
        code="no-repository",
        hint="add one to repos.conf, see portage(5)",
    )


def no_source(root: Path, missing: str, obstacle: GmError, profile: str) -> RunError:
    """``bootstrap`` without a source: DISTDIR has no stage3 for the profile, and this host cannot install the root."""
    return RunError(
        f"cannot create root {root}: there is {missing}, and this host cannot install into it: {obstacle.message}",
        code="no-source",
        hint=f"download a stage3 and its signature, then gentoomuch bootstrap {profile} --stage3 FILE",
    )


def check_filled(root: Path, profile: str) -> None:
    """Check that the root of a profile exists and is not empty.

    Raises:
        RunError[no-root]: it does not, or is empty.
    """
    if not root.is_dir() or next(root.iterdir(), None) is None:
        raise no_root(root, profile)


def unfinished_root(root: Path, profile: str) -> RunError:
    """The root cannot be exported, because its bootstrap is not complete."""
    return RunError(
        f"cannot export {root}: its bootstrap is not finished",
        code="unfinished-root",
        hint=f"gentoomuch bootstrap {profile} --from-host, with the same --set",
    )


def partial_root(root: Path, profile: str) -> RunError:
    """The root has no Portage and Python of its own, so that a container cannot run in it."""
    return RunError(
        f"cannot enter {root} as another user: it has no Portage and Python of its own",
        code="partial-root",
        hint=f"gentoomuch root enter {profile}, which is a view of this host",
    )


def no_fresh_root(name: str, profile: str, known: Iterable[str]) -> RunError:
    """``freshroot --keep`` has saved no fresh root of this name."""
    known = list(known)
    error = RunError(
        f"fresh root {name!r} of profile {profile!r} not found {listed(known)}",
        code="no-fresh-root",
        hint="gentoomuch root ls",
    )
    return error.with_correction(name, near) if (near := nearest(name, known)) else error


def no_snapshot(number: int, profile: str, known: Iterable[int]) -> RunError:
    """The root has no snapshot with this number, or none at all."""
    numbers = [str(generation) for generation in known]
    what = f"generation {number} not found" if number else "no snapshot found"
    hint = f"gentoomuch root {'history' if numbers else 'snapshot'} {profile}"
    return RunError(f"{what} for the root of profile {profile!r} {listed(numbers)}", code="no-snapshot", hint=hint)


def no_exchange(root: Path, reason: str) -> MachineError:
    """The file system cannot exchange two directories, which a rollback needs. The root is unchanged."""
    return MachineError(
        f"cannot roll back {root}: {reason}",
        code="no-exchange",
        hint="use a directory of ext4, xfs, btrfs or tmpfs as the root of the profile: findmnt -T " + str(root),
    )


def no_host_snapshot(profile: str, where: str) -> ConfigError:
    """The profile wants snapshots, and its root is ``/``, which cannot be exchanged while the system runs."""
    return ConfigError(
        f"cannot take a snapshot before a run for profile {profile!r}: its root is /",
        code="no-host-snapshot",
        hint=f"snapshots = 0 in {where}",
    )


def not_a_root(root: Path) -> RunError:
    """The directory contains files, but no database of installed packages (var/db/pkg)."""
    return RunError(
        f"{root} is not a root: it has no installed packages, and no bootstrap has begun",
        code="not-a-root",
        hint=f"look at its files, then remove them yourself: ls -l {root}",
    )


def mounted_root(root: Path, point: Path, verb: str = "remove") -> RunError:
    """A directory cannot be removed, saved or rolled back, because a file system is mounted in it."""
    return RunError(f"cannot {verb} {root}: {point} is mounted", code="mounted-root", hint=f"umount {point}")


def not_confirmed(what: str) -> UsageError:
    """Nothing was removed, because the user did not confirm it."""
    error = UsageError(f"{what} not removed: not confirmed", code="not-confirmed", hint="the same command with --yes")
    return error.with_correction("", "--yes")


def unsigned_tarball(file: Path, names: tuple[str, ...]) -> RunError:
    """A stage3 has no signature."""
    return RunError(
        f"signature of {file} not found (accepted: {', '.join(names)})",
        code="unsigned-stage3",
        hint="download the signature into the directory of the stage3",
    )


def bad_signature(file: Path, reason: str, *, hint: str = "") -> RunError:
    """A signature is not valid, or its key is not trusted for stage3s."""
    hint = hint or "download the stage3 and its signature again"
    return RunError(f"cannot verify {file}: {reason}", code="bad-signature", hint=hint)


def no_keys(file: Path) -> MachineError:
    """A file of public keys is missing or empty."""
    return MachineError(
        f"no public keys found in {file}",
        code="no-keys",
        hint="emerge sec-keys/openpgp-keys-gentoo-release, or use another file: --key FILE",
    )


class BadArchive(RunError):
    """A stage3 or image is damaged, or has an entry that must not be unpacked, such as ``../x``."""

    code = "bad-root-archive"

    def __init__(self, archive: object, reason: str) -> None:
        super().__init__(
            f"cannot unpack {archive}: {reason}",
            hint="the root is unchanged; download the archive again from a trusted source",
        )
        self.archive, self.reason = str(archive), reason


def bootstrap_failed(step: str, status: int, command: str) -> RunError:
    """A step of ``bootstrap`` failed. The next run continues with this step."""
    hint = f"fix the cause, then continue: {command}"
    return RunError(f"{step} failed with status {status}", code="bootstrap-failed", hint=hint)


def linked_record(link: Path) -> RunError:
    """The package database of a root contains a symbolic link, which may point to a file of this machine."""
    return RunError(
        f"cannot read the package database of the root: {link} is a link",
        code="linked-record",
        hint=f"look at it, then remove it: ls -ld {link}",
    )


def bad_epoch(value: str) -> UsageError:
    """SOURCE_DATE_EPOCH is not a number of seconds."""
    return UsageError(
        f"invalid SOURCE_DATE_EPOCH={value!r}: not a number of seconds since 1970",
        code="bad-epoch",
        hint="SOURCE_DATE_EPOCH=$(date +%s)",
    )


def unknown_repository(name: str, reason: str, *, hint: str) -> UsageError:
    """The repository is not configured, or has no sync-uri."""
    return UsageError(f"cannot use repository {name!r}: {reason}", code="unknown-repository", hint=hint)


def repository_exists(name: str, where: str) -> UsageError:
    """``sync --init``: the host already has a repository of this name, or its ``repos.conf`` is a file."""
    return UsageError(
        f"cannot add repository {name!r}: {where}", code="repository-exists", hint=f"gentoomuch sync {name}"
    )
