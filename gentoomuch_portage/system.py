"""What the operating system refused, as an error of ours."""

from pathlib import Path

from gentoomuch_portage.errors import BadFile, MachineError, NoPrivilege


class SystemRefuses(MachineError):
    """The operating system refused something, and said why."""

    code = "system"


def refused(error: OSError) -> MachineError:
    """What the operating system refused, as an error of ours."""
    why = error.strerror or str(error)
    told = f"{error.filename}: {why}" if error.filename else why
    if isinstance(error, PermissionError):
        return NoPrivilege(told, remedy="run it as root, or as a user who may")
    return SystemRefuses(told)


def unreadable(file: Path, error: OSError) -> BadFile:
    """A file of the configuration or of the state that the operating system does not let us read."""
    remedy = "run it as root, or open it for reading" if isinstance(error, PermissionError) else ""
    return BadFile(file, 0, f"it cannot be read: {error.strerror}", remedy=remedy)
