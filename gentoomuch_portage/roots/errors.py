"""Why a root cannot be made, removed or taken elsewhere."""

from collections.abc import Iterable
from pathlib import Path

from gentoomuch_portage.errors import ConfigError, MachineError, RunError, UsageError, listed


class RootIsHost(ConfigError):
    """A root is to be made or removed, and the profile's is the host itself."""

    code = "root-is-host"

    def __init__(self, profile: str, where: str) -> None:
        super().__init__(
            f"the root of profile {profile!r} is / itself", remedy=f'root = "/srv/roots/{profile}" in {where}'
        )


class RootTaken(RunError):
    """A root that is to be unpacked is there and not empty, or cannot be replaced."""

    code = "root-taken"

    def __init__(self, root: Path, why: str, *, remedy: str) -> None:
        super().__init__(f"{root} {why}", remedy=remedy)
        self.root = root


class NoRoot(RunError):
    """A root that is named is not there."""

    code = "no-root"

    def __init__(self, root: Path, profile: str) -> None:
        super().__init__(
            f"profile {profile!r} has no root yet: {root}", remedy=f"gentoomuch bootstrap {profile} --from-host"
        )
        self.root = root


def refuse_empty(root: Path, profile: str) -> None:
    """Refuse the root of a profile that is not there, or holds nothing.

    Raises:
        NoRoot: so it is.
    """
    if not root.is_dir() or next(root.iterdir(), None) is None:
        raise NoRoot(root, profile)


class UnfinishedRoot(RunError):
    """A root that is to be taken elsewhere has not got all that its bootstrap was asked for."""

    code = "unfinished-root"

    def __init__(self, root: Path, profile: str) -> None:
        super().__init__(
            f"{root} is not finished: its bootstrap was broken off",
            remedy=f"gentoomuch bootstrap {profile} --from-host goes on, with the --set that was asked for",
        )
        self.root = root


class NoFreshRoot(RunError):
    """No fresh root of that name was kept."""

    code = "no-fresh-root"

    def __init__(self, name: str, profile: str, known: Iterable[str]) -> None:
        super().__init__(
            f"no fresh root {name!r} of profile {profile!r} was kept {listed(known)}", remedy="gentoomuch root ls"
        )
        self.name = name


class NotARoot(RunError):
    """A folder that a profile names as its root holds something, and nothing of Portage's."""

    code = "not-a-root"

    def __init__(self, root: Path) -> None:
        super().__init__(
            f"{root} is no root: no package is recorded in it, and no bootstrap has begun there",
            remedy=f"look at it, then remove what is in it yourself: ls -l {root}",
        )
        self.root = root


class MountedRoot(RunError):
    """A root that is to be removed holds a mount: what is mounted there belongs to somebody else."""

    code = "mounted-root"

    def __init__(self, root: Path, point: Path) -> None:
        super().__init__(f"{point} is mounted, below {root}", remedy=f"umount {point}")
        self.root, self.point = root, point


class NotAgreed(UsageError):
    """Something is to be removed for good, and nobody said yes."""

    code = "not-agreed"

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is not removed: nobody agreed", remedy="--yes")


class Unsigned(RunError):
    """A stage3 without a signature beside it."""

    code = "unsigned-stage3"

    def __init__(self, file: Path, names: tuple[str, ...]) -> None:
        super().__init__(
            f"nothing signs {file}: none of {', '.join(names)} is there",
            remedy="fetch the signature from where the stage3 came from, and put it beside it",
        )
        self.file = file


class BadSignature(RunError):
    """A signature that does not hold, or is of no key that is trusted for stage3s."""

    code = "bad-signature"

    def __init__(self, file: Path, why: str, *, remedy: str = "") -> None:
        super().__init__(f"{file}: {why}", remedy=remedy or "fetch the stage3 and its signature again")
        self.file = file


class NoKeys(MachineError):
    """There is no file of public keys to hold signatures against."""

    code = "no-keys"

    def __init__(self, file: Path) -> None:
        super().__init__(
            f"{file} holds no public keys",
            remedy="emerge sec-keys/openpgp-keys-gentoo-release, or name one: --key FILE",
        )
        self.file = file


class BadArchive(RunError):
    """An archive that is damaged, or holds what must not be unpacked."""

    code = "bad-root-archive"

    def __init__(self, where: object, why: str) -> None:
        super().__init__(f"{where}: {why}", remedy="nothing was unpacked; fetch it again, from where you trust")
        self.where, self.why = str(where), why


class BootstrapFailed(RunError):
    """Emerge failed in a step; what was merged stays, and the next run goes on there."""

    code = "bootstrap-failed"

    def __init__(self, step: str, status: int, command: str) -> None:
        super().__init__(f"{step} ended with {status}", remedy=f"mend it, then go on: {command}")
        self.step, self.emerge_status = step, status


class LinkedRecord(RunError):
    """The record of the packages of a root holds a link: what it leads to may be this machine's."""

    code = "linked-record"

    def __init__(self, link: Path) -> None:
        super().__init__(
            f"{link} is a link, where the root records its packages",
            remedy=f"look at it, then remove it: ls -ld {link}",
        )
        self.link = link


class BadEpoch(UsageError):
    """SOURCE_DATE_EPOCH is no number of seconds since 1970."""

    code = "bad-epoch"

    def __init__(self, told: str) -> None:
        super().__init__(
            f"SOURCE_DATE_EPOCH={told!r} is no number of seconds since 1970", remedy="SOURCE_DATE_EPOCH=$(date +%s)"
        )


class MissingLibrary(MachineError):
    """A library that only exporting needs is not installed."""

    code = "missing-library"

    def __init__(self, name: str, extra: str) -> None:
        super().__init__(f"{name} is not installed", remedy=f"pip install 'gentoomuch-portage[{extra}]'")
        self.name = name


class UnknownRepository(UsageError):
    """A repository was named that is not configured, or cannot be synced."""

    code = "unknown-repository"

    def __init__(self, name: str, why: str, *, remedy: str) -> None:
        super().__init__(f"{name}: {why}", remedy=remedy)
        self.name = name
