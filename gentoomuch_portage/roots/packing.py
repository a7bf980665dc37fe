"""Write a root as one tar archive: equal content gives equal bytes.

As a program it does so as the root of a user's own range of numbers, who may read what the root's users own:
``python -m gentoomuch_portage.roots.packing JOB``, a file in JSON.
"""

import gzip
import hashlib
import json
import lzma
import os
import sys
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, cast

from gentoomuch_portage import console
from gentoomuch_portage.beneath import opened
from gentoomuch_portage.roots import tape, tree, unpacking

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
        unpacking.as_root("gentoomuch_portage.roots.packing", str(told))
        return Written(**json.loads(told.read_text(encoding="utf-8")))
    return _pack(job)


def _pack(job: Job) -> Written:
    newest = 0
    with Path(job.out).open("wb") as out:
        outer = _Sum(out)
        with _packer(outer, job.kind) as packer:
            inner = _Sum(packer) if job.kind else outer
            with tarfile.open(fileobj=cast(IO[bytes], inner), mode="w", **_LIKE) as tar:
                for told in tree.entries(Path(job.root), epoch=job.epoch, below=job.below, only=job.only):
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
            with tape.zstd().open(out, "wb", level=_LEVEL) as packer:
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
