"""``gentoomuch profile adopt``: the /etc/portage of another machine as a layer, and a profile that takes it."""

import posixpath
import re
import shlex
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from gentoomuch_portage import fs
from gentoomuch_portage.config import portage_names
from gentoomuch_portage.errors import ConfigError, MachineError, UsageError
from gentoomuch_portage.process import run

_MOST_BYTES = 64 * 2**20
_MOST_FILES = 20_000
_REMOTE = re.compile(r"(?P<host>[A-Za-z0-9_][A-Za-z0-9_.@-]*|[^/:@]+@[A-Za-z0-9_][A-Za-z0-9_.-]*):(?P<path>/.*)")
_KEYS = "gnupg"
_SILENT = ("make.profile", ".git")
"""What goes without saying: a link that is read instead, and history."""
_PROFILE = re.compile(r"(?:^|/)profiles/(?P<path>.+?)/*$")


class BadSource(UsageError):
    """What is to be adopted is neither a folder here nor HOST:/FOLDER."""

    code = "bad-source"

    def __init__(self, source: str) -> None:
        super().__init__(
            f"{source!r} is no folder here, and not HOST:/FOLDER either",
            remedy="gentoomuch profile adopt root@router:/etc/portage router",
        )


class NoPortage(UsageError):
    """What is to be adopted holds nothing that Portage reads."""

    code = "no-etc-portage"

    def __init__(self, source: str, *, portage: bool) -> None:
        place = f"{source.rstrip('/')}/portage" if portage else "HOST:/etc/portage"
        super().__init__(
            f"{source} holds nothing that Portage reads in /etc/portage",
            remedy=f"gentoomuch profile adopt {place} NAME",
        )


class LayerExists(ConfigError):
    """A layer of that name is there already."""

    code = "layer-exists"

    def __init__(self, folder: Path) -> None:
        super().__init__(f"{folder} is there already", remedy=f"another name, or mv {folder} away first")


class TooMuch(MachineError):
    """What came is too large for an /etc/portage."""

    code = "too-much"

    def __init__(self, source: str) -> None:
        super().__init__(
            f"{source} has more than {_MOST_FILES} files or {_MOST_BYTES >> 20} MiB, which is no /etc/portage"
        )


@dataclass(frozen=True, slots=True)
class Adopted:
    """What came of it."""

    make_profile: str
    """As a profile of ours has it; empty where the machine has none that can be told."""
    taken: int
    """Files."""
    left: tuple[str, ...]
    """What was not taken, and why, a line each."""


def adopt(source: str, layer: Path) -> Adopted:
    """Copy what Portage reads of an /etc/portage into a layer, whole or not at all; no link out of it is followed.

    Args:
        source: a folder, or ``HOST:/FOLDER`` for ssh, which may ask for a password.

    Raises:
        BadSource: it is neither.
        NoPortage: it is another folder.
        LayerExists: there is such a layer.
        MissingProgram, ProgramFailed: ssh or tar.
        TooMuch: more came than any /etc/portage has.
    """
    argv = _argv(source)
    if (folder := Path(source)).is_dir() and not any(portage_names.known(one.name) for one in folder.iterdir()):
        raise NoPortage(source, portage=(folder / "portage").exists())  # before a whole home or disk is read
    if layer.exists():
        raise LayerExists(layer)
    fs.ensure(layer.parent)
    with tempfile.TemporaryFile() as archive, fs.fresh_folder(layer.parent) as fresh:
        run(argv, into=archive)
        archive.seek(0)
        adopted = _unpacked(source, archive, fresh)
        fresh.chmod(0o755)
        fresh.rename(layer)
    return adopted


def _argv(source: str) -> list[str]:
    if Path(source).is_dir():
        return ["tar", "--create", "--file=-", f"--directory={source}", "."]
    if found := _REMOTE.fullmatch(source):
        return ["ssh", "--", found["host"], f"tar --create --file=- --directory={shlex.quote(found['path'])} ."]
    raise BadSource(source)


def _unpacked(source: str, archive: IO[bytes], into: Path) -> Adopted:
    make_profile, taken, size, left, tops = "", 0, 0, [], set()
    with tarfile.open(fileobj=archive, mode="r:") as packed:
        for number, member in enumerate(packed):
            size += member.size
            if number > _MOST_FILES or size > _MOST_BYTES:
                raise TooMuch(source)
            name = PurePosixPath(posixpath.normpath(member.name))
            if str(name) == "make.profile" and member.issym():
                make_profile = _make_profile(member.linkname)
            tops |= {name.parts[0]} if name.parts else set()
            if why := _against(name, member):
                left += [f"{name}: {why}"] if why != "." else []
                continue
            taken += _laid(packed, member, into, name)
    if not any(map(portage_names.known, tops)):
        raise NoPortage(source, portage="portage" in tops)
    return Adopted(make_profile, taken, tuple(sorted(left)))


def _against(name: PurePosixPath, member: tarfile.TarInfo) -> str:
    """Why a member is not taken; ``.`` where that goes without saying, empty where it is."""
    if name.is_absolute() or ".." in name.parts:
        return "its name leads out"
    first = name.parts[0] if name.parts else "."
    if str(name) == _KEYS:
        return "keys stay where they are"
    if first in {".", _KEYS, *_SILENT}:
        return "."
    if not portage_names.known(first):
        return "Portage does not read it" if str(name) == first else "."
    if member.issym():
        return "" if _stays(name, member.linkname) else f"a link that leads out, to {member.linkname}"
    return "" if member.isfile() or member.isdir() else "neither a file nor a folder"


def _stays(name: PurePosixPath, target: str) -> bool:
    """Whether a link ends in the tree that it lies in, by its words."""
    if target.startswith("/"):
        return False
    return not posixpath.normpath(str(name.parent / target)).startswith("..")


def _laid(packed: tarfile.TarFile, member: tarfile.TarInfo, into: Path, name: PurePosixPath) -> int:
    """Write one member; how many files that made."""
    place = into / name
    if any((into / above).is_symlink() for above in (name, *name.parents)):
        return 0  # below a link nothing is written, wherever it leads
    if member.isdir():
        place.mkdir(parents=True, exist_ok=True)
        return 0
    place.parent.mkdir(parents=True, exist_ok=True)
    if member.issym():
        place.symlink_to(member.linkname)
        return 1
    content = packed.extractfile(member)
    place.write_bytes(content.read() if content else b"")
    place.chmod(0o755 if member.mode & 0o100 else 0o644)
    return 1


def _make_profile(link: str) -> str:
    """``default/linux/amd64/23.0`` of a link into a repository; ``REPO:path`` is left to who knows its name."""
    found = _PROFILE.search(link)
    return found["path"] if found else ""


def profile_text(name: str, source: str, adopted: Adopted, root: str) -> str:
    """The TOML of the profile of an adopted machine."""
    return "\n".join(_lines(name, source, adopted, root)) + "\n"


def _lines(name: str, source: str, adopted: Adopted, root: str) -> Iterator[str]:
    yield f"# The machine that {source} was taken from. gm-emerge --gm-profile={name} builds for it, here."
    yield ""
    yield "# Nothing of this host's /etc/portage: all that the machine has stands in its layer."
    yield 'base = "none"'
    yield f'layers = ["{name}"]'
    if adopted.make_profile:
        yield f"make_profile = {_toml(adopted.make_profile)}    # where its make.profile leads"
    else:
        yield '# make_profile = "default/linux/..."    # its make.profile leads to no repository: say which it is'
    yield '# cpu is left out: its CFLAGS hold. -march=native in them means this host: name its CPU, cpu = "znver3".'
    yield "# Where it is built: its packages never touch this host."
    yield f"root = {_toml(root)}"
    yield ""
    yield "# As on that machine: nothing is unmasked beyond what its files say."
    yield "[unmask]"
    yield "keywords = false"
    yield "use = false"
    yield ""
    yield "[binpkg]"
    yield "build = true         # so that it can fetch them"


def _toml(text: str) -> str:
    import json

    return json.dumps(text, ensure_ascii=False)
