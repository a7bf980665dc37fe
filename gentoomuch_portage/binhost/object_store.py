# SPDX-License-Identifier: GPL-2.0-or-later
"""Store files of published packages by SHA-256, each content once, and hard-link them into generations.

Also the configuration of nginx for a published directory.
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
"""Digests of ``Packages`` that published files are checked against. Source: binarytree._pkgindex_hashes."""


class NotAsIndexed(RunError):
    """A binary package differs from its entry in the index."""

    code = "not-as-indexed"

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path} differs from its index: {why}", hint="gentoomuch binhost check --fix")
        self.path, self.why = path, why


def object_path(top: Path, digest: str) -> Path:
    """Return the path of a content."""
    return top / "objects" / digest[:2] / digest


def digest_of(file: Path) -> str:
    """Return the SHA-256 of a file."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def store(top: Path, source: Path, path: str, entry: Mapping[str, str]) -> str:
    """Store the content of a file if it is new, and return its SHA-256.

    It is copied, not linked: some programs change packages in place (Source: bindbapi.aux_update, for xpak).

    Args:
        path: name of the file in errors.
        entry: of ``Packages``: SIZE and digests.

    Raises:
        NotAsIndexed: the file differs from its index, or is missing.
    """
    fs.ensure(top / "objects")
    number, name = tempfile.mkstemp(prefix=".new-", dir=top / "objects")
    temporary = Path(name)
    try:
        with source.open("rb") as content, os.fdopen(number, "wb") as out:
            digest = _copy_and_check(content, out, path, entry)
            out.flush()
            os.fchmod(out.fileno(), 0o644)
            status = os.fstat(content.fileno())
            os.utime(out.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))
            target = object_path(top, digest)
            if not target.exists():
                os.fsync(out.fileno())
                fs.ensure(target.parent)
                temporary.replace(target)
    except FileNotFoundError as error:
        raise NotAsIndexed(path, "it is missing") from error
    finally:
        temporary.unlink(missing_ok=True)
    return digest


def _copy_and_check(content: BinaryIO, out: BinaryIO, path: str, entry: Mapping[str, str]) -> str:
    sums = {name: hashlib.new(name.lower(), usedforsecurity=False) for name in _HASHES if entry.get(name)}
    whole, size = hashlib.sha256(), 0
    while part := content.read(1 << 20):
        for digest in (whole, *sums.values()):
            digest.update(part)
        out.write(part)
        size += len(part)
    if entry.get("SIZE", str(size)) != str(size):
        raise NotAsIndexed(path, f"it has {size} bytes, not {entry['SIZE']}")
    for name, digest in sums.items():
        if digest.hexdigest() != entry[name]:
            raise NotAsIndexed(path, f"its {name} is {digest.hexdigest()}, not {entry[name]}")
    return whole.hexdigest()


def link(top: Path, digest: str, target: Path) -> None:
    """Hard-link a content into a generation."""
    fs.ensure(target.parent)
    try:
        target.hardlink_to(object_path(top, digest))
    except OSError as error:
        if error.errno != errno.EMLINK:  # ext4 allows 65,000 links of a file
            raise
        shutil.copy2(object_path(top, digest), target)


def remove_unreferenced(top: Path) -> int:
    """Remove contents that no generation links, and leftovers of killed runs; return the freed bytes.

    The caller holds the lock of the tree.
    """
    freed = 0
    for file in (top / "objects").glob(".new-*"):
        file.unlink(missing_ok=True)
    for file in (top / "objects").glob("??/*"):
        status = file.stat()
        if status.st_nlink == 1:
            freed += status.st_size
            file.unlink()
    return freed


_TEXT = """server {{
    listen 80;
    root {top}/current;
    default_type application/octet-stream;
    types {{ text/plain asc; application/gzip gz; application/x-tar tar; }}
    # The current generation may change between two requests: each resolves the link.
    disable_symlinks off;
    open_file_cache off;
    sendfile on;
    # Portage asks for an index that is newer by five seconds; each new index is newer by at least six.
    if_modified_since before;
    add_header Cache-Control no-cache;
}}
"""


def nginx_config(top: Path) -> str:
    """Return a server block.

    Args:
        top: the published directory, absolute.

    Source: nginx.org, ngx_http_core_module.
    """
    return _TEXT.format(top=top)
