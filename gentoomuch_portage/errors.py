"""Every error that a user may see, each with its way out.

Emerge's own exit codes pass through untouched; ours start at 64 (Source: sysexits.h), so that a
script can tell who failed. A leaf is named by its fact, keeps its data as attributes and is a row
of docs/errors.md.

What the operating system refused, as an error of ours.
"""

import difflib
import re
from collections.abc import Iterable
from pathlib import Path


class GmError(Exception):
    """What went wrong, in one line, and what mends it.

    Attributes:
        code: stable name of the fact, for scripts: ``unknown-profile``.
        status: exit status of the process, 64 to 78.
        remedy: a command or an instruction; empty where there is none.
    """

    code = "error"
    status = 70

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


class UsageError(GmError):
    """The command line asks for something that there is not."""

    code = "usage"
    status = 64


class MachineError(GmError):
    """This machine lacks something."""

    code = "machine"
    status = 69


class ConfigError(GmError):
    """A file of the configuration is wrong; the message names it and the line."""

    code = "configuration"
    status = 78


class RunError(GmError):
    """Something that was started failed."""

    code = "software"
    status = 70


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name closest to a mistyped one, or an empty string."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)), "")


def listed(names: Iterable[str], *, most: int = 12) -> str:
    """``(there are: a, b)``, sorted; of more than ``most`` names the rest is counted."""
    known = sorted(names)
    shown = ", ".join(known[:most]) or "none"
    return f"(there are: {shown}{f' and {len(known) - most} more' if len(known) > most else ''})"


class UnknownProfile(UsageError):
    """A profile was named that has no file under ``profiles/``."""

    code = "unknown-profile"

    def __init__(self, name: str, known: Iterable[str]) -> None:
        known = sorted(known)
        near = nearest(name, known)
        remedy = f"gentoomuch profile show {near}" if near else f"gentoomuch profile add {name}"
        super().__init__(f"there is no profile {name!r} {listed(known)}", remedy=remedy)
        self.name, self.known = name, known


class BadName(ConfigError):
    """A name of a profile, a layer or a patch set that would leave its folder."""

    code = "bad-name"

    def __init__(self, kind: str, name: str, where: str = "") -> None:
        remedy = "use letters, digits and any of _ + - . (not first), as in Gentoo's package names"
        super().__init__(f"{where + ': ' if where else ''}{name!r} is no name for a {kind}", remedy=remedy)
        self.kind, self.name = kind, name


class UnknownPlugin(UsageError):
    """``--gm-no=`` names a plugin that is not here, or one that no run can do without."""

    code = "unknown-plugin"

    def __init__(self, name: str, known: Iterable[str], *, needed: bool = False) -> None:
        what = f"no run can do without the plugin {name!r}" if needed else f"there is no plugin {name!r}"
        super().__init__(f"{what} {listed(known)}", remedy="gentoomuch plugins")
        self.name = name


class ProfileBeaten(UsageError):
    """A word of emerge would take the configroot away from the profile."""

    code = "profile-beaten"

    def __init__(self, word: str, profile: str) -> None:
        told = f"{word} would replace the configroot of profile {profile!r}"
        super().__init__(told, remedy="leave out one of the two")


class Unsaid(MachineError):
    """What was asked for cannot be printed, as where stdout is a file and the disk is full."""

    code = "unsaid"

    def __init__(self, why: str) -> None:
        super().__init__(f"standard output cannot be written: {why}", remedy="send it elsewhere")


class BadFile(ConfigError):
    """A configuration file with an error at a known place.

    Attributes:
        line: counted from 1; 0 where the whole file is meant.
    """

    code = "bad-file"

    def __init__(self, path: Path | str, line: int, what: str, *, remedy: str = "") -> None:
        super().__init__(f"{path}:{line}: {what}" if line else f"{path}: {what}", remedy=remedy)
        self.path, self.line = str(path), line


class BadSetting(BadFile):
    """A key of a TOML file that is unknown, or a value of the wrong type."""

    code = "bad-setting"


class BadLayer(ConfigError):
    """A layer that is missing, broken, or outside of the configuration directory."""

    code = "bad-layer"

    def __init__(self, path: Path | str, line: int, what: str, *, remedy: str = "") -> None:
        super().__init__(f"{path}:{line}: {what}" if line else f"{path}: {what}", remedy=remedy)


class BadPatchSet(ConfigError):
    """A patch set that is missing, broken, or outside of the configuration directory."""

    code = "bad-patch-set"

    def __init__(self, path: Path | str, line: int, what: str, *, remedy: str = "") -> None:
        super().__init__(f"{path}:{line}: {what}" if line else f"{path}: {what}", remedy=remedy)
        self.path, self.line, self.what = str(path), line, what


class UnknownMakeProfile(ConfigError):
    """``make_profile`` names a directory that no configured repository has."""

    code = "unknown-make-profile"

    def __init__(self, where: str, name: str, near: str) -> None:
        remedy = f'make_profile = "{near}" ?' if near else "gentoomuch profile ls --gentoo"
        super().__init__(f"{where}: no repository has the make_profile {name!r}", remedy=remedy)


class UnknownCpu(ConfigError):
    """``cpu`` is no name that the compiler takes."""

    code = "unknown-cpu"

    def __init__(self, where: str, name: str, known: Iterable[str]) -> None:
        known = list(known)
        near = nearest(name, known)
        remedy = f'cpu = "{near}" ?' if near else "choose one of: " + " ".join(known)
        super().__init__(f"{where}: the compiler knows no cpu {name!r}", remedy=remedy)
        self.name = name


class PartsConflict(RunError):
    """Two plugins set one variable to different values."""

    code = "parts-conflict"

    def __init__(self, key: str, first: str, second: str) -> None:
        told = f"plugins {first!r} and {second!r} disagree on {key}"
        super().__init__(told, remedy=f"--gm-no={second} leaves one out")


class PluginFailed(RunError):
    """A plugin's hook ended in an exception of its own."""

    code = "plugin-failed"

    def __init__(self, plugin: str, hook: str, why: str) -> None:
        super().__init__(f"plugin {plugin!r} failed in {hook}: {why}", remedy=f"--gm-no={plugin} leaves it out")


class MissingProgram(MachineError):
    """A program is not on PATH.

    Attributes:
        atom: the package of Gentoo that has it.
    """

    code = "missing-program"

    def __init__(self, program: str, atom: str = "", *, remedy: str = "") -> None:
        remedy = remedy or (f"emerge {atom}" if atom else f"install {program} or put it on PATH")
        super().__init__(f"{program} is not on PATH", remedy=remedy)
        self.program, self.atom = program, atom


class ProgramFailed(RunError):
    """A program ended with a status that was not expected."""

    code = "program-failed"

    def __init__(self, argv: Iterable[str], returned: int, tail: str) -> None:
        self.argv, self.returned, self.tail = tuple(argv), returned, tail
        last = tail.strip().splitlines()[-1:] or [""]
        super().__init__(f"{' '.join(self.argv)} ended with {returned}{': ' + last[0] if last[0] else ''}")


class NameMoved(MachineError):
    """A name of Portage that we hold is not where it was."""

    code = "name-moved"

    def __init__(self, names: Iterable[str], version: str, lost: Iterable[str]) -> None:
        self.names = sorted(names)
        super().__init__(
            f"Portage {version} has moved {', '.join(self.names)}; without it: {'; '.join(sorted(set(lost)))}",
            remedy="gentoomuch doctor names the versions that fit; without a profile gm-emerge is still emerge",
        )


class NoPrivilege(MachineError):
    """This user may not do what is asked."""

    code = "no-privilege"
    status = 77

    def __init__(self, what: str, *, remedy: str = "") -> None:
        super().__init__(what, remedy=remedy)


class MissingContainer(MachineError):
    """``--gm-isolation=`` names a kind of container that cannot be had here."""

    code = "missing-container"

    def __init__(self, kind: str, known: Iterable[str], *, word: str = "--gm-isolation") -> None:
        told = f"this version cannot run emerge in {kind!r} {listed([*known, 'none'])}"
        super().__init__(told, remedy=f"{word}=none")
        self.kind = kind


class MissingKernel(MachineError):
    """A virtual machine has no Linux to boot."""

    code = "missing-kernel"

    def __init__(self, why: str) -> None:
        super().__init__(why, remedy='name one: kernel = "/boot/vmlinuz" in [container], or install one')


class ForeignCpu(MachineError):
    """A root holds programs for a CPU that this machine does not run."""

    code = "foreign-cpu"


class Busy(MachineError):
    """Somebody else is at it."""

    code = "busy"
    status = 75

    def __init__(self, what: str, *, remedy: str = "") -> None:
        super().__init__(what, remedy=remedy)


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


def bare(url: str) -> str:
    """A URL without name and password, otherwise as it is written."""
    return re.sub(r"^([^/?#]*//)[^/?#]*@", r"\1", url)
