"""Which state a repository is in: its commit, or its timestamp with a digest."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gentoomuch_portage.git import git

_CACHES = frozenset({"metadata/md5-cache", "metadata/cache", "distfiles", "packages", "local"})
"""Folders at the top of a repository that are made out of the rest of it, or are the owner's affair."""
_STAMPS = ("metadata/timestamp.commit", "metadata/timestamp.chk", "metadata/timestamp.x", "metadata/timestamp")


def revision(location: Path) -> dict[str, str]:
    """What tells a state of a repository from all others; equal for equal content wherever it lies.

    Returns:
        ``commit`` where it is kept in git, with ``changed``, a digest, where its files are not those of that commit;
        otherwise ``timestamp``, where it has one, and ``digest``: of its top Manifest, which lists all files of a
        signed tree (Source: GLEP 74), or of all of its files.

    Raises:
        MissingProgram, ProgramFailed: git is not here, or fails.
    """
    if (location / ".git").exists():
        return _of_git(location)
    stamp = next((text for name in _STAMPS if (text := _first_line(location / name))), "")
    manifest = location / "Manifest"
    signed = manifest.is_file() and re.search(rb"^MANIFEST ", manifest.read_bytes(), re.M)
    digest = hashlib.sha256(manifest.read_bytes()).hexdigest() if signed else _of_files(location)
    return {**({"timestamp": stamp} if stamp else {}), "digest": digest}


def _of_git(location: Path) -> dict[str, str]:
    commit = git(location, "rev-parse", "HEAD").out.strip()
    told = git(location, "status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all").out
    changed = sorted(entry for entry in told.split("\0") if entry and not _cached(entry[3:]))
    if not changed:
        return {"commit": commit}
    total = hashlib.sha256()
    for entry in changed:
        file = location / entry[3:]
        total.update(f"{entry}\0".encode() + (file.read_bytes() if file.is_file() else b"") + b"\0")
    return {"commit": commit, "changed": total.hexdigest()}


def _of_files(location: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(location.rglob("*")):
        name = path.relative_to(location).as_posix()
        hidden = any(part.startswith(".") for part in name.split("/"))
        if path.is_file() and not hidden and not _cached(name):
            total.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def _cached(name: str) -> bool:
    return any(name == one or name.startswith(f"{one}/") for one in _CACHES)


def _first_line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip().split("\n", 1)[0]
    except OSError:
        return ""


def differences(needed: Mapping[str, Mapping[str, Any]], here: Mapping[str, Path]) -> list[str]:
    """What is missing here, or at another revision, one a repository.

    Args:
        needed: name -> ``revision``.
        here: name -> location.
    """
    told = []
    for name, wanted in sorted(needed.items()):
        if name not in here or not here[name].is_dir():
            told.append(f"{name}: it is not here; it was at {text(wanted)}")
        elif (found := revision(here[name])) != dict(wanted):
            told.append(f"{name}: it is at {text(found)}; it was at {text(wanted)}")
    return told


def text(revision: Mapping[str, Any]) -> str:
    """A revision for people."""
    if "commit" in revision:
        changed = f", with changes {revision['changed'][:12]}" if "changed" in revision else ""
        return f"commit {revision['commit']}{changed}"
    stamp = f"{revision['timestamp']}, " if revision.get("timestamp") else ""
    return f"{stamp}digest {str(revision.get('digest', ''))[:12]}"
