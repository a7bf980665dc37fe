"""What the operating system refused, as an error of ours."""

from gentoomuch_portage.errors import MachineError, NoPrivilege


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
