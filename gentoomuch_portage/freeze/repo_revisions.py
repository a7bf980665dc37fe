# SPDX-License-Identifier: GPL-2.0-or-later
"""Identify the revision of a repository: its commit, or its timestamp with a digest."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gentoomuch_portage import git_reader
from gentoomuch_portage.errors import MissingProgram
from gentoomuch_portage.git_reader import BadTree

_CACHES = frozenset({"metadata/md5-cache", "metadata/cache", "distfiles", "packages", "local"})
"""Directories at the top of a repository that are generated from the rest of it, or belong to the user."""
_STAMPS = ("metadata/timestamp.commit", "metadata/timestamp.chk", "metadata/timestamp.x", "metadata/timestamp")

_STATUS = ("--porcelain=v1", "-z", "--no-renames", "--untracked-files=all", "--ignore-submodules=dirty")


def read_revision(location: Path) -> dict[str, str]:
    """Identify the revision of a repository; equal for equal content at any location.

    Returns:
        For git, ``commit``, and a digest ``changed`` if files differ from that commit. Otherwise ``timestamp``, if it
        has one, and ``digest``: of the top Manifest, which lists all files of a signed tree (Source: GLEP 74), or of
        all files.

    Raises:
        MissingProgram: git is not installed.
        BadTree: git cannot read the repository.
    """
    if (location / ".git").exists():
        return _read_git_revision(location)
    stamp = next((text for name in _STAMPS if (text := _first_line(location / name))), "")
    manifest = location / "Manifest"
    signed = manifest.is_file() and re.search(rb"^MANIFEST ", manifest.read_bytes(), re.M)
    digest = hashlib.sha256(manifest.read_bytes()).hexdigest() if signed else _digest_files(location)
    return {**({"timestamp": stamp} if stamp else {}), "digest": digest}


def _read_git_revision(location: Path) -> dict[str, str]:
    with git_reader.open_reader(location) as reader:
        if reader is None:
            raise MissingProgram("git", "dev-vcs/git")
        head = reader.query("rev-parse", "--verify", "HEAD")
        # otherwise git runs in submodules with their own configuration
        status = reader.query("status", *_STATUS)
    if failed := next((ended for ended in (head, status) if ended.status), None):
        why = next(iter(failed.err.strip().splitlines()), "no output")
        raise BadTree(location, f"git cannot read its status: {why}", hint=f"git -C {location} status")
    commit, output = head.out.strip(), status.out
    changed = sorted(entry for entry in output.split("\0") if entry and not _is_generated(entry[3:]))
    if not changed:
        return {"commit": commit}
    total = hashlib.sha256()
    for entry in changed:
        file = location / entry[3:]
        total.update(f"{entry}\0".encode() + (file.read_bytes() if file.is_file() else b"") + b"\0")
    return {"commit": commit, "changed": total.hexdigest()}


def _digest_files(location: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(location.rglob("*")):
        name = path.relative_to(location).as_posix()
        hidden = any(part.startswith(".") for part in name.split("/"))
        if path.is_file() and not hidden and not _is_generated(name):
            total.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def _is_generated(name: str) -> bool:
    return any(name == cache or name.startswith(f"{cache}/") for cache in _CACHES)


def _first_line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip().split("\n", 1)[0]
    except OSError:
        return ""


def find_differences(needed: Mapping[str, Mapping[str, Any]], locations: Mapping[str, Path]) -> list[str]:
    """Describe each repository that is missing here, or at another revision.

    Args:
        needed: name -> ``read_revision``.
        locations: name -> location here.
    """
    lines = []
    for name, wanted in sorted(needed.items()):
        if name not in locations or not locations[name].is_dir():
            lines.append(f"{name}: missing here; frozen at {format_revision(wanted)}")
        elif (own := read_revision(locations[name])) != dict(wanted):
            lines.append(f"{name}: at {format_revision(own)}; frozen at {format_revision(wanted)}")
    return lines


def format_revision(revision: Mapping[str, Any]) -> str:
    """Format a revision for messages."""
    if "commit" in revision:
        changed = f", with changes {revision['changed'][:12]}" if "changed" in revision else ""
        return f"commit {revision['commit']}{changed}"
    stamp = f"{revision['timestamp']}, " if revision.get("timestamp") else ""
    return f"{stamp}digest {str(revision.get('digest', ''))[:12]}"
