# SPDX-License-Identifier: GPL-2.0-or-later
"""Write a root as a reproducible tar archive: equal content gives equal bytes.

Run as a program, it runs as root of a user namespace with the user's subordinate IDs, who may read files of all users
of the root: ``python -m gentoomuch_portage.roots.pack JOB``, a file in JSON.
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

from gentoomuch_portage import console, fs, zstd
from gentoomuch_portage.configroot.cross import UNFINISHED
from gentoomuch_portage.fs import open_below
from gentoomuch_portage.roots import unpack
from gentoomuch_portage.roots.unpack.write import DROPPED_XATTRS, KEPT_XATTRS

_EMPTY = frozenset({"dev", "proc", "sys", "run", "tmp", "var/tmp"})
"""Directories whose content belongs to a running machine."""
_KINDS = {stat.S_IFREG: tarfile.REGTYPE, stat.S_IFDIR: tarfile.DIRTYPE, stat.S_IFLNK: tarfile.SYMTYPE}


class RootEntry(NamedTuple):
    """One entry of a root."""

    info: tarfile.TarInfo
    path: Path


def entries(
    root: Path, *, epoch: int | None, below: str = ".", only: Collection[str] | None = None
) -> Iterator[RootEntry]:
    """Yield every entry, sorted, the root itself first; names are ``./usr/bin``.

    Other file systems below the root, sockets, pipes and devices are left out.

    Args:
        epoch: seconds since 1970; later times are replaced by it. Source: the specification of SOURCE_DATE_EPOCH,
            reproducible-builds.org.
        below: the prefix in the root, if there is one.
        only: paths below the root, added with the directories above them.
    """
    wanted = None if only is None else _with_parents(only)
    emptied = frozenset(str(Path(below, name)) for name in _EMPTY)
    device = root.stat().st_dev
    seen: dict[tuple[int, int], str] = {}
    for path in _walk(root, root, device, emptied, wanted):
        entry = _entry(root, path, epoch, seen)
        if entry is not None:
            yield entry


def _with_parents(only: Collection[str]) -> frozenset[str]:
    return frozenset(str(above) for path in only for above in (Path(path), *Path(path).parents))


def _walk(
    root: Path, folder: Path, device: int, emptied: Collection[str], wanted: Collection[str] | None
) -> Iterator[Path]:
    yield folder
    name = str(folder.relative_to(root))
    if name in emptied or folder.stat().st_dev != device:
        return
    with os.scandir(folder) as scan:
        below = sorted(scan, key=lambda entry: os.fsencode(entry.name))
    for entry in below:
        path = folder / entry.name
        if entry.name == UNFINISHED or (wanted is not None and str(path.relative_to(root)) not in wanted):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(root, path, device, emptied, wanted)
        else:
            yield path


def _entry(root: Path, path: Path, epoch: int | None, seen: dict[tuple[int, int], str]) -> RootEntry | None:
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
    return RootEntry(info, path)


def attributes(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the extended attributes that are archived, sorted; their bytes as text, as in tarfile."""
    for name in sorted(os.listxattr(path, follow_symlinks=False)):
        if name.startswith(KEPT_XATTRS) and not name.startswith(DROPPED_XATTRS):
            yield name, os.getxattr(path, name, follow_symlinks=False).decode("utf-8", "surrogateescape")


SUFFIXES = {".tar": "", ".gz": "gz", ".tgz": "gz", ".xz": "xz", ".txz": "xz", ".zst": "zst"}
"""Suffix of a name -> compression."""
TAR_OPTIONS: Mapping[str, Any] = {"format": tarfile.PAX_FORMAT, "copybufsize": 1 << 20}
_LEVEL = 3
"""The default of zstd: ten times as fast as 10, for 10 % more bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """An archive to write."""

    root: str
    out: str
    kind: str = ""
    """gz, xz, zst; empty: uncompressed."""
    epoch: int | None = None
    below: str = "."
    """The prefix in the root, if there is one."""
    only: tuple[str, ...] | None = None
    """Paths below the root; None for all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The result: SHA-256 digests in hex."""

    digest: str
    inner: str
    """Of the uncompressed archive."""
    size: int
    newest: int
    """The newest modification time of its entries, in seconds since 1970."""


class HashingWriter:
    """A file that is hashed while it is written.

    Attributes:
        hash: of what was written.
        size: in bytes.
    """

    def __init__(self, below: Any) -> None:
        self._below = below
        self.hash = hashlib.sha256()
        self.size = 0

    def write(self, content: bytes) -> int:
        """Write bytes; return how many."""
        self.hash.update(content)
        self.size += len(content)
        self._below.write(content)
        return len(content)

    def tell(self) -> int:
        """Return the number of bytes."""
        return self.size

    def flush(self) -> None:
        """Flush the file."""
        self._below.flush()


def pack(job: Job) -> Written:
    """Write the archive; for an ordinary user, in a user namespace with the user's subordinate IDs.

    Raises:
        OSError: the root cannot be read, or the archive cannot be written.
        ProgramFailed: the program in the user namespace failed; it has printed the reason.
    """
    if os.geteuid():
        file = Path(f"{job.out}.job")
        file.write_text(json.dumps(asdict(job)), encoding="utf-8")
        unpack.as_root("roots.pack", str(file))
        return Written(**json.loads(file.read_text(encoding="utf-8")))
    return _pack(job)


def _pack(job: Job) -> Written:
    newest = 0
    with Path(job.out).open("wb") as out:
        outer = HashingWriter(out)
        with compress(outer, job.kind) as packer:
            inner = HashingWriter(packer) if job.kind else outer
            with tarfile.open(fileobj=cast(IO[bytes], inner), mode="w", **TAR_OPTIONS) as tar:
                for entry in entries(Path(job.root), epoch=job.epoch, below=job.below, only=job.only):
                    newest = max(newest, int(entry.info.mtime))
                    if entry.info.isreg():
                        with open_below(Path(job.root), entry.path) as content:
                            tar.addfile(entry.info, content)
                    else:
                        tar.addfile(entry.info)
                    tar.members = []  # type: ignore[attr-defined]  # or it keeps them all
    return Written(digest=outer.hash.hexdigest(), inner=inner.hash.hexdigest(), size=outer.size, newest=newest)


@contextmanager
def compress(out: Any, kind: str) -> Iterator[Any]:
    """Open a compressor whose output contains no time, name or user."""
    match kind:
        case "gz":
            with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=out, mtime=0) as packer:
                yield packer
        case "xz":
            with lzma.open(out, "wb", preset=6) as packer:
                yield packer
        case "zst":
            with zstd.module().open(out, "wb", level=_LEVEL) as packer:
                yield packer
        case _:
            yield out


def main(argv: Sequence[str]) -> int:
    """Write an archive in a user namespace; the result replaces the file of the job."""
    with console.report_errors() as end:
        file = Path(argv[0])
        fields = json.loads(file.read_text(encoding="utf-8"))
        only = fields.pop("only")
        with fs.disk_errors(file.parent):
            written = _pack(Job(**fields, only=None if only is None else tuple(only)))
            file.write_text(json.dumps(asdict(written)), encoding="utf-8")
    return end.status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
