# SPDX-License-Identifier: GPL-2.0-or-later
"""Import the /etc/portage of another machine as a layer and a profile (``gentoomuch profile adopt``)."""

import posixpath
import re
import shlex
import tarfile
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from gentoomuch_portage import fs
from gentoomuch_portage.config import portage_names, sourced_files
from gentoomuch_portage.config.profile import UNNAMED_CPU
from gentoomuch_portage.config.schema import toml_value
from gentoomuch_portage.errors import ConfigError, MachineError, UsageError, correct_path
from gentoomuch_portage.process import run

_MOST_BYTES = 64 * 2**20
_MOST_FILES = 20_000
_REMOTE = re.compile(r"(?P<host>[A-Za-z0-9_][A-Za-z0-9_.@-]*|[^/:@]+@[A-Za-z0-9_][A-Za-z0-9_.-]*):(?P<path>/.*)")
_MOST_TEXT = 1 << 20
"""Bytes of a file that is searched for ``source`` lines."""
_NATIVE = re.compile(r"(?<![\w-])-m(?:arch|cpu)=native\b|target-cpu=native\b")
_SEPARATOR = "gentoomuch: options of the compiler\n"
_ASK_CPU = shlex.join(
    [
        "sh",
        "-c",
        f"cat /proc/cpuinfo; echo '{_SEPARATOR.strip()}'; export LC_ALL=C; "
        "for flag in -march=native -mcpu=native; do gcc $flag -Q --help=target 2>/dev/null && break; done; :",
    ]
)
"""For the shell of the machine; it contains no user input. Source: gcc(1), -Q."""
_KEYS = "gnupg"
_PROFILE_LINK = "make.profile"
_SKIPPED = (_PROFILE_LINK, ".git")
"""Skipped without a message: a link whose target is read, and history."""
_UNTAKEN = ("a link out of the directory", "neither a file nor a directory")
"""Reasons to skip a file that the machine reads."""
_PROFILE = re.compile(r"(?:^|/)profiles/(?P<path>.+?)/*$")


def bad_source(source: str) -> UsageError:
    """The argument of ``profile adopt`` is neither a directory nor HOST:/DIR."""
    error = UsageError(
        f"{source!r} is neither an existing directory nor HOST:/DIR",
        code="bad-source",
        hint="gentoomuch profile adopt root@router:/etc/portage router",
    ).with_correction(source, "/etc/portage")
    correct_path(error, source)
    return error


def no_portage(source: str, *, portage: bool) -> UsageError:
    """The directory to import has none of the files that Portage reads in /etc/portage."""
    place = f"{source.rstrip('/')}/portage" if portage else "/etc/portage"
    error = UsageError(
        f"{source} contains no file that Portage reads in /etc/portage",
        code="no-etc-portage",
        hint=f"gentoomuch profile adopt {place} new",
    )
    return error.with_correction(source, place)


def layer_exists(folder: Path) -> ConfigError:
    """A layer of this name already exists."""
    return ConfigError(f"{folder} exists", code="layer-exists", hint=f"choose another name, or move {folder} away")


def too_much(source: str) -> MachineError:
    """The directory to import has too many files, or too large ones, for an /etc/portage."""
    return MachineError(
        f"{source} has more than {_MOST_FILES} files or {_MOST_BYTES >> 20} MiB: too large for an /etc/portage",
        code="too-much",
    )


@dataclass(frozen=True, slots=True)
class Adopted:
    """The result of an import."""

    make_profile: str
    """For the key of a profile; empty if it cannot be determined."""
    taken: int
    """Number of files."""
    skipped: tuple[str, ...]
    """Skipped files with the reason, a line each."""
    missing: tuple[str, ...] = ()
    """Those of them that the machine reads: the profile lacks a part of its configuration."""
    native: tuple[str, ...] = ()
    """``FILE:LINE`` of each flag for the CPU of the compiling machine: ``-march=native``."""
    changed: tuple[str, ...] = ()
    """Files that differ from those of the machine, a line each."""


def adopt(source: str, layer: Path) -> Adopted:
    """Copy the files that Portage reads from an /etc/portage into a layer, atomically; links out of it are skipped.

    Args:
        source: a directory, or ``HOST:/DIR`` for ssh, which may prompt for a password.

    Raises:
        UsageError[bad-source]: it is neither.
        UsageError[no-etc-portage]: it is another directory.
        ConfigError[layer-exists]: the layer exists.
        MissingProgram, ProgramFailed: ssh or tar.
        MachineError[too-much]: it is larger than any /etc/portage.
    """
    argv = _argv(source)
    if (folder := Path(source)).is_dir() and not any(portage_names.known(entry.name) for entry in folder.iterdir()):
        raise no_portage(source, portage=(folder / "portage").exists())  # before a whole home or disk is read
    if layer.exists():
        raise layer_exists(layer)
    fs.ensure(layer.parent)
    with tempfile.TemporaryFile() as archive, fs.fresh_folder(layer.parent) as fresh:
        run(argv, into=archive)
        archive.seek(0)
        adopted = _unpack(source, archive, fresh)
        fresh.chmod(0o755)
        fresh.rename(layer)
    return adopted


def _argv(source: str) -> list[str]:
    if Path(source).is_dir():
        return ["tar", "--create", "--file=-", f"--directory={source}", "."]
    if match := _REMOTE.fullmatch(source):
        return ["ssh", "--", match["host"], f"tar --create --file=- --directory={shlex.quote(match['path'])} ."]
    raise bad_source(source)


def _unpack(source: str, archive: IO[bytes], into: Path) -> Adopted:
    make_profile, taken, left, missing, tops = "", 0, [], list[str](), set()
    sourced = sourced_files.find(_read_texts(source, archive))
    archive.seek(0)
    with tarfile.open(fileobj=archive, mode="r:") as packed:
        for member in packed:
            name = PurePosixPath(posixpath.normpath(member.name))
            if str(name) == _PROFILE_LINK:
                make_profile = _make_profile(member.linkname) if member.issym() else ""
                missing += [] if make_profile else [f"{name}: {_describe_profile(member)}"]
            tops |= {name.parts[0]} if name.parts else set()
            if why := _find_reason(name, member, sourced.names):
                left += [f"{name}: {why}"] if why != "." else []
                missing += [f"{name}: {why}"] if why.startswith(_UNTAKEN) else []
                continue
            taken += _write_member(packed, member, into, name, sourced.texts.get(str(name)))
    if not any(map(portage_names.known, tops)):
        raise no_portage(source, portage="portage" in tops)
    written = (path for path in sorted(into.rglob("*")) if path.is_file() and not path.is_symlink())
    native = tuple(f"{path.relative_to(into)}:{line}" for path in written for line in _find_native(path))
    missing += sourced.outside
    skipped = tuple(sorted({*left, *missing}))
    return Adopted(make_profile, taken, skipped, tuple(sorted(missing)), native, sourced.changed)


def _describe_profile(member: tarfile.TarInfo) -> str:
    """Return why a make.profile cannot be named by the key ``make_profile``."""
    if member.issym():
        return f"a link to {member.linkname}, which is not in a repository: set make_profile in the profile"
    return "not a link into a repository: set make_profile in the profile, and copy its files to profile/ of the layer"


def _read_texts(source: str, archive: IO[bytes]) -> dict[str, str]:
    """Return the small files of an archive: name -> text.

    Raises:
        MachineError[too-much]: it is larger than any /etc/portage.
    """
    texts, size = {}, 0
    with tarfile.open(fileobj=archive, mode="r:") as packed:
        for number, member in enumerate(packed):
            size += member.size
            if number > _MOST_FILES or size > _MOST_BYTES:
                raise too_much(source)
            name = posixpath.normpath(member.name)
            content = packed.extractfile(member) if member.isreg() and member.size <= _MOST_TEXT else None
            if content is not None and name.partition("/")[0] != _KEYS:
                texts[name] = content.read().decode(errors="surrogateescape")
    return texts


def _find_native(path: Path) -> Iterator[int]:
    """Find the lines of a file, from 1, with a flag for the CPU of the compiling machine."""
    if path.stat().st_size <= _MOST_TEXT:
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if _NATIVE.search(line.partition("#")[0]):
                yield number


def query_cpu(source: str) -> tuple[str, str]:
    """Query the CPU of a machine by ssh: its /proc/cpuinfo, and the target options of its compiler.

    Returns:
        Two empty texts for a directory of this machine; an empty text for what the machine lacks.

    Raises:
        MissingProgram, ProgramFailed: ssh.
    """
    match = None if Path(source).is_dir() else _REMOTE.fullmatch(source)
    if match is None:
        return "", ""
    answer = run(["ssh", "--", match["host"], _ASK_CPU], keep=True, given=None).out
    cpuinfo, _, options = answer.partition(_SEPARATOR)
    return cpuinfo, options


def _find_reason(name: PurePosixPath, member: tarfile.TarInfo, sourced: Collection[str]) -> str:
    """Return the reason to skip a member; ``.`` for no message, empty to import it.

    Args:
        sourced: names of top-level entries that files of the machine source.
    """
    if name.is_absolute() or ".." in name.parts:
        return "its name leads out of the directory"
    first = name.parts[0] if name.parts else "."
    if str(name) == _KEYS:
        return "keys are not copied"
    if first in {".", _KEYS, *_SKIPPED}:
        return "."
    if not portage_names.known(first) and first not in sourced:
        return "Portage does not read it" if str(name) == first else "."
    if member.issym():
        return "" if _is_inner_link(name, member.linkname) else f"{_UNTAKEN[0]}, to {member.linkname}"
    return "" if member.isfile() or member.isdir() else _UNTAKEN[1]


def _is_inner_link(name: PurePosixPath, target: str) -> bool:
    """Whether the text of a link points into its own tree."""
    if target.startswith("/"):
        return False
    return not posixpath.normpath(str(name.parent / target)).startswith("..")


def _write_member(
    packed: tarfile.TarFile, member: tarfile.TarInfo, into: Path, name: PurePosixPath, text: str | None
) -> int:
    """Write one member; return the number of new files.

    Args:
        text: replaces its content; None keeps it.
    """
    place = into / name
    if any((into / above).is_symlink() for above in (name, *name.parents)):
        return 0  # nothing is written below a link
    if member.isdir():
        place.mkdir(parents=True, exist_ok=True)
        return 0
    place.parent.mkdir(parents=True, exist_ok=True)
    if member.issym():
        place.symlink_to(member.linkname)
        return 1
    content = packed.extractfile(member)
    original = content.read() if content else b""
    place.write_bytes(original if text is None else text.encode(errors="surrogateescape"))
    place.chmod(0o755 if member.mode & 0o100 else 0o644)
    return 1


def _make_profile(link: str) -> str:
    """Return ``default/linux/amd64/23.0`` for a link into a repository."""
    match = _PROFILE.search(link)
    return match["path"] if match else ""


def profile_text(name: str, source: str, adopted: Adopted, root: str, cpu: str = "") -> str:
    """Return the TOML of the profile of an imported machine.

    Args:
        cpu: of the machine; empty if unknown.
    """
    return "\n".join(_lines(name, source, adopted, root, cpu)) + "\n"


def _lines(name: str, source: str, adopted: Adopted, root: str, cpu: str) -> Iterator[str]:
    yield f"# The machine of {source}. gm-emerge --gm-profile={name} builds for it on this host."
    yield ""
    yield "# Do not use this host's /etc/portage: the layer contains everything of the machine."
    yield 'base = "none"'
    yield f'layers = ["{name}"]'
    if adopted.make_profile:
        yield f"make_profile = {toml_value(adopted.make_profile)}    # the target of its make.profile"
    else:
        yield '# make_profile = "default/linux/..."    # its make.profile is not in a repository: set it here'
    yield from _cpu(adopted, cpu)
    yield "# Its packages are installed here, never on this host."
    yield f"root = {toml_value(root)}"
    yield ""
    yield "# As on that machine: nothing is unmasked automatically."
    yield "[unmask]"
    yield "keywords = false"
    yield "use = false"
    yield ""
    yield "[binpkg]"
    yield "build = true         # so that it can fetch them"


def _cpu(adopted: Adopted, cpu: str) -> Iterator[str]:
    if adopted.native:
        yield f"# Its files have flags for the CPU of the compiling machine: {', '.join(adopted.native)}."
    if cpu:
        yield f"cpu = {toml_value(cpu)}"
    elif adopted.native:
        yield "# That would be this host. Set the CPU of the machine before using the profile: gentoomuch isa ls."
        yield f"cpu = {toml_value(UNNAMED_CPU)}"
    else:
        yield '# cpu is not set: its CFLAGS apply. To override them: cpu = "znver3"'
