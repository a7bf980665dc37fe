"""What the first process of a server does between two looks: make of a new index what clients ask for.

``IDENTITY.gz``, ``.zst`` and ``.asc`` below ``cache/binserve/...`` are of the index of that identity; ``.ready`` says
that no more will come.
"""

import gzip
import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from gentoomuch_portage import files
from gentoomuch_portage.binserve import gpg, tree
from gentoomuch_portage.binserve.keys import Key
from gentoomuch_portage.errors import GmError

_OLD = 60.0
"""Seconds for which what belongs to an earlier index is kept for clients that are about to ask for it."""


class Upkeep:
    """Looks at an index, and prepares what stands for it."""

    def __init__(self, root: Path, folder: Path, key: Key | None, tell: Callable[[str], None]) -> None:
        """Prepare nothing yet.

        Args:
            folder: for what is prepared.
            key: signs the index; None: it is not signed.
            tell: hears what did not work.
        """
        self._root, self._folder, self._key, self._tell = root, files.ensure(folder), key, tell
        self._seen = ""

    def __call__(self) -> bool:
        """Look once; True where the index is a new one."""
        identity = tree.identity(self._root)
        if not identity or identity == self._seen:
            return False
        self._prepare(identity)
        self._seen = identity
        self._tidy(identity)
        return True

    def _prepare(self, identity: str) -> None:
        """Make all that stands for the index, unless it changes meanwhile."""
        ready = self._folder / f"{identity}.ready"
        if ready.exists() and (self._key is None or (self._folder / f"{identity}.asc").exists()):
            return
        copy = self._folder / f"{identity}.plain"
        try:
            text = (self._root / "Packages").read_bytes()
            if tree.identity(self._root) != identity:
                return
            if self._key is not None:
                files.write(copy, text)
                gpg.signed(self._key.home, self._key.fingerprint, copy, copy.with_suffix(".part"))
                copy.with_suffix(".part").replace(self._folder / f"{identity}.asc")
            files.write(self._folder / f"{identity}.gz", gzip.compress(text, 6, mtime=0))
            if (packed := _zstd(text)) is not None:
                files.write(self._folder / f"{identity}.zst", packed)
        except (OSError, GmError) as error:
            self._tell(f"the index could not be prepared: {error}")
        finally:
            copy.unlink(missing_ok=True)
        files.write(ready, "")

    def _tidy(self, identity: str) -> None:
        for one in self._folder.iterdir():
            if not one.name.startswith(identity) and time.time() - one.stat().st_mtime > _OLD:
                one.unlink(missing_ok=True)


def _zstd(text: bytes) -> bytes | None:
    """Packed, or None where this Python cannot."""
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]  # Python 3.14
    except ImportError:
        try:
            from backports import zstd
        except ImportError:
            return None
    packed: bytes = zstd.compress(text, 6)
    return packed


def folder_of(root: Path, cache: Path) -> Path:
    """Where what is prepared for a binhost lies."""
    name = hashlib.sha256(os.fsencode(root.absolute())).hexdigest()[:16]
    return cache / "binserve" / name
