# SPDX-License-Identifier: GPL-2.0-or-later
"""Errors that a user may see, each with a hint.

Exit statuses of emerge are passed on; ours start at 64 (Source: sysexits.h), so that a script can distinguish them.
An error of one subject is beside its code, or in errors.py of its package; here are those that several packages share.
tools/make-docs writes docs/errors.md, which lists all codes.
"""

import difflib
import errno
import os
import re
import shlex
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, Self


class Correction(NamedTuple):
    """What to change in the command line that caused an error."""

    typed: str
    """The wrong argument, or the wrong value of an option; empty to append arguments."""
    meant: tuple[str, ...]
    """The arguments to use instead; ``NAME`` in them is the name of a profile."""
    length: int = 1
    """How many arguments are replaced."""

    def apply(self, arguments: Sequence[str], name: str) -> list[str]:
        """Return the corrected arguments; empty if they do not contain the wrong one.

        Args:
            name: the profile to write instead of ``NAME``; empty if there is none, and an option with it is omitted.
        """
        known = (argument for argument in self.meant if name or not argument.endswith("=NAME"))
        meant = [re.sub(r"\bNAME\b", name or "NAME", argument) for argument in known]
        for index, argument in enumerate(arguments):
            before, after = arguments[:index], arguments[index + self.length :]
            option, equals, value = argument.partition("=")
            if argument == self.typed or (option == self.typed and equals and not value):
                return [*before, *meant, *after]
            if option == self.typed and equals and not meant:
                return [*before, *arguments[index + 1 :]]
            if self.typed and equals and option.startswith("-") and self.typed in value.split(","):
                values = (meant[0] if each == self.typed else each for each in value.split(","))
                return [*before, f"{option}={','.join(values)}", *after]
        if self.typed or (self.meant and not meant):
            return []
        end = arguments.index("--") if "--" in arguments and meant[:1] != ["--"] else len(arguments)
        return [*arguments[:end], *meant, *arguments[end:]]


class GmError(Exception):
    """An error in one line, with a hint.

    Attributes:
        code: stable name of the error for scripts: ``unknown-profile``.
        status: exit status of the process, 64 to 78.
        hint: a command or an instruction that helps; may be empty.
        correction: what to change in the command line. If it can be applied, the hint is the corrected command line.
    """

    code = "error"
    status = 70
    correction: Correction | None = None

    def __init__(self, message: str, *, code: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.hint = hint

    def with_correction(self, typed: str, *meant: str, length: int = 1) -> Self:
        """Set what to change in the command line; return the error itself."""
        self.correction = Correction(typed, meant, length)
        return self


def correct_command(error: GmError, command: Sequence[str], find_name: Callable[[], str]) -> list[str]:
    """Return the corrected command line; empty if the error does not say what to change, or not in this one.

    The corrected command confirms nothing, as the correction is a guess: ``--yes`` is omitted.

    Args:
        command: the program and its arguments.
        find_name: returns the name of a profile, for an example; empty if there is none.
    """
    if error.correction is None:
        return []
    program, *arguments = command
    unconfirmed = [argument for argument in arguments if argument != "--yes"]
    corrected = error.correction.apply(unconfirmed, find_name())
    if not corrected:
        return []
    if (first := "".join(error.correction.meant[:1])) in {"gm-emerge", "gentoomuch"}:
        return corrected[corrected.index(first) :]
    return [program, *corrected]


class UsageError(GmError):
    """The command line is not valid."""

    code = "usage"
    status = 64


class MachineError(GmError):
    """This machine lacks something."""

    code = "machine"
    status = 69


class ConfigError(GmError):
    """A file of the configuration is not valid; the message names it and the line."""

    code = "configuration"
    status = 78


class RunError(GmError):
    """A program or a step of a run failed."""

    code = "software"
    status = 70


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the known name that is most similar to another one, in any case; empty if none is."""
    names = {known_name.lower(): known_name for known_name in known}
    return next((names[near] for near in difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.65)), "")


def listed(names: Iterable[str], *, most: int = 12) -> str:
    """Return ``(available: a, b)``, sorted; more than ``most`` names are counted."""
    known = sorted(names)
    first = ", ".join(known[:most]) or "none"
    return f"(available: {first}{f' and {len(known) - most} more' if len(known) > most else ''})"


def unknown_profile(name: str, known: Iterable[str], *, active: Path | None = None) -> UsageError:
    """There is no profile of this name.

    Args:
        active: the file that names it, if it is the active profile.
    """
    known = sorted(known)
    near = nearest(name, known)
    add = f"gentoomuch profile add {shlex.quote(name)} --root /srv/roots/{shlex.quote(name)}"
    hint = f"gentoomuch profile show {near}" if near else add
    what = f"profile {name!r} not found {listed(known)}"
    if active is not None:
        what = f"{active}: the active profile {name!r} does not exist {listed(known)}"
        hint = f"gentoomuch profile set {near or '--unset'}"
    error = UsageError(what, code="unknown-profile", hint=hint)
    return error.with_correction(name, near) if near else error


def bad_name(kind: str, name: str, where: str = "") -> ConfigError:
    """The name of a profile, layer or patch set contains a character that is not allowed."""
    hint = "use letters, digits and any of _ + - . (not first), as in Gentoo's package names"
    error = ConfigError(f"{where + ': ' if where else ''}invalid {kind} name {name!r}", code="bad-name", hint=hint)
    allowed = re.sub(r"[^A-Za-z0-9_+.-]+", "-", name).strip("+.-")
    return error.with_correction(name, allowed) if allowed and not where else error


def unknown_plugin(name: str, known: Iterable[str], *, needed: bool = False) -> UsageError:
    """``--gm-no=`` names a plugin that is not installed, or that cannot be disabled."""
    known = tuple(known)
    what = f"plugin {name!r} cannot be disabled" if needed else f"plugin {name!r} not found"
    error = UsageError(f"{what} {listed(known)}", code="unknown-plugin", hint="gentoomuch plugins")
    return error.with_correction(name, near) if (near := nearest(name, known)) else error


def option_conflict(option: str, profile: str) -> UsageError:
    """An option of emerge, such as ``--config-root``, would replace the configuration of the profile."""
    message = f"{option} would replace the configroot of profile {profile!r}"
    error = UsageError(message, code="option-conflict", hint="omit one of the two")
    return error.with_correction(option, length=1 if "=" in option else 2)


class StdoutWriteFailed(MachineError):
    """The output cannot be written, for example because the disk is full."""

    code = "stdout-write-failed"

    def __init__(self, reason: str) -> None:
        super().__init__(f"cannot write to standard output: {reason}", hint="redirect it to another file")


class BadFile(ConfigError):
    """A configuration file is not valid.

    Attributes:
        line: counted from 1; 0 for the whole file.
        others: errors in other lines and files that were found with this one.
    """

    code = "bad-file"
    others: tuple["BadFile", ...] = ()

    def __init__(self, path: Path | str, line: int, what: str, *, code: str = "", hint: str = "") -> None:
        super().__init__(f"{path}:{line}: {what}" if line else f"{path}: {what}", code=code, hint=hint)
        self.path, self.line = str(path), line


class BadLayer(ConfigError):
    """A layer is missing, not valid, or outside of the configuration directory."""

    code = "bad-layer"

    def __init__(self, path: Path | str, line: int, what: str, *, code: str = "", hint: str = "") -> None:
        super().__init__(f"{path}:{line}: {what}" if line else f"{path}: {what}", code=code, hint=hint)


def sourced_outside(path: Path | str, line: int, sourced: str) -> BadLayer:
    """A file in a layer sources a file outside of the configuration, which can differ on each host."""
    return BadLayer(
        path,
        line,
        f"cannot source {sourced}: it is not part of the configuration, and differs from host to host",
        code="sourced-outside",
        hint="copy it into the layer, and source it by a path relative to this file",
    )


class BadPatchSet(ConfigError):
    """A patch set is missing, not valid, or outside of the configuration directory."""

    code = "bad-patch-set"

    def __init__(self, path: Path | str, line: int, what: str, *, code: str = "", hint: str = "") -> None:
        super().__init__(f"{path}:{line}: {what}" if line else f"{path}: {what}", code=code, hint=hint)
        self.path, self.line, self.what = str(path), line, what


def unknown_make_profile(where: str, name: str, near: str) -> ConfigError:
    """No configured repository has the Gentoo profile that ``make_profile`` names."""
    hint = f'make_profile = "{near}" ?' if near else "gentoomuch profile ls --gentoo"
    return ConfigError(
        f"{where}: make_profile {name!r} not found in any repository", code="unknown-make-profile", hint=hint
    )


def unknown_cpu(where: str, name: str, known: Iterable[str]) -> ConfigError:
    """The compiler does not know the value of ``cpu``."""
    known = list(known)
    near = nearest(name, known)
    hint = f'cpu = "{near}" ?' if near else "choose one of: " + " ".join(known)
    return ConfigError(f"{where}: the compiler does not know cpu {name!r}", code="unknown-cpu", hint=hint)


def parts_conflict(key: str, first: str, second: str) -> RunError:
    """Two plugins set the same variable to different values."""
    message = f"plugins {first!r} and {second!r} set {key} to different values"
    return RunError(message, code="parts-conflict", hint=f"--gm-no={second} disables one of them")


def plugin_failed(plugin: str, hook: str, why: str) -> RunError:
    """A plugin raised a Python exception."""
    return RunError(
        f"plugin {plugin!r} failed in {hook}: {why}", code="plugin-failed", hint=f"--gm-no={plugin} disables it"
    )


class MissingProgram(MachineError):
    """A program is not installed, or not in PATH.

    Attributes:
        atom: the Gentoo package that installs it.
    """

    code = "missing-program"

    def __init__(self, program: str, atom: str = "", *, hint: str = "") -> None:
        hint = hint or (f"emerge {atom}" if atom else f"install {program} or put it on PATH")
        super().__init__(f"{program} is not on PATH", hint=hint)
        self.program, self.atom = program, atom


class ProgramFailed(RunError):
    """A program that gentoomuch runs has failed."""

    code = "program-failed"

    def __init__(self, argv: Iterable[str], returned: int, tail: str, *, hint: str = "") -> None:
        self.argv, self.returned, self.tail = tuple(argv), returned, tail
        last = tail.strip().splitlines()[-1:] or [""]
        super().__init__(f"{self.argv[0]} ended with {returned}{': ' + last[0] if last[0] else ''}", hint=hint)


class NoPrivilege(MachineError):
    """The user does not have the necessary permission."""

    code = "no-privilege"
    status = 77

    def __init__(self, what: str, *, code: str = "", hint: str = "") -> None:
        super().__init__(what, code=code, hint=hint)


def missing_container(kind: str, known: Iterable[str], *, word: str = "--gm-isolation") -> MachineError:
    """The container type that was named is not installed."""
    message = f"container type {kind!r} not found {listed([*known, 'none'])}"
    error = MachineError(message, code="missing-container", hint=f"{word}=none")
    return error.with_correction(kind, "auto") if list(known) else error


class MissingKernel(MachineError):
    """No Linux kernel with all drivers was found for the virtual machine."""

    code = "missing-kernel"

    def __init__(self, why: str) -> None:
        super().__init__(why, hint='name one: kernel = "/boot/vmlinuz" in [container], or install one')


class Busy(MachineError):
    """Another process uses the root, the file or the profile."""

    code = "busy"
    status = 75

    def __init__(self, what: str, *, code: str = "", hint: str = "") -> None:
        super().__init__(what, code=code, hint=hint)


class ReadOnly(MachineError):
    """The file system is mounted read-only."""

    code = "read-only"


NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
"""Errors of a file system that no user can write to."""


def cannot_write(path: Path | str, error: OSError, *, verb: str = "write", hint: str = "") -> MachineError:
    """Return the error for a file or directory that cannot be written.

    Args:
        path: the file or directory.
        verb: what failed: ``make``, ``lock``.
        hint: for all reasons except a full or read-only file system.
    """
    why = (error.strerror or str(error)).lower()
    place = _near(Path(path))
    match error.errno:
        case errno.ENOSPC:
            why, hint = _missing_room(place)
            return MachineError(f"cannot {verb} {path}: {why}", code="disk-full", hint=hint)
        case errno.EDQUOT:
            return MachineError(
                f"cannot {verb} {path}: {why}",
                code="disk-full",
                hint=f"remove some of your files: quota -s; df {shlex.quote(str(_mount_point(place)))}",
            )
        case errno.EROFS:
            message = f"cannot {verb} {path}: {why}"
            return ReadOnly(message, hint=f"mount -o remount,rw {shlex.quote(str(_mount_point(place)))}")
    return NoPrivilege(f"cannot {verb} {path}: {why}", hint=hint or "run it as the owner of that directory")


def _near(path: Path) -> Path:
    """Return the nearest existing directory of a path."""
    folders = (path, *path.absolute().parents)
    return next((folder for folder in folders if os.access(folder, os.F_OK) and folder.is_dir()), Path("/"))


def _missing_room(folder: Path) -> tuple[str, str]:
    """Return what a full file system lacks, and a command that shows it.

    The command names where it is mounted: the directory may be one that is removed after a failure.
    """
    quoted = shlex.quote(str(_mount_point(folder)))
    try:
        seen = os.statvfs(folder)
    except OSError:
        return "no space left on device", f"free space there: df -h {quoted}"
    if seen.f_files and not seen.f_favail and seen.f_bavail:
        return "no inodes left on device", f"remove files there: df -i {quoted}"
    return "no space left on device", f"free space there: df -h {quoted}"


def _mount_point(folder: Path) -> Path:
    """Return where the file system of a directory is mounted; of a bind mount, which ``os.path.ismount`` does not find.

    Source: proc_pid_mountinfo(5).
    """
    try:
        lines = os.fsdecode(Path("/proc/self/mountinfo").read_bytes()).splitlines()
    except OSError:
        return Path("/")
    points = {re.sub(r"\\([0-7]{3})", lambda escape: chr(int(escape[1], 8)), line.split(" ")[4]) for line in lines}
    real = folder.resolve()
    return next((above for above in (real, *real.parents) if str(above) in points), Path("/"))


def full_place(places: Iterable[Path | str]) -> Path | str:
    """Return the first of some places whose file system is full or read-only; empty if none is.

    The operating system does not say which file a write failed for.
    """
    return next((place for place in places if _lacks_room(_near(Path(place)))), "")


def _lacks_room(folder: Path) -> bool:
    """Return whether a file system is full or read-only, or a quota on it is used up, which only a write shows."""
    try:
        seen = os.statvfs(folder)
        if not seen.f_bavail or (seen.f_files and not seen.f_favail) or seen.f_flag & os.ST_RDONLY:
            return True
        number = os.open(folder, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600)  # it never has a name
        try:
            os.write(number, b"text")
        finally:
            os.close(number)
    except OSError as error:
        return error.errno in NO_ROOM
    return False


def refused(error: OSError, near: Path | str = "") -> MachineError:
    """Return the error for what the operating system refused.

    Args:
        near: the file, if the error names none.
    """
    why = error.strerror or str(error)
    if is_without_temporary_folder(error):
        return _explain_temporary_folder(error)
    if error.errno in NO_ROOM and (path := _written_path(error) or near):
        return cannot_write(path, error)
    path = error.filename or near
    message = f"{path}: {why}" if path else why
    if isinstance(error, PermissionError):
        return NoPrivilege(message, hint="run it as root, or as a user with that permission")
    hint = f"ls -ld {shlex.quote(str(existing_path(path)))}" if path else ""
    failure = MachineError(message, code="system", hint=hint)
    correct_path(failure, str(path))
    return failure


def correct_path(error: GmError, path: str) -> None:
    """Correct a path on the command line that does not exist, if its directory has a similar name."""
    folder, name = os.path.split(path)
    try:
        names = [entry.name for entry in os.scandir(folder or ".")]
    except OSError:
        return
    near = "" if name in names or len(name) == 1 else nearest(name, names)
    if near:
        error.correction = Correction(path, (path.removesuffix(name) + near,))


def existing_path(path: Path | str) -> Path:
    """Return a path, or the nearest one above it that exists."""
    return next((above for above in (Path(path), *Path(path).absolute().parents) if os.path.lexists(above)), Path("/"))


def is_without_temporary_folder(error: BaseException) -> bool:
    """Return whether an exception is that of Python if it can write to no directory for temporary files.

    It names no file. Source: _get_default_tempdir of Python's tempfile.
    """
    return isinstance(error, FileNotFoundError) and error.filename is None and "temporary directory" in str(error)


def _explain_temporary_folder(error: OSError) -> MachineError:
    """Return the error for the directory of temporary files: why it cannot be written."""
    folder, hint = os.environ.get("TMPDIR") or "/tmp", "TMPDIR=DIR names another directory"
    try:
        _write_and_remove(Path(folder, f".gentoomuch-{os.getpid()}"))
    except OSError as cause:
        explained = cannot_write(folder, cause, hint=hint)
        explained.hint = explained.hint if explained.hint == hint else f"{explained.hint}; {hint}"
        return explained
    return MachineError(f"cannot write temporary files: {error.strerror}", code="disk-full", hint=hint)


def _write_and_remove(file: Path) -> None:
    """Write a new file, and remove it again; tempfile takes long to import."""
    with file.open("xb") as opened:
        try:
            opened.write(b"text")
            opened.flush()
        finally:
            file.unlink()


def explain_failure(error: ProgramFailed, folder: Path, hint: str) -> GmError:
    """Return the error for a program that failed in a directory: that it cannot be written, or its own with a hint.

    Args:
        error: its last lines of output have the system's reason, in English.
    """
    for number in NO_ROOM:
        if os.strerror(number) in error.tail:
            return cannot_write(folder, OSError(number, os.strerror(number)))
    return ProgramFailed(error.argv, error.returned, error.tail, hint=hint)


def _written_path(error: OSError) -> str:
    """Return the path that could not be written: of two the second, as a copy or a rename names them."""
    named = error.filename2 or error.filename
    return "" if named is None or isinstance(named, int) else os.fsdecode(named)


def unreadable(file: Path, error: OSError) -> BadFile:
    """A file of the configuration or of the state cannot be read."""
    hint = f"ls -ld {shlex.quote(str(existing_path(file)))}"
    if isinstance(error, PermissionError):
        hint = "run it as root, or change its permissions"
    return BadFile(file, 0, f"cannot read it: {(error.strerror or str(error)).lower()}", hint=hint)


def bare(url: str) -> str:
    """Remove the user name and password from a URL."""
    return re.sub(r"^([^/?#]*//)[^/?#]*@", r"\1", url)
