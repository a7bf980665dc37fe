"""What can go wrong between freezing a profile and thawing it elsewhere."""

from collections.abc import Iterable
from pathlib import Path

from gentoomuch_portage.errors import ConfigError, MachineError, RunError, UsageError


class CannotFreeze(ConfigError):
    """A profile depends on something that an archive cannot hold."""

    code = "cannot-freeze"

    def __init__(self, why: str, *, remedy: str = "") -> None:
        super().__init__(why, remedy=remedy)


class SecretsFound(ConfigError):
    """Files of a profile hold private keys, passwords or tokens, which must not leave the machine.

    Attributes:
        places: ``FILE:LINE: what it is``, a line each; never the secret itself.
    """

    code = "secrets-found"

    def __init__(self, places: Iterable[str]) -> None:
        self.places = list(places)
        told = "\n    ".join(self.places)
        super().__init__(
            f"secrets do not go into an archive:\n    {told}",
            remedy="take them out, or --redact writes REDACTED in their place",
        )


class BadArchive(RunError):
    """A file is no frozen profile, or was tampered with; nothing was written.

    Attributes:
        why: the fact alone: ``it is cut off``.
    """

    code = "bad-archive"

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"{name} is refused: {why}", remedy="get it anew from whoever froze it")
        self.name, self.why = name, why


class Unsigned(UsageError):
    """An archive carries no signature."""

    code = "unsigned-archive"

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is not signed: nobody answers for what it holds", remedy="--unsigned takes it so")


class SignerUnknown(UsageError):
    """An archive is signed by a key that nobody confirmed."""

    code = "signer-unknown"

    def __init__(self, name: str, fingerprint: str, asked: str = "") -> None:
        other = f", and {asked} was asked for" if asked else ", which is not known here"
        super().__init__(
            f"{name} is signed by {fingerprint}{other}",
            remedy=f"compare it with gentoomuch binhost key there, then --key {fingerprint}",
        )
        self.fingerprint = fingerprint


class RepositoriesDiffer(MachineError):
    """Repositories that a frozen profile needs are missing here, or at another revision.

    Attributes:
        differences: one a repository, in words.
    """

    code = "repositories-differ"

    def __init__(self, differences: Iterable[str]) -> None:
        self.differences = list(differences)
        told = "\n    ".join(self.differences)
        super().__init__(
            f"the repositories are not those that it was frozen with:\n    {told}",
            remedy="bring them to those revisions, or --anyway",
        )


class ThawTaken(UsageError):
    """What an archive would be written to is there already.

    Attributes:
        paths: of what is there.
    """

    code = "thaw-taken"

    def __init__(self, paths: Iterable[Path], *, world: bool) -> None:
        self.paths = sorted(paths)
        told = "\n    ".join(map(str, self.paths))
        keep = "; --keep-world leaves the world of this machine as it is" if world else ""
        super().__init__(
            f"nothing was written, as this is there already:\n    {told}",
            remedy=f"--as OTHER names it otherwise, --replace puts the frozen ones in their place{keep}",
        )
