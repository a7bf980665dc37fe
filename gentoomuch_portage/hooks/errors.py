"""What can be wrong when a hook is switched on or off."""

from collections.abc import Iterable
from pathlib import Path

from gentoomuch_portage.errors import ConfigError, RunError, UsageError, listed, nearest


class UnknownHook(UsageError):
    """There is no hook of that name."""

    code = "unknown-hook"

    def __init__(self, name: str, known: Iterable[str]) -> None:
        known = list(known)
        near = nearest(name, known)
        super().__init__(
            f"there is no hook {name!r} {listed(known)}",
            remedy=f"gentoomuch hooks enable {near}" if near else "gentoomuch hooks ls",
        )


class HookTaken(ConfigError):
    """Where the file of a hook would be is a file that is not ours."""

    code = "hook-taken"

    def __init__(self, name: str, file: Path, line: str) -> None:
        super().__init__(f"{file} is yours, and hook {name!r} would overwrite it", remedy=line)


class HookChanged(ConfigError):
    """The file of a hook is no longer what we wrote."""

    code = "hook-changed"

    def __init__(self, name: str, file: Path) -> None:
        super().__init__(f"{file} of hook {name!r} was edited since, so it is yours", remedy=f"rm {file}")


class NothingRecorded(RunError):
    """An installed package does not tell what it is asked for, or is not installed."""

    code = "nothing-recorded"
    status = 70

    def __init__(self, what: str, cpv: str, *, installed: bool) -> None:
        told = f"{cpv} does not tell {what!r}: it was built without gentoomuch" if installed else ""
        super().__init__(told or f"{cpv} is not installed", remedy="gentoomuch hooks enable record" if told else "")
