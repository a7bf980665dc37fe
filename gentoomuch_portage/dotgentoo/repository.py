# SPDX-License-Identifier: GPL-2.0-or-later
"""Repositories for a .gentoo directory: one with its ebuild, and its overlays."""

import errno
import hashlib
import os
import re
from collections.abc import Mapping
from importlib.resources import files as resources
from pathlib import Path

from gentoomuch_portage import fs, git_reader, stored
from gentoomuch_portage.dotgentoo.errors import overlay_unreachable
from gentoomuch_portage.dotgentoo.load import VERSION, Folder
from gentoomuch_portage.dotgentoo.overlays import Overlay
from gentoomuch_portage.dotgentoo.worktree import make_readable
from gentoomuch_portage.errors import BadFile, ProgramFailed, cannot_write

_URI = re.compile(r"(https?|git|ssh|file)://\S+|/\S*|[A-Za-z0-9_.-]+@[A-Za-z0-9_.-]+:\S+")


def repository_name(folder: Folder) -> str:
    """Return the name of the repository for a .gentoo directory."""
    return "dotgentoo-" + re.sub(r"[^A-Za-z0-9_]", "_", f"{folder.category}-{folder.package}")


def write_repository(folder: Folder, main: str, cache: Path) -> Path:
    """Write the repository for a .gentoo directory, unless it exists; its path has the digest of its content.

    Args:
        main: name of the main repository, which provides eclasses; empty if there is none.
    """
    shown = _repository_files(folder, main)
    total = hashlib.sha256()
    for name, content in sorted(shown.items()):
        total.update(b"%s\0%d\0%s" % (name.encode("utf-8"), len(content), content))
    place = cache / "dotgentoo" / total.hexdigest()[:24]
    if all(stored.has_content(place / name, content) for name, content in shown.items()):
        return place
    with fs.fresh_folder(place.parent, cache=cache) as fresh:
        for name, content in shown.items():
            file = fresh / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        _publish(fresh, place)
    return place


def _repository_files(folder: Folder, main: str) -> Mapping[str, bytes]:
    """Return the files of the repository: path -> content."""
    manifests = "strict" if folder.manifest else "false"
    layout = f"masters = {main}\nthin-manifests = true\nsign-manifests = false\nuse-manifests = {manifests}\n"
    eclass = resources("gentoomuch_portage.dotgentoo") / "eclass/dotgentoo.eclass"
    shown = {
        "profiles/repo_name": f"{repository_name(folder)}\n".encode(),
        "profiles/categories": f"{folder.category}\n".encode(),
        "metadata/layout.conf": layout.encode(),
        "eclass/dotgentoo.eclass": eclass.read_bytes(),
        f"{folder.cp}/{folder.package}-{VERSION}.ebuild": folder.ebuild.encode("utf-8"),
    }
    if folder.manifest:
        shown[f"{folder.cp}/Manifest"] = "".join(f"{line}\n" for line in folder.manifest).encode()
    return shown | {f"{folder.cp}/files/{raw.name}": raw.content for raw in folder.files}


def fetch_overlay(overlay: Overlay, cache: Path) -> Path:
    """Clone an overlay into the cache, unless it is there.

    Raises:
        BadFile[bad-dotgentoo]: its address is not allowed, or it is not a repository with that name.
        MachineError[overlay-unreachable]: git cannot clone it.
    """
    uri = overlay.get("sync-uri")
    if overlay.get("sync-type") != "git" or not _URI.fullmatch(uri):
        raise overlay.line.error(
            f"[{overlay.name}] cannot be fetched: sync-type {overlay.get('sync-type')!r}, sync-uri {uri!r}",
            hint="sync-type = git, with a URI of https, ssh, git or file; or add the repository to the host",
        )
    place = cache / "overlays" / hashlib.sha256(uri.encode("utf-8")).hexdigest()[:24]
    if os.path.lexists(place) and not _is_named(place, overlay.name):  # remove a damaged clone
        fs.remove_unlocked(place)
    if not place.is_dir():
        _clone(overlay, uri, place, cache)
    if not _is_named(place, overlay.name):
        raise BadFile(
            overlay.line.file,
            overlay.line.number,
            f"{uri} is not a repository named {overlay.name}",
            code="bad-dotgentoo",
        )
    return place


def _is_named(place: Path, name: str) -> bool:
    return stored.recall(place / "profiles/repo_name", str.strip) == name


def _clone(overlay: Overlay, uri: str, place: Path, cache: Path) -> None:
    with fs.fresh_folder(place.parent, cache=cache) as fresh:
        try:
            files = git_reader.fetch_files(uri, fresh)
        except ProgramFailed as error:
            why = (error.tail.strip().splitlines() or ["git fails"])[-1]
            raise overlay_unreachable(overlay.name, uri, why) from error
        _publish(files, place)


def _publish(fresh: Path, place: Path) -> None:
    """Rename a new directory to its final path; if another run created that path, use it unless it was changed.

    Raises:
        NoPrivilege: a directory of that path is closed to this user.
    """
    make_readable(fresh)
    while not fs.rename_folder(fresh, place) and fs.remove_unlocked(place):
        pass
    if not os.access(place, os.R_OK | os.X_OK):
        error = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        raise cannot_write(place, error, verb="replace", hint=fs.inspect_hint(place))
