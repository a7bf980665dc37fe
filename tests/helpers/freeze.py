# SPDX-License-Identifier: GPL-2.0-or-later
"""Frozen profiles for tests: archives of a few members, and archives that somebody has tampered with."""

import io
import sys
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path

from gentoomuch_portage.freeze import archive
from gentoomuch_portage.freeze.archive import Member

PROFILE = b'base = "none"\nlayers = ["common"]\npatches = ["fix"]\nroot = "ROOT"\n[binpkg]\nbuild = false\n'


def members(root: Path, *, use: str = "nls") -> list[Member]:
    """Those of a small profile for a root of its own."""
    return [
        Member("binhosts.json", b"{}\n"),
        Member("facts.json", b"{}\n"),
        Member("layers/common/make.conf", f'USE="{use}"\n'.encode()),
        Member("layers/common/package.use", b"app-demo/gm-hello shout\n", 0o600),
        Member("patches/fix/app-demo/gm-hello/a.patch", b"--- a/x\n+++ b/x\n"),
        Member("profile.toml", PROFILE.replace(b"ROOT", str(root).encode())),
        Member("repositories.json", b"{}\n"),
        Member("unmask.json", b'[\n {\n  "atom": "=a/b-1",\n  "kind": "keywords",\n  "required_by": []\n }\n]\n'),
        Member("world", b"app-demo/gm-hello\n"),
        Member("world_sets", b""),
    ]


def rewritten(content: bytes, change: Callable[[list[Member]], Iterable[Member]]) -> bytes:
    """An archive whose members were changed, written as freeze writes it."""
    return archive.pack_members(change(list(archive.unpack_members(content, "it"))))


def added(content: bytes, name: str, data: bytes = b"", **told: object) -> bytes:
    """An archive with one more member at its end, whatever kind it is of.

    Args:
        told: attributes of its header.
    """
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archived:
        for one in archive.unpack_members(content, "it"):
            info = tarfile.TarInfo(one.path)
            info.size, info.mode, info.mtime = len(one.content), one.mode, 315_532_800
            archived.addfile(info, io.BytesIO(one.content))
        info = tarfile.TarInfo(name)
        info.size, info.mtime = len(data), 315_532_800
        for key, value in told.items():
            setattr(info, key, value)
        archived.addfile(info, io.BytesIO(data))
    return out.getvalue()


def tree(*tops: Path) -> dict[str, bytes]:
    """Every file below folders, but for what only matters while something is put in its place."""
    return {
        str(path): path.read_bytes()
        for top in tops
        for path in sorted(top.rglob("*"))
        if path.is_file() and path.suffix != ".lock" and not _hidden(path.relative_to(top))
    }


def _hidden(path: Path) -> bool:
    """What only work leaves behind. The folder that Python was installed in, Portage's prefix, may be .venv."""
    return any(part.startswith(".") and part not in Path(sys.prefix).parts for part in path.parts)
