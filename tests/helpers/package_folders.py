# SPDX-License-Identifier: GPL-2.0-or-later
"""Folders of packages that hold no real ones."""

import hashlib
import time
from pathlib import Path

from gentoomuch_portage.pkgindex import write


def shelve(folder: Path, contents: dict[str, bytes]) -> Path:
    """A folder of packages with a fresh index; ``a/b-1`` -> content."""
    entries = []
    for cpv, content in contents.items():
        path = f"{cpv.rpartition('-')[0]}/{cpv.rpartition('/')[2]}-1.gpkg.tar"
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists() or file.read_bytes() != content:
            file.write_bytes(content)
        md5 = hashlib.md5(content).hexdigest()
        entries.append(f"CPV: {cpv}\nMD5: {md5}\nPATH: {path}\nSIZE: {len(content)}\n\n".encode())
    header = f"PACKAGES: {len(entries)}\nTIMESTAMP: {int(time.time())}\n\n".encode()
    write.update_shards(folder, lambda _: {}, write.rewrite(folder, header, entries, compress=True))
    return folder
