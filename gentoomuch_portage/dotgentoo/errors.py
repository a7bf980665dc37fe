"""What can be wrong with a .gentoo folder."""

from pathlib import Path

from gentoomuch_portage.errors import BadFile, UsageError


class BadFolder(BadFile):
    """Something in a .gentoo folder is wrong, ambiguous, too large, or no plain file."""

    code = "bad-dotgentoo"


class NoFolder(UsageError):
    """There is no .gentoo folder where one was expected."""

    code = "no-dotgentoo"

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} holds no .gentoo folder", remedy="gentoomuch dotgentoo init CATEGORY/PACKAGE")
        self.path = path
