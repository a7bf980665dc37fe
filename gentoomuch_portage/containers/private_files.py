"""What of the host nobody but its owner may read is not to be read in a box either, whoever its root is.

A package is a way out: what a build reads it can pack. So the upper layer of an overlay hides such things before the
overlay is mounted: folders that others cannot enter are empty, files that others cannot read are empty, and the
files of passwords have none. What Portage has to read stays.
"""

import errno
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gentoomuch_portage.containers.spec import Mount, Overlay, Tmpfs

if TYPE_CHECKING:
    from gentoomuch_portage.config.settings import Settings  # each start of a box would wait for it

_EVERYTHING = 99
"""A depth that no folder has."""
_SERVICES = 3
"""Where services keep what is theirs: /var/lib/NAME/FOLDER. Below lie too many files to look at each for each box."""
_PASSWORDS = frozenset({"shadow", "shadow-", "gshadow", "gshadow-"})
_OPAQUE = "user.overlay.opaque"
"""Source: Documentation/filesystems/overlayfs.rst of the kernel, whiteouts and opaque directories; userxattr."""


def depths(eprefix: Path, settings: "Settings") -> dict[str, int]:
    """How many levels below a folder of the host are looked at; 0 for what a box has to read, private or not."""
    found: dict[str, int] = {}
    for top in {Path("/"), eprefix}:
        found |= {str(top / "opt"): _SERVICES - 1, str(top / "var"): _SERVICES}
        found |= {
            str(top / "etc"): _EVERYTHING,
            str(top / "etc/portage"): 0,
            str(top / "etc/portage/gnupg"): _EVERYTHING,
        }
    found |= {str(settings.state): _EVERYTHING, str(settings.cache): 0, str(settings.config): 0}
    own = (path for path in settings.state.glob("*/*") if path.parent.name != "binhost" and path.name != "roots")
    return found | {str(path): 0 for path in own}


def without(mount: Mount, looked: Mapping[str, int]) -> Mount:
    """A mount that hides what is private.

    Args:
        looked: as ``depths`` gives it.
    """
    if not isinstance(mount, Overlay):
        return mount
    private = {path: depth for path, depth in looked.items() if _within(path, mount.source)}
    own = _depth(mount.source, looked)
    if own and not private and not _entered(mount.source):
        return Tmpfs(mount.target, stat.S_IMODE(os.stat(mount.source).st_mode))
    if own:
        private.setdefault(mount.source, own)
    return mount._replace(private=private if any(private.values()) else None)


def _depth(path: str, looked: Mapping[str, int]) -> int:
    above = max((one for one in looked if _within(path, one)), key=len, default="")
    return max(0, looked[above] - len(Path(path).relative_to(above).parts)) if above else 0


def _within(path: str, folder: str) -> bool:
    return f"{path}/".startswith(f"{folder.rstrip('/')}/")


def _entered(folder: str) -> bool:
    return bool(os.stat(folder).st_mode & stat.S_IXOTH)


def hide(one: Overlay) -> None:
    """Hide what is private in the upper layer of an overlay; what stands there already is left as it is.

    Raises:
        OSError: the upper layer cannot be written.
    """
    for path, seen in hidden(one.private or {}):
        own, over = Path(path), Path(one.upper, os.path.relpath(path, one.source))
        if os.path.lexists(over) or _replaced(over, Path(one.upper)):
            continue
        _mirror(own.parent, over.parent)
        if stat.S_ISDIR(seen.st_mode):
            _mirror(own, over)
            _opaque(over)
        else:
            over.write_text(_without_passwords(own) if own.name in _PASSWORDS else "", encoding="utf-8")
            _likened(own, over)


def hidden(private: Mapping[str, int]) -> Iterator[tuple[str, os.stat_result]]:
    """What is private: paths, and what the kernel says about each.

    Args:
        private: folders, each with the number of levels below it that are looked at.
    """
    above = frozenset(str(parent) for path in private for parent in Path(path).parents)
    for folder, depth in private.items():
        if depth:
            yield from _below(folder, depth, private, above)


def _below(
    folder: str, depth: int, private: Mapping[str, int], above: frozenset[str]
) -> Iterator[tuple[str, os.stat_result]]:
    """Paths are text here, as each start of a box waits for it."""
    with suppress(FileNotFoundError, NotADirectoryError, PermissionError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_symlink() or entry.path in private:
                continue
            seen = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(seen.st_mode):
                if not seen.st_mode & stat.S_IXOTH and entry.path not in above:
                    yield entry.path, seen
                elif depth > 1:
                    yield from _below(entry.path, depth - 1, private, above)
            elif stat.S_ISREG(seen.st_mode) and not seen.st_mode & stat.S_IROTH:
                yield entry.path, seen


def _replaced(over: Path, upper: Path) -> bool:
    """Whether the box has removed or replaced a folder on the way; nothing is written through a link that it laid."""
    above = (one for one in over.parents if one.is_relative_to(upper))
    return any(one.is_symlink() or (one.exists() and not one.is_dir()) for one in above)


def _opaque(folder: Path) -> None:
    """Empty, whatever the lower layer has there."""
    try:
        os.setxattr(folder, _OPAQUE, b"y")
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
        folder.rmdir()  # a file system in memory before Linux 6.6 has no such attributes: then nothing is there at all
        os.mknod(folder, stat.S_IFCHR, 0)


def _mirror(own: Path, over: Path) -> None:
    """The folder in the upper layer, with those above it, as they are below."""
    if not over.is_dir():
        _mirror(own.parent, over.parent)
        over.mkdir()
        _likened(own, over)


def _likened(own: Path, over: Path) -> None:
    seen = own.stat()
    with suppress(OSError):  # an owner without a number in the box
        os.chown(over, seen.st_uid, seen.st_gid)
    over.chmod(stat.S_IMODE(seen.st_mode))


def _without_passwords(file: Path) -> str:
    """The users and groups of a file of passwords, each locked. Source: shadow(5)."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except PermissionError:
        return ""
    parted = (line.split(":") for line in lines)
    return "".join(":".join((one[0], "!", *one[2:])) + "\n" for one in parted if len(one) > 1)
