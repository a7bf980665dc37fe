"""What can be wrong with a command line of gentoomuch."""

from collections.abc import Iterable
from pathlib import Path

from gentoomuch_portage.errors import RunError, UsageError, listed, nearest


class BadUsage(UsageError):
    """The command line does not fit the command."""

    code = "usage"

    def __init__(self, program: str, what: str, *, remedy: str = "") -> None:
        super().__init__(what, remedy=remedy or f"{program} --help")


class UnknownCommand(UsageError):
    """There is no such command, neither ours nor a plugin's."""

    code = "unknown-command"

    def __init__(self, program: str, name: str, known: Iterable[str]) -> None:
        known = list(known)
        near = nearest(name, known)
        super().__init__(
            f"{program} has no command {name!r} {listed(known)}",
            remedy=f"{program} {near}" if near else f"{program} --help",
        )
        self.name = name


class CommandsConflict(RunError):
    """Two providers give a command of one name."""

    code = "commands-conflict"

    def __init__(self, name: str, first: str, second: str) -> None:
        super().__init__(
            f"the command {name!r} comes from {first} and from {second}",
            remedy="rename one, or uninstall its distribution: gentoomuch plugins",
        )
        self.name, self.first, self.second = name, first, second


class NoProfileSet(UsageError):
    """A command needs a profile; none is named and none is set."""

    code = "no-profile"

    def __init__(self, known: Iterable[str]) -> None:
        known = list(known)
        super().__init__(
            f"no profile is named, and none is set {listed(known)}",
            remedy=f"gentoomuch profile set {known[0]}" if known else "gentoomuch profile add NAME",
        )


class ProfileExists(UsageError):
    """A profile that is to be added is there."""

    code = "profile-exists"

    def __init__(self, name: str, file: Path) -> None:
        super().__init__(f"the profile {name!r} is there already: {file}", remedy=f"gentoomuch profile show {name}")
        self.name, self.file = name, file


class UnknownCompiler(UsageError):
    """A compiler was named whose answers are not known."""

    code = "unknown-compiler"

    def __init__(self, name: str, known: Iterable[str]) -> None:
        known = list(known)
        near = nearest(name, known)
        super().__init__(
            f"nothing is known of the compiler {name!r} {listed(known, most=20)}",
            remedy=f"--compiler {near} ?" if near else "leave --compiler out: then any of them may have built it",
        )
        self.name = name
