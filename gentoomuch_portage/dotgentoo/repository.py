"""The repositories of a run for a .gentoo folder: one that holds its ebuild, and the overlays that it names."""

import errno
import hashlib
import os
import re
from collections.abc import Mapping
from importlib.resources import files as resources
from pathlib import Path

from gentoomuch_portage import fs
from gentoomuch_portage.dotgentoo.errors import BadFolder, Unreachable
from gentoomuch_portage.dotgentoo.load import VERSION, Folder
from gentoomuch_portage.dotgentoo.overlays import Overlay
from gentoomuch_portage.dotgentoo.worktree import readable
from gentoomuch_portage.errors import ProgramFailed
from gentoomuch_portage.process import run

_SAFE = "file:git:http:https:ssh"
"""What git may speak; never ext::, which runs a command."""
_URI = re.compile(r"(https?|git|ssh|file)://\S+|/\S*|[A-Za-z0-9_.-]+@[A-Za-z0-9_.-]+:\S+")


def name_of(folder: Folder) -> str:
    """The name of the repository of a folder."""
    return "dotgentoo-" + re.sub(r"[^A-Za-z0-9_]", "_", f"{folder.category}-{folder.package}")


def made(folder: Folder, main: str, cache: Path) -> Path:
    """Write the repository of a folder, or find it written; it is named by what it holds.

    Args:
        main: the name of the main repository, whose eclasses it takes; empty where there is none.
    """
    shown = _shown(folder, main)
    total = hashlib.sha256()
    for name, content in sorted(shown.items()):
        total.update(b"%s\0%d\0%s" % (name.encode("utf-8"), len(content), content))
    place = cache / "dotgentoo" / total.hexdigest()[:24]
    if all((place / name).is_file() and (place / name).read_bytes() == content for name, content in shown.items()):
        return place
    with fs.fresh_folder(place.parent) as fresh:
        for name, content in shown.items():
            file = fresh / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        _placed(fresh, place)
    return place


def _shown(folder: Folder, main: str) -> Mapping[str, bytes]:
    """The files of the repository."""
    manifests = "strict" if folder.manifest else "false"
    layout = f"masters = {main}\nthin-manifests = true\nsign-manifests = false\nuse-manifests = {manifests}\n"
    eclass = resources("gentoomuch_portage.dotgentoo") / "eclass/dotgentoo.eclass"
    shown = {
        "profiles/repo_name": f"{name_of(folder)}\n".encode(),
        "profiles/categories": f"{folder.category}\n".encode(),
        "metadata/layout.conf": layout.encode(),
        "eclass/dotgentoo.eclass": eclass.read_bytes(),
        f"{folder.cp}/{folder.package}-{VERSION}.ebuild": folder.ebuild.encode("utf-8"),
    }
    if folder.manifest:
        shown[f"{folder.cp}/Manifest"] = "".join(f"{line}\n" for line in folder.manifest).encode()
    return shown | {f"{folder.cp}/files/{raw.name}": raw.content for raw in folder.files}


def fetched(overlay: Overlay, cache: Path) -> Path:
    """Clone an overlay to a place of ours where it is missing.

    Raises:
        BadFolder: its address is none that git may speak to, or it is no repository of that name.
        Unreachable: git cannot have it; nothing is left behind.
    """
    uri = overlay.get("sync-uri")
    if overlay.get("sync-type") != "git" or not _URI.fullmatch(uri):
        raise overlay.line.refuse(
            f"[{overlay.name}] cannot be fetched: sync-type {overlay.get('sync-type')!r}, sync-uri {uri!r}",
            remedy="sync-type = git, with a URI of https, ssh, git or file; or add the repository to the host",
        )
    place = cache / "overlays" / hashlib.sha256(uri.encode("utf-8")).hexdigest()[:24]
    if not place.is_dir():
        _clone(overlay, uri, place)
    told = place / "profiles/repo_name"
    if not told.is_file() or told.read_text(encoding="utf-8").strip() != overlay.name:
        raise BadFolder(overlay.line.file, overlay.line.number, f"{uri} is no repository named {overlay.name}")
    return place


def _clone(overlay: Overlay, uri: str, place: Path) -> None:
    quiet = {"GIT_TERMINAL_PROMPT": "0", "GIT_ALLOW_PROTOCOL": _SAFE, "GIT_SSH_COMMAND": "ssh -o BatchMode=yes"}
    with fs.fresh_folder(place.parent) as fresh:
        words = ["git", "clone", "--quiet", "--depth=1", "--no-tags", "--", uri, str(fresh / "clone")]
        try:
            run(words, env={**os.environ, **quiet}, keep=True, atom="dev-vcs/git")
        except ProgramFailed as error:
            why = (error.tail.strip().splitlines() or ["git fails"])[-1]
            raise Unreachable(overlay.name, uri, why) from error
        _placed(fresh / "clone", place)


def _placed(fresh: Path, place: Path) -> None:
    """Give a new folder its name; one that another run gave it meanwhile is left, one that somebody changed is not."""
    readable(fresh)
    while True:
        try:
            fresh.rename(place)
            return
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                raise
        if not fs.remove_unheld(place):
            return
