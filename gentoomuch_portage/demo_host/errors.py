"""Why there is no host in a folder, or not the one that was expected."""

from collections.abc import Iterable
from pathlib import Path

from gentoomuch_portage.errors import MachineError, RunError, listed


class UnknownArch(MachineError):
    """The embedded host knows no machine of this kind."""

    code = "unknown-arch"

    def __init__(self, machine: str, known: Iterable[str]) -> None:
        super().__init__(f"the embedded host knows no {machine} {listed(known)}")
        self.machine = machine


class NamelessUser(MachineError):
    """This user, or its group, is a bare number, as in some containers; Portage cannot work without names."""

    code = "nameless-user"

    def __init__(self, user: int, group: int) -> None:
        super().__init__(
            f"user {user} or its group {group} has no name, and Portage asks for both",
            remedy="add them to /etc/passwd and /etc/group, or run it as another user",
        )
        self.user, self.group = user, group


class UnfitPath(RunError):
    """A path with a sign that PATH, make.conf or a Makefile takes for something else."""

    code = "unfit-path"

    def __init__(self, folder: Path, sign: str) -> None:
        super().__init__(f"Portage cannot work in a path with {sign!r}: {folder}", remedy="name another folder")
        self.folder, self.sign = folder, sign


class FolderTaken(RunError):
    """A folder that is no host and is not empty either."""

    code = "folder-taken"

    def __init__(self, folder: Path) -> None:
        super().__init__(f"{folder} holds something else", remedy="name an empty folder, or one that is not there")
        self.folder = folder


class HostMoved(RunError):
    """A host under another path than it was made for; Portage has that path in all it has installed and packed."""

    code = "host-moved"

    def __init__(self, folder: Path, before: str) -> None:
        super().__init__(f"{folder} was made as {before} and moved", remedy=f"move it back, or: rm -r '{folder}'")
        self.folder, self.before = folder, before


class WrongProgram(RunError):
    """A program of the demo that does not say the flags of its machine's profile."""

    code = "wrong-program"

    def __init__(self, program: Path, cpu: str, said: str) -> None:
        super().__init__(f"{program} was not built for {cpu}: {said}")
        self.program, self.cpu, self.said = program, cpu, said
