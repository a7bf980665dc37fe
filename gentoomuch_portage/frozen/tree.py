"""The files of a layer or of a patch set, as Portage sees them: links followed, backups and hidden files left out."""

import re
from collections.abc import Iterator
from pathlib import Path

from gentoomuch_portage.compose import LEFT_OUT, OTHER_TOOLS
from gentoomuch_portage.errors import BadFile
from gentoomuch_portage.frozen.archive import Member
from gentoomuch_portage.frozen.errors import CannotFreeze

_SOURCES = re.compile(r"^[^\S\n]*source[^\S\n]+(['\"]?)([^'\"#\s]+)\1[^\n]*$", re.M)
_DEEPEST = 20


def members(folder: Path, top: str) -> Iterator[tuple[Member, Path]]:
    """Each file below a folder, sorted, with the file that it came from.

    Args:
        top: path of the folder in the archive.

    Raises:
        BadFile: one cannot be read.
        CannotFreeze: a link leads back to a folder above it.
    """
    for path, name in _files(folder, "", (folder.resolve(),)):
        yield Member(f"{top}/{name}", _content(path, name, folder), _mode(path)), path


def _files(folder: Path, above: str, parents: tuple[Path, ...]) -> Iterator[tuple[Path, str]]:
    for path in sorted(folder.iterdir()):
        name = f"{above}{path.name}"
        if path.name.startswith(".") or path.name.endswith("~") or (path.name in OTHER_TOOLS and path.is_dir()):
            continue
        if path.is_dir():
            real = path.resolve()
            if real in parents:
                raise CannotFreeze(f"{path}: this link leads back to {real}", remedy="remove it")
            if above or name not in LEFT_OUT:
                yield from _files(path, f"{name}/", (*parents, real))
        elif path.is_file():
            yield path, name


def _content(path: Path, name: str, folder: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadFile(path, 0, error.strerror or "it cannot be read", remedy="run it as root") from error
    if name.split("/", 1)[0] == "make.conf" and b"source" in content:
        return _whole(path, content.decode("utf-8", "surrogateescape"), folder).encode("utf-8", "surrogateescape")
    return content


def _whole(path: Path, text: str, folder: Path, deep: int = 0) -> str:
    """A make.conf with what it sources by an absolute name, or from outside of its layer, in its place.

    Elsewhere that name would mean another file, or none.
    """

    def put(found: re.Match[str]) -> str:
        name = found[2]
        if "$" in name or deep > _DEEPEST:
            line = text.count("\n", 0, found.start()) + 1
            raise CannotFreeze(f"{path}:{line}: what this sources is not known before it is read: {name}")
        meant = path.parent / name
        if not name.startswith("/") and meant.resolve().is_relative_to(folder.resolve()):
            return found[0]
        try:
            below = meant.read_text(encoding="utf-8", errors="surrogateescape")
        except OSError as error:
            raise BadFile(meant, 0, f"{path} sources it: {error.strerror}") from error
        return f"# from {meant}\n{_whole(meant, below, folder, deep + 1).rstrip()}"

    return _SOURCES.sub(put, text)


def _mode(path: Path) -> int:
    """Its permissions; those of the group and of others at most as a umask of 022 leaves them."""
    return path.stat().st_mode & 0o755
