"""What can be wrong with a .gentoo folder."""

from collections.abc import Iterable
from pathlib import Path

from gentoomuch_portage.errors import BadFile, MachineError, UsageError, listed


class BadFolder(BadFile):
    """Something in a .gentoo folder is wrong, ambiguous, too large, or no plain file."""

    code = "bad-dotgentoo"


class NoFolder(UsageError):
    """There is no .gentoo folder where one was expected."""

    code = "no-dotgentoo"

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} holds no .gentoo folder", remedy="gentoomuch dotgentoo init CATEGORY/PACKAGE")
        self.path = path


class Untrusted(UsageError):
    """A .gentoo folder was not allowed to run its code here."""

    code = "untrusted"
    status = 77

    def __init__(self, path: Path, identity: str, security: Iterable[str] = ()) -> None:
        security = tuple(security)
        told = f", or to lift the security masks of {', '.join(security)}" if security else ""
        super().__init__(
            f"{path} is not allowed to run its code here{told}",
            remedy=f"look at it, then: --gm-trust={identity}{':security' if security else ''}",
        )
        self.path, self.identity = path, identity


class Unreachable(MachineError):
    """A repository that a .gentoo folder needs cannot be fetched."""

    code = "overlay-unreachable"

    def __init__(self, name: str, uri: str, why: str) -> None:
        super().__init__(
            f"the overlay {name} cannot be fetched from {uri}: {why}",
            remedy="look at the address and the network; a repository of that name on the host is taken instead",
        )


class SamePackage(UsageError):
    """Two .gentoo folders of one run install the same package."""

    code = "same-package"

    def __init__(self, cp: str, first: Path, second: Path) -> None:
        super().__init__(f"{cp} is what both {first} and {second} install", remedy="run it once for each")


class BadProject(BadFile):
    """A file by which a project is to be recognised cannot be read."""

    code = "bad-project"


class UnknownBuild(UsageError):
    """A project is built by nothing that ``dotgentoo init`` knows."""

    code = "unknown-build"

    def __init__(self, project: Path, known: Iterable[str]) -> None:
        super().__init__(
            f"{project} is built by nothing that is known here {listed(known)}",
            remedy="write the ebuild yourself: docs/dotgentoo.md",
        )


class FolderThere(UsageError):
    """A .gentoo folder that is to be written is there."""

    code = "dotgentoo-exists"

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is there already", remedy=f"gentoomuch dotgentoo check {path}")


class BadPackage(UsageError):
    """A name for a new .gentoo folder is not CATEGORY/PACKAGE."""

    code = "bad-package"

    def __init__(self, name: str) -> None:
        super().__init__(f"{name!r} is no CATEGORY/PACKAGE", remedy="write it without a version: app-misc/hello")
