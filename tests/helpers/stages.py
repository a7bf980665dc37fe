# SPDX-License-Identifier: GPL-2.0-or-later
"""What tests of roots and their archives share: tiny ones, and keys that sign them."""

import io
import os
import subprocess
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gentoomuch_portage.portage_adapter.config import Arrangement
from gentoomuch_portage.roots import bootstrap, export
from gentoomuch_portage.roots.export import Export

FOLDER, FILE, LINK, HARD, DEVICE = tarfile.DIRTYPE, tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE
PLAIN: tuple[tuple[str, bytes, Any], ...] = (
    ("./", FOLDER, None),
    ("./usr/bin/", FOLDER, None),
    ("./usr/bin/sh", FILE, b"a shell"),
    ("./bin", LINK, "usr/bin"),
    ("./usr/bin/ash", HARD, "./usr/bin/sh"),
    ("./dev/null", DEVICE, (1, 3)),
    ("./dev/tty1", DEVICE, (4, 1)),
    ("./dev/ttyS0", DEVICE, (4, 64)),
    ("./etc/mtab", LINK, "../proc/self/mounts"),
)
"""A little system: name, kind, and content, target or numbers."""


def packed(entries: Iterable[tuple[str, bytes, Any]] = PLAIN, **headers: str) -> bytes:
    """A tar archive; ``headers`` are those of its files, ``__`` for a dot in their names."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind, told in entries:
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.mtime = kind, 0o755, 1_000_000_000
            if kind == FILE:
                info.size = len(told)
                info.pax_headers = {key.replace("__", "."): value for key, value in headers.items()}
            elif kind == DEVICE:
                info.devmajor, info.devminor = told
            elif kind in {LINK, HARD}:
                info.linkname = told
            tar.addfile(info, io.BytesIO(told) if kind == FILE else None)
    return content.getvalue()


@dataclass(frozen=True)
class Signer:
    """Somebody with a key."""

    home: Path
    fingerprint: str
    when: tuple[str, ...] = ()

    @property
    def public(self) -> Path:
        """The file of the public key."""
        return self.home / "public.asc"

    def sign(self, file: Path, how: str = "--detach-sign", suffix: str = ".asc") -> None:
        """Write a signature beside a file."""
        _gpg(self.home, *self.when, "--yes", "--armor", how, "--output", f"{file}{suffix}", str(file))

    def sign_digests(self, file: Path, text: str, suffix: str) -> None:
        """Write digests of a file, signed in the clear."""
        plain = file.with_name("digests")
        plain.write_text(text)
        self.sign(plain, "--clearsign")
        plain.with_name("digests.asc").rename(f"{file}{suffix}")


def signer(home: Path, *, when: tuple[str, ...] = (), lasts: str = "never") -> Signer:
    """Make a key."""
    home.mkdir(mode=0o700, parents=True)
    _gpg(home, *when, "--passphrase", "", "--quick-gen-key", "Somebody", "ed25519", "sign", lasts)
    told = _gpg(home, "--list-keys", "--with-colons")
    fingerprint = next(line.split(":")[9] for line in told.splitlines() if line.startswith("fpr"))
    (home / "public.asc").write_text(_gpg(home, "--armor", "--export", fingerprint))
    return Signer(home, fingerprint, when)


def _gpg(home: Path, *words: str) -> str:
    argv = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--pinentry-mode", "loopback", *words]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def a_root(folder: Path) -> Path:
    """A root with a link, a hard link, a setuid file, and what belongs to a machine that runs."""
    bootstrap.make_skeleton(folder, Arrangement(merged=True, libraries=("lib", "lib64")))
    for name, text in (("usr/bin/su", "su"), ("usr/lib64/libc.so", "libc"), ("var/tmp/left", "x"), ("run/pid", "1")):
        (folder / name).write_text(text)
    (folder / "usr/bin/su").chmod(0o4711)
    os.link(folder / "usr/bin/su", folder / "usr/bin/sudo")
    return folder


def exported(root: Path, out: Path, form: str = "tar", **more: Any) -> Path:
    """Export a root, by default whole."""
    arranged = Arrangement(merged=True, libraries=("lib", "lib64"))
    told = {"name": "router", "packages": (), "thin": False, "arrangement": arranged, **more}
    export.export(Export(root=root, top=root, **told), form, out)
    return out
