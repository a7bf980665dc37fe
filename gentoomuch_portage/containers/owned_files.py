# SPDX-License-Identifier: GPL-2.0-or-later
"""Files of the host that belong to installed packages, read from the CONTENTS files of Portage's database.

Reading all of them takes some tenths of a second, so that the results are cached until a package is merged or unmerged.
"""

import hashlib
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from gentoomuch_portage.fs import Cache

_VERSION = 1


class Owned(NamedTuple):
    """Files of packages in /etc and /opt of one EPREFIX."""

    etc: tuple[tuple[str, str], ...]
    """Path below /etc, and its MD5 digest in the package; empty for a link."""
    opt: tuple[str, ...]
    """Names of the directories and files directly below /opt."""


def stamp(vdb: Path) -> str:
    """Return a digest that changes with every package that is merged or unmerged.

    Source: vardbapi._bump_mtime of Portage, which touches the database and the category each time (bug 290428).
    """
    total = hashlib.sha256()
    with suppress(OSError):
        total.update(repr(vdb.stat().st_mtime_ns).encode())
        with os.scandir(vdb) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                with suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        total.update(f"{entry.name}\0{entry.stat().st_mtime_ns}\0".encode())
    return total.hexdigest()[:24]


def load(prefix: Path, cache: Path) -> Owned:
    """Load the files of packages in /etc and /opt.

    Args:
        prefix: EPREFIX, or ``/``.
        cache: the directory of all containers.
    """
    vdb = prefix / "var/db/pkg"
    results = Cache(cache / "owned", mode=0o600)
    current = [_VERSION, stamp(vdb)]
    if (cached := results.load(str(prefix), _parse, current)) is not None:
        return cached
    etc: dict[str, str] = {}
    opt: set[str] = set()
    heads = {folder: f"{str(prefix).rstrip('/')}/{folder}/" for folder in ("etc", "opt")}
    for kind, path, md5 in _contents(vdb, tuple(heads.values())):
        if path.startswith(heads["opt"]):
            opt.add(path.removeprefix(heads["opt"]).split("/")[0])
        elif kind != "dir":
            etc[path.removeprefix(heads["etc"])] = md5
    owned = Owned(tuple(sorted(etc.items())), tuple(sorted(opt)))
    results.store(str(prefix), owned._asdict(), current)
    return owned


def _parse(value: Mapping[str, Any]) -> Owned:
    return Owned(tuple((name, md5) for name, md5 in value["etc"]), tuple(value["opt"]))


def find_owned(vdb: Path, paths: Collection[str]) -> set[str]:
    """Return the paths that installed packages own."""
    return {path for _, path, _ in _contents(vdb, tuple(paths)) if path in paths}


def _contents(vdb: Path, heads: tuple[str, ...]) -> Iterator[tuple[str, str, str]]:
    """Yield type, path and MD5 digest of all entries whose paths begin with one of ``heads``.

    Source: vartree.dblink.getcontents of Portage: ``obj PATH MD5 MTIME``, ``sym PATH -> TARGET MTIME``, ``dir PATH``.
    """
    wanted = tuple(os.fsencode(head) for head in heads)
    for package in _packages(vdb):
        with suppress(OSError):
            content = (package / "CONTENTS").read_bytes()
            if any(head in content for head in wanted):
                yield from (entry for line in content.splitlines() if (entry := _entry(line, wanted)) is not None)


def _entry(line: bytes, wanted: tuple[bytes, ...]) -> tuple[str, str, str] | None:
    kind, _, rest = line.partition(b" ")
    if not rest.startswith(wanted):
        return None
    if kind == b"obj":
        path, _, numbers = rest.rpartition(b" ")
        path, _, md5 = path.rpartition(b" ")
        return ("obj", os.fsdecode(path), md5.decode(errors="replace")) if numbers else None
    if kind == b"sym":
        return "sym", os.fsdecode(rest.split(b" -> ")[0]), ""
    return "dir", os.fsdecode(rest), ""


def _packages(vdb: Path) -> Iterator[Path]:
    with suppress(OSError):
        for category in sorted(vdb.iterdir()):
            with suppress(OSError):
                yield from category.iterdir()
