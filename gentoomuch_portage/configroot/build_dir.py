"""The folder that a run builds in, below PORTAGE_TMPDIR."""

import os
from pathlib import Path

from gentoomuch_portage import fs
from gentoomuch_portage.errors import MachineError
from gentoomuch_portage.plan.plan import Plan


class NoBuildFolder(MachineError):
    """The folder of PORTAGE_TMPDIR is not there, as where nothing is mounted."""

    code = "no-build-folder"

    def __init__(self, folder: Path) -> None:
        super().__init__(f"{folder} is to be built in, and is not there", remedy="mount or make PORTAGE_TMPDIR")
        self.folder = folder


def folder(above: str, profile: str) -> str:
    """What stands for PORTAGE_TMPDIR in runs for a profile.

    Where the user's is not there it is left as it is, and emerge refuses it by its name as soon as it needs it.
    """
    return f"{above}/gentoomuch-{os.geteuid()}/{profile}" if Path(above).is_dir() else above


def make(plan: Plan) -> None:
    """Make the folder that a plan builds in, where it can be made: with --pretend nobody needs it.

    Raises:
        NoPrivilege: it is somebody else's.
    """
    ours = Path(plan.env["PORTAGE_TMPDIR"])
    if ours.parent.name == f"gentoomuch-{os.geteuid()}" and os.access(ours.parent.parent, os.W_OK):
        fs.own_folder(ours.parent)
        fs.own_folder(ours)


def needed(plan: Plan) -> None:
    """Make the folder that a plan builds in, for a box, which would make it where nothing is mounted.

    Raises:
        NoBuildFolder: it is not there, and cannot be made.
        NoPrivilege: it is somebody else's.
    """
    make(plan)
    found = Path(plan.env["PORTAGE_TMPDIR"])
    if not found.is_dir():
        raise NoBuildFolder(found)
