"""The files of published packages, each content once: named by its SHA-256, and linked into every generation.

The configuration of nginx for a published folder.
"""

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from gentoomuch_portage import fs
from gentoomuch_portage.errors import RunError

_HASHES = ("MD5", "SHA1")
"""Digests of ``Packages`` that are held against what is published. Source: binarytree._pkgindex_hashes."""


class NotAsIndexed(RunError):
    """A package is not what the index says of it."""

    code = "not-as-indexed"

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path} is not what its index says: {why}", remedy="gentoomuch binhost check --fix")
        self.path, self.why = path, why


def place(top: Path, digest: str) -> Path:
    """Where a content lies."""
    return top / "objects" / digest[:2] / digest


def put(top: Path, source: Path, path: str, entry: Mapping[str, str]) -> str:
    """Keep the content of a file, if it is not kept already; its SHA-256.

    A copy and no link: some programs write into packages where they lie (Source: bindbapi.aux_update, for xpak).

    Args:
        path: how errors name the file.
        entry: of ``Packages``: SIZE and digests.

    Raises:
        NotAsIndexed: the file is another one than the index tells of, or gone.
    """
    fs.ensure(top / "objects")
    number, name = tempfile.mkstemp(prefix=".new-", dir=top / "objects")
    fresh = Path(name)
    try:
        with source.open("rb") as taken, os.fdopen(number, "wb") as out:
            digest = _copied(taken, out, path, entry)
            out.flush()
            os.fchmod(out.fileno(), 0o644)
            seen = os.fstat(taken.fileno())
            os.utime(out.fileno(), ns=(seen.st_atime_ns, seen.st_mtime_ns))
            target = place(top, digest)
            if not target.exists():
                os.fsync(out.fileno())
                fs.ensure(target.parent)
                fresh.replace(target)
    except FileNotFoundError as error:
        raise NotAsIndexed(path, "it is gone") from error
    finally:
        fresh.unlink(missing_ok=True)
    return digest


def _copied(taken: BinaryIO, out: BinaryIO, path: str, entry: Mapping[str, str]) -> str:
    sums = {name: hashlib.new(name.lower(), usedforsecurity=False) for name in _HASHES if entry.get(name)}
    whole, size = hashlib.sha256(), 0
    while part := taken.read(1 << 20):
        for one in (whole, *sums.values()):
            one.update(part)
        out.write(part)
        size += len(part)
    if entry.get("SIZE", str(size)) != str(size):
        raise NotAsIndexed(path, f"it has {size} bytes and not {entry['SIZE']}")
    for name, one in sums.items():
        if one.hexdigest() != entry[name]:
            raise NotAsIndexed(path, f"its {name} is {one.hexdigest()} and not {entry[name]}")
    return whole.hexdigest()


def link(top: Path, digest: str, target: Path) -> None:
    """Put a content where a generation has it."""
    fs.ensure(target.parent)
    try:
        target.hardlink_to(place(top, digest))
    except OSError as error:
        if error.errno != errno.EMLINK:  # ext4 has room for 65,000 links of a file
            raise
        shutil.copy2(place(top, digest), target)


def sweep(top: Path) -> int:
    """Remove what no generation links any more, and what killed runs left; how many bytes that were.

    Only for who holds the lock of the tree.
    """
    freed = 0
    for one in (top / "objects").glob(".new-*"):
        one.unlink(missing_ok=True)
    for one in (top / "objects").glob("??/*"):
        seen = one.stat()
        if seen.st_nlink == 1:
            freed += seen.st_size
            one.unlink()
    return freed


_TEXT = """server {{
    listen 80;
    root {top}/current;
    default_type application/octet-stream;
    types {{ text/plain asc; application/gzip gz; application/x-tar tar; }}
    # What is current may change between two requests: each looks where the link leads to.
    disable_symlinks off;
    open_file_cache off;
    sendfile on;
    # Portage asks for what is newer than its index by five seconds; ours only ever become younger, by six at least.
    if_modified_since before;
    add_header Cache-Control no-cache;
}}
"""


def configuration(top: Path) -> str:
    """A server block.

    Args:
        top: where was published to, absolute.

    Source: nginx.org, ngx_http_core_module.
    """
    return _TEXT.format(top=top)
