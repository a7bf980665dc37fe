# SPDX-License-Identifier: GPL-2.0-or-later
"""Write the layer of an image: what differs from the layers below it. Equal content gives equal bytes.

Run as a program, it runs as root of a user namespace with the user's subordinate IDs, as ``roots.pack`` does:
``python -m gentoomuch_portage.images.layers JOB``, a file in JSON.
"""

import copy
import hashlib
import json
import os
import sys
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from gentoomuch_portage import console, fs
from gentoomuch_portage.fs import open_below
from gentoomuch_portage.roots import pack, unpack
from gentoomuch_portage.roots.pack import HashingWriter, RootEntry, Written

WHITEOUT = ".wh."
"""Prefix of an entry that removes one of a lower layer. Source: the OCI image specification, layer.md."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerJob:
    """A layer to write."""

    root: str
    out: str
    epoch: int
    """Seconds since 1970; later times are replaced by it."""
    below: str = "."
    """The prefix in the root, if there is one."""
    lower: tuple[str, ...] = ()
    """The layers below, compressed by gzip, the lowest first."""


class _State(NamedTuple):
    """What makes two entries equal; times do not."""

    type: bytes
    mode: int
    uid: int
    gid: int
    link: str
    size: int
    digest: str
    attributes: tuple[tuple[str, str], ...]


def write_layer(job: LayerJob) -> Written:
    """Write a layer; for an ordinary user, in a user namespace with the user's subordinate IDs.

    Raises:
        OSError: the root cannot be read, or the layer cannot be written.
        ProgramFailed: the program in the user namespace failed; it has printed the reason.
    """
    if os.geteuid():
        file = Path(f"{job.out}.job")
        file.write_text(json.dumps(asdict(job)), encoding="utf-8")
        unpack.as_root("images.layers", str(file))
        return Written(**json.loads(file.read_text(encoding="utf-8")))
    return _write_layer(job)


def _write_layer(job: LayerJob) -> Written:
    root = Path(job.root)
    lower = _read_lower(job.lower)
    entries = {entry.info.name: entry for entry in pack.entries(root, epoch=job.epoch, below=job.below)}
    changed = {name for name, entry in entries.items() if _state_of_file(root, entry) != lower.get(name)}
    changed |= {above for name in changed for above in _parents(name)}
    removed = _find_removed(lower, entries)
    whiteouts = {f"{name.rpartition('/')[0]}/{WHITEOUT}{name.rpartition('/')[2]}": job.epoch for name in removed}
    changed |= {above for name in removed for above in _parents(name)}
    newest = 0
    first: dict[tuple[int, int], str] = {}
    with Path(job.out).open("wb") as out:
        outer = HashingWriter(out)
        with pack.compress(outer, "gz") as packer:
            inner = HashingWriter(packer)
            with tarfile.open(fileobj=cast(IO[bytes], inner), mode="w", **pack.TAR_OPTIONS) as tar:
                for name in sorted({*changed, *whiteouts}, key=os.fsencode):
                    if name in whiteouts:
                        tar.addfile(_whiteout(name, job.epoch))
                        continue
                    newest = max(newest, int(entries[name].info.mtime))
                    _add(tar, root, entries[name], first)
                    tar.members = []  # type: ignore[attr-defined]  # or it keeps them all
    return Written(digest=outer.hash.hexdigest(), inner=inner.hash.hexdigest(), size=outer.size, newest=newest)


def _parents(name: str) -> Iterator[str]:
    """Yield the directories above an entry, which a layer has to contain; ``.`` is the root."""
    above = name
    while above != ".":
        above = above.rpartition("/")[0] or "."
        yield above


def _find_removed(lower: Mapping[str, _State], entries: Mapping[str, RootEntry]) -> list[str]:
    """Return the outermost names of lower layers that no longer exist, and are not below another type of entry."""
    missing = [name for name in lower if name not in entries]
    return sorted(name for name in missing if _is_folder(entries.get(next(_parents(name)))))


def _is_folder(entry: RootEntry | None) -> bool:
    return entry is not None and entry.info.isdir()


def _whiteout(name: str, epoch: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.mtime = epoch
    return info


def _add(tar: tarfile.TarFile, root: Path, entry: RootEntry, first: dict[tuple[int, int], str]) -> None:
    """Add an entry; a hard link only to an entry of the same layer."""
    info = _independent(entry)
    if not info.isreg():
        tar.addfile(info)
        return
    state = entry.path.lstat()
    name = first.setdefault((state.st_dev, state.st_ino), info.name) if state.st_nlink > 1 else info.name
    if name != info.name:
        info.type, info.linkname, info.size = tarfile.LNKTYPE, name, 0
        tar.addfile(info)
        return
    with open_below(root, entry.path) as content:
        tar.addfile(info, content)


def _independent(entry: RootEntry) -> tarfile.TarInfo:
    """Return an entry as a file with content if it is a hard link."""
    info = copy.copy(entry.info)
    if info.islnk():
        info.type, info.linkname, info.size = tarfile.REGTYPE, "", entry.path.lstat().st_size
        info.pax_headers = {f"SCHILY.xattr.{key}": value for key, value in pack.attributes(entry.path)}
    return info


def _state_of_file(root: Path, entry: RootEntry) -> _State:
    info = _independent(entry)
    digest = ""
    if info.isreg():
        with open_below(root, entry.path) as content:
            digest = hashlib.file_digest(cast(Any, content), "sha256").hexdigest()
    return _state(info, digest)


def _state(info: tarfile.TarInfo, digest: str) -> _State:
    attributes = tuple(sorted((key, text) for key, text in info.pax_headers.items() if key.startswith("SCHILY.xattr.")))
    return _State(info.type, info.mode, info.uid, info.gid, info.linkname, info.size, digest, attributes)


def _read_lower(layers: Sequence[str]) -> dict[str, _State]:
    """Return the entries of several layers, each applied to those below it."""
    states: dict[str, _State] = {}
    for layer in layers:
        current = dict(_read_layer(layer))
        for name in [name for name in current if name.rpartition("/")[2].startswith(WHITEOUT)]:
            del current[name]
            above, _, base = name.rpartition("/")
            _remove(states, f"{above}/{base.removeprefix(WHITEOUT)}")
        for name, state in current.items():
            if state.type != tarfile.DIRTYPE:
                _remove(states, name)
        states |= current
    return states


def _remove(states: dict[str, _State], name: str) -> None:
    """Remove an entry, and those below it if it is a directory."""
    state = states.pop(name, None)
    if state is not None and state.type == tarfile.DIRTYPE:
        for below in [other for other in states if other.startswith(f"{name}/")]:
            del states[below]


def _read_layer(file: str) -> Iterator[tuple[str, _State]]:
    read: dict[str, _State] = {}
    with tarfile.open(file, "r:gz") as tar:
        for info in tar:
            tar.members = []  # type: ignore[attr-defined]
            if info.islnk():
                state = read[info.linkname]
            elif info.isreg():
                content = cast(Any, tar.extractfile(info))
                state = _state(info, hashlib.file_digest(content, "sha256").hexdigest())
            else:
                state = _state(info, "")
            read[info.name] = state
            yield info.name, state


def main(argv: Sequence[str]) -> int:
    """Write a layer in a user namespace; the result replaces the file of the job."""
    with console.report_errors() as end:
        file = Path(argv[0])
        fields = json.loads(file.read_text(encoding="utf-8"))
        with fs.disk_errors(file.parent):
            written = _write_layer(LayerJob(**{**fields, "lower": tuple(fields["lower"])}))
            file.write_text(json.dumps(asdict(written)), encoding="utf-8")
    return end.status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
