"""Write a root as one tar archive: equal content gives equal bytes.

As a program it does so as the root of a user's own range of numbers, who may read what the root's users own:
``python -m gentoomuch_portage.roots.pack JOB``, a file in JSON.

What is in a root, entry by entry, in an order and a form that depend on its content alone.
"""

import gzip
import hashlib
import json
import lzma
import os
import stat
import sys
import tarfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from gentoomuch_portage import console
from gentoomuch_portage.configroot.cross import UNFINISHED
from gentoomuch_portage.fs import opened
from gentoomuch_portage.roots import unpack
from gentoomuch_portage.roots.unpack import stream
from gentoomuch_portage.roots.unpack.write import DROPPED, KEPT

_EMPTY = frozenset({"dev", "proc", "sys", "run", "tmp", "var/tmp"})
"""Folders whose content belongs to a machine that runs, not to what it is made of."""
_KINDS = {stat.S_IFREG: tarfile.REGTYPE, stat.S_IFDIR: tarfile.DIRTYPE, stat.S_IFLNK: tarfile.SYMTYPE}


class Told(NamedTuple):
    """One entry of a root."""

    info: tarfile.TarInfo
    path: Path


def entries(root: Path, *, epoch: int | None, below: str = ".", only: Collection[str] | None = None) -> Iterator[Told]:
    """Every entry, sorted, the root itself first; names are ``./usr/bin``.

    What is mounted below is left out, and so are sockets, pipes and devices, which no archive of ours may hold.

    Args:
        epoch: seconds since 1970; what was changed later is told to be of then. Source: the specification of
            SOURCE_DATE_EPOCH, reproducible-builds.org.
        below: the prefix in the root, where there is one.
        only: paths below the root; with them come the folders above them.
    """
    wanted = None if only is None else _with_parents(only)
    emptied = frozenset(str(Path(below, name)) for name in _EMPTY)
    device = root.stat().st_dev
    seen: dict[tuple[int, int], str] = {}
    for path in _walk(root, root, device, emptied, wanted):
        told = _told(root, path, epoch, seen)
        if told is not None:
            yield told


def _with_parents(only: Collection[str]) -> frozenset[str]:
    return frozenset(str(above) for path in only for above in (Path(path), *Path(path).parents))


def _walk(
    root: Path, folder: Path, device: int, emptied: Collection[str], wanted: Collection[str] | None
) -> Iterator[Path]:
    yield folder
    name = str(folder.relative_to(root))
    if name in emptied or folder.stat().st_dev != device:
        return
    with os.scandir(folder) as found:
        below = sorted(found, key=lambda one: os.fsencode(one.name))
    for one in below:
        path = folder / one.name
        if one.name == UNFINISHED or (wanted is not None and str(path.relative_to(root)) not in wanted):
            continue
        if one.is_dir(follow_symlinks=False):
            yield from _walk(root, path, device, emptied, wanted)
        else:
            yield path


def _told(root: Path, path: Path, epoch: int | None, seen: dict[tuple[int, int], str]) -> Told | None:
    state = path.lstat()
    kind = _KINDS.get(stat.S_IFMT(state.st_mode))
    if kind is None:
        return None
    name = "." if path == root else f"./{path.relative_to(root)}"
    info = tarfile.TarInfo(name)
    info.type, info.mode = kind, stat.S_IMODE(state.st_mode)
    info.uid, info.gid = state.st_uid, state.st_gid
    moment = int(state.st_mtime_ns // 10**9)
    info.mtime = moment if epoch is None else min(moment, epoch)
    if kind == tarfile.SYMTYPE:
        info.linkname, info.mode = str(path.readlink()), 0o777
    elif kind == tarfile.REGTYPE:
        first = seen.setdefault((state.st_dev, state.st_ino), name) if state.st_nlink > 1 else name
        if first != name:
            info.type, info.linkname = tarfile.LNKTYPE, first
        else:
            info.size = state.st_size
    if info.type in {tarfile.REGTYPE, tarfile.DIRTYPE}:
        info.pax_headers = {f"SCHILY.xattr.{key}": value for key, value in attributes(path)}
    return Told(info, path)


def attributes(path: Path) -> Iterator[tuple[str, str]]:
    """The extended attributes that come along, sorted; their bytes as tarfile has them in text."""
    for name in sorted(os.listxattr(path, follow_symlinks=False)):
        if name.startswith(KEPT) and not name.startswith(DROPPED):
            yield name, os.getxattr(path, name, follow_symlinks=False).decode("utf-8", "surrogateescape")


SUFFIXES = {".tar": "", ".gz": "gz", ".tgz": "gz", ".xz": "xz", ".txz": "xz", ".zst": "zst"}
"""How a name ends -> how it is packed."""
_LIKE: Mapping[str, Any] = {"format": tarfile.PAX_FORMAT, "copybufsize": 1 << 20}
_LEVEL = 3
"""Of zstd: its own choice. Ten times as fast as 10, for a tenth more bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is to be packed, and how."""

    root: str
    out: str
    kind: str = ""
    """gz, xz, zst; empty for a plain archive."""
    epoch: int | None = None
    below: str = "."
    """The prefix in the root, where there is one."""
    only: tuple[str, ...] | None = None
    """Paths below the root; None for all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What came of it: digests in hex, of SHA-256."""

    digest: str
    inner: str
    """Of the archive before it was packed."""
    size: int
    newest: int
    """When the newest of its entries was changed, in seconds since 1970."""


class _Sum:
    """A file that is hashed as it is written."""

    def __init__(self, below: Any) -> None:
        self._below = below
        self.hash = hashlib.sha256()
        self.size = 0

    def write(self, content: bytes) -> int:
        self.hash.update(content)
        self.size += len(content)
        self._below.write(content)
        return len(content)

    def tell(self) -> int:
        return self.size

    def flush(self) -> None:
        self._below.flush()


def pack(job: Job) -> Written:
    """Write the archive; as an ordinary user with the numbers that the system has given to that user.

    Raises:
        OSError: the root cannot be read, or the archive not be written.
        ProgramFailed: the part that is done with other numbers failed; it has said why.
    """
    if os.geteuid():
        told = Path(f"{job.out}.job")
        told.write_text(json.dumps(asdict(job)), encoding="utf-8")
        unpack.as_root("gentoomuch_portage.roots.pack", str(told))
        return Written(**json.loads(told.read_text(encoding="utf-8")))
    return _pack(job)


def _pack(job: Job) -> Written:
    newest = 0
    with Path(job.out).open("wb") as out:
        outer = _Sum(out)
        with _packer(outer, job.kind) as packer:
            inner = _Sum(packer) if job.kind else outer
            with tarfile.open(fileobj=cast(IO[bytes], inner), mode="w", **_LIKE) as tar:
                for told in entries(Path(job.root), epoch=job.epoch, below=job.below, only=job.only):
                    newest = max(newest, int(told.info.mtime))
                    if told.info.isreg():
                        with opened(Path(job.root), told.path) as content:
                            tar.addfile(told.info, content)
                    else:
                        tar.addfile(told.info)
                    tar.members = []  # type: ignore[attr-defined]  # or it keeps them all
    return Written(digest=outer.hash.hexdigest(), inner=inner.hash.hexdigest(), size=outer.size, newest=newest)


@contextmanager
def _packer(out: Any, kind: str) -> Iterator[Any]:
    """What packs; nothing of when, where and by whom gets into the bytes."""
    match kind:
        case "gz":
            with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=out, mtime=0) as packer:
                yield packer
        case "xz":
            with lzma.open(out, "wb", preset=6) as packer:
                yield packer
        case "zst":
            with stream.zstd().open(out, "wb", level=_LEVEL) as packer:
                yield packer
        case _:
            yield out


def main(argv: Sequence[str]) -> int:
    """The part of ``pack`` that needs other numbers; the job's file becomes what came of it."""
    with console.shown() as end:
        file = Path(argv[0])
        told = json.loads(file.read_text(encoding="utf-8"))
        only = told.pop("only")
        written = _pack(Job(**told, only=None if only is None else tuple(only)))
        file.write_text(json.dumps(asdict(written)), encoding="utf-8")
    return end.status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
