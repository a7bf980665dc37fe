"""What the first process of a server does between two looks: make of a new index what clients ask for.

``IDENTITY.gz``, ``.zst`` and ``.asc`` below ``cache/binserve/...`` are of the index of that identity; ``.ready`` says
that no more will come. Where the index is signed, ``.plain`` is the index itself, and ``latest`` names the one that
clients see: builders may change the index several times a second, and whoever read it has to find its signature.
"""

import gzip
import hashlib
import os
import re
import time
from collections.abc import Callable, Set
from pathlib import Path

from gentoomuch_portage import fs, gpg
from gentoomuch_portage.binhost.keys import Key
from gentoomuch_portage.binhost.server import files
from gentoomuch_portage.errors import GmError

Settle = Callable[[], Set[str] | None]
"""Sign the packages that are not signed. None: some are now, and so the index is another one, or about to be. Otherwise
the paths, below the binhost, of those that could not be signed: an index that is signed does not tell of them."""
LATEST = "latest"
_AGAIN = 5.0
"""Seconds until what could not be prepared is tried again."""
_OLD = 60.0
"""Seconds for which what belongs to an earlier index is kept for clients that are about to ask for it."""


class Upkeep:
    """Looks at an index, and prepares what stands for it."""

    def __init__(
        self, root: Path, folder: Path, key: Key | None, tell: Callable[[str], None], settle: Settle | None = None
    ) -> None:
        """Prepare nothing yet.

        Args:
            folder: for what is prepared.
            key: signs the index; None: it is not signed.
            tell: hears what did not work.
            settle: called with each new index before it is signed; None where packages stay as they are.
        """
        self._root, self._folder, self._tell = root, fs.ensure(folder), tell
        self.key = key
        self._anew = False
        self._settle = settle
        self._seen = self._failed = ""
        self._due = 0.0
        if key is None:
            (folder / LATEST).unlink(missing_ok=True)

    def sign_with(self, key: Key) -> None:
        """Sign with another key from now on, what is signed already as well."""
        self.key, self._seen, self._anew = key, "", True

    def __call__(self) -> bool:
        """Look once; True where the index is a new one."""
        identity = files.identity(self._root)
        if not identity or identity == self._seen or (identity == self._failed and time.monotonic() < self._due):
            return False
        try:
            done = self._prepare(identity)
        except (OSError, GmError) as error:
            if identity != self._failed:
                self._tell(f"the index could not be prepared, and is tried again: {error}")
            self._failed, self._due = identity, time.monotonic() + _AGAIN
            return True
        if done:
            self._seen = identity
            self._tidy(identity)
        return True

    def _prepare(self, identity: str) -> bool:
        """Make all that stands for the index; False where it changed meanwhile, or has to be looked at again."""
        ready, asc = self._folder / f"{identity}.ready", self._folder / f"{identity}.asc"
        if self._anew or not ready.exists() or (self.key is not None and not asc.exists()):
            if not self._made(identity):
                return False
            fs.write(ready, "")
            self._anew = False
        if asc.exists():
            fs.write(self._folder / LATEST, identity, durable=False)
        return True

    def _made(self, identity: str) -> bool:
        """Write the files; False where the index changed meanwhile. The packages are signed first, the index last."""
        place = self._root / "Packages"
        text, seen = place.read_bytes(), place.stat()
        left = self._settle() if self._settle else frozenset()
        if left is None or files.identity(self._root) != identity:
            return False
        if self._settle:
            text = signed_alone(text, left)
        fs.write(self._folder / f"{identity}.gz", gzip.compress(text, 6, mtime=0))
        if (packed := _zstd(text)) is not None:
            fs.write(self._folder / f"{identity}.zst", packed)
        if self.key is not None:
            plain = self._folder / f"{identity}.plain"
            fs.write(plain, text)
            os.utime(plain, ns=(seen.st_mtime_ns, seen.st_mtime_ns))
            gpg.signed(self.key.home, self.key.fingerprint, plain, plain.with_suffix(".part"))
            plain.with_suffix(".part").replace(self._folder / f"{identity}.asc")
        return True

    def _tidy(self, identity: str) -> None:
        kept = (identity, latest(self._folder) or identity, LATEST)
        for one in self._folder.iterdir():
            if not one.name.startswith(kept) and time.time() - one.stat().st_ctime > _OLD:
                one.unlink(missing_ok=True)


def signed_alone(text: bytes, unsigned: Set[str]) -> bytes:
    """An index without the packages that have no signature: those that are named, and all that are no gpkg."""
    header, *entries = text.split(b"\n\n")
    kept = [one for one in entries if not _unsigned(one, unsigned)]
    if len(kept) == len(entries):
        return text
    number = sum(1 for one in kept if one.strip())
    return b"\n\n".join((re.sub(rb"(?m)^PACKAGES: .*$", b"PACKAGES: %d" % number, header), *kept))


def _unsigned(entry: bytes, unsigned: Set[str]) -> bool:
    path = re.search(rb"(?m)^PATH: (.*)$", entry)
    if path is None:
        return re.search(rb"(?m)^CPV: ", entry) is not None  # an xpak of long ago
    return not path[1].endswith(b".gpkg.tar") or os.fsdecode(path[1]) in unsigned


def latest(folder: Path) -> str:
    """The identity of the index that clients see; empty where they see that of the binhost itself."""
    try:
        return (folder / LATEST).read_text(encoding="ascii")
    except OSError:
        return ""


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
