# SPDX-License-Identifier: GPL-2.0-or-later
"""Compose directories of a container from copies of listed entries, before the container starts.

Copies are cached in ``cache/containers/composed/KEY``, with a key that depends on their sources. Only root, or the user
that builds, can enter it, and no container sees it. A copy does not change with the host: a secret that is created
while a container runs is not in it.
"""

import hashlib
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

from gentoomuch_portage import fs, stored
from gentoomuch_portage.containers import private_files
from gentoomuch_portage.containers.spec import SPEC, Bind, Composed, ContainerSpec, Mount, Overlay, Pick
from gentoomuch_portage.errors import MachineError

_FOLDER = "composed"
_NEW = ".new-"
_VERSION = b"1\0"
"""Part of every key: another version of this module copies other things."""
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_UNUSED = 86_400
"""Seconds after which unused copies are removed."""
_ATTEMPTS = 5
"""How often a directory is copied again because it changed meanwhile."""
KEYS = (".pem", ".key", ".x509", ".p12", ".pfx", ".jks")
"""Suffixes of files that may contain private keys; no build needs them."""
_KEY_FOLDERS = frozenset({"gnupg"})
_PEM_KEY = b"PRIVATE KEY-----"
"""Part of the first line of a private key. Source: RFC 7468; OpenSSH and PGP write it as well."""
_LOGIN = re.compile(rb"(?<=//)[^/?#\s\"'@]*@")
"""Name and password in a URL."""
_WITH_LOGINS = frozenset({"make.conf", "binrepos.conf", "repos.conf", "gentoomuch.toml"})


def prepare_mounts(spec: ContainerSpec, cache: Path) -> ContainerSpec:
    """Replace the rules of a container spec by results: lists by copies, and rules for hiding by paths.

    Args:
        cache: the directory of all containers.

    Raises:
        NoPrivilege: the cache cannot be written.
    """
    mounts = (_prepare_mount(mount, cache) for mount in spec.mounts)
    return spec._replace(mounts=tuple(_stack(mount, spec.below) for mount in mounts))


def _stack(mount: Mount, below: str) -> Mount:
    """Let a container see the changes that an earlier one has made in the same directory."""
    if below and isinstance(mount, Overlay) and (layer := Path(below, Path(mount.upper).name)).is_dir():
        return mount._replace(below=str(layer))
    return mount


def _prepare_mount(mount: Mount, cache: Path) -> Mount:
    if isinstance(mount, Composed):
        copies = str(compose(mount, cache))
        return Overlay(copies, mount.target, mount.upper) if mount.upper else Bind(copies, mount.target)
    if isinstance(mount, Overlay) and mount.search:
        mount = mount._replace(hidden=private_files.find_private(mount.source, mount.owners, cache / "private"))
    if isinstance(mount, Overlay) and mount.picks:
        edited = Composed(mount.source, mount.target, mount.upper, mount.picks)
        mount = mount._replace(copies=str(compose(edited, cache)))
    return mount


def compose(directory: Composed, cache: Path) -> Path:
    """Copy what a directory lists, unless the cache has these copies already.

    Raises:
        NoPrivilege: the cache cannot be written.
    """
    above = fs.ensure(cache / _FOLDER, mode=0o700, cache=cache)
    key = _key(directory)
    for _ in range(_ATTEMPTS):
        for place in above.glob(f"{key}-*"):
            if place.name.startswith(f"{key}-{_seal(place)}-"):
                os.utime(place)
                return place
        _collect(above)
        copies = Path(tempfile.mkdtemp(prefix=_NEW, dir=above))
        try:
            copies.chmod(0o755)
            _copy_all(directory, copies)
            before, key = key, _key(directory)
            if before == key:
                # Damaged copies, which may be in use, keep their name.
                return copies.rename(above / f"{key}-{_seal(copies)}-{copies.name.removeprefix(_NEW)}")
        finally:
            shutil.rmtree(copies, ignore_errors=True)
    place = Path(tempfile.mkdtemp(prefix="changing-", dir=above))  # it changes all the time: for this run only
    place.chmod(0o755)
    _copy_all(directory, place)
    return place


def _seal(copies: Path) -> str:
    """Return a digest of the status of all copies: damaged ones would be a part of the /etc of containers."""
    total, top = hashlib.sha256(), str(copies)
    for path, status in sorted(_entries(top, Pick(".", "named"))):
        content = () if stat.S_ISDIR(status.st_mode) else (status.st_size, status.st_mtime_ns)
        facts = (status.st_mode, status.st_uid, status.st_gid, *content)
        total.update(os.fsencode(path.removeprefix(top)) + b"\0" + repr(facts).encode())
    return total.hexdigest()[:16]


def _collect(above: Path) -> None:
    """Remove copies that no run has used for a day."""
    for path in find_unused(above):
        with suppress(MachineError):
            fs.remove(path)


def find_unused(above: Path) -> list[Path]:
    """Return the entries of a cache that no run has used for a day; other runs may start and end meanwhile.

    Args:
        above: a directory in the cache of all containers.
    """
    latest = time.time() - _UNUSED
    old = [path for path in above.iterdir() if _is_older(path, latest)]
    if not old:
        return []
    specs = "".join(stored.recall(file, str) or "" for file in above.parent.glob(f"run-*/{SPEC}"))
    return [path for path in old if str(path) not in specs]


def _is_older(path: Path, latest: float) -> bool:
    try:
        return path.lstat().st_mtime < latest
    except FileNotFoundError:
        return False  # another run has removed it


def _key(directory: Composed) -> str:
    """Return a digest of the list, and of the status of each entry."""
    total = hashlib.sha256(_VERSION + repr(directory._replace(upper="")).encode("utf-8", "surrogateescape"))
    for pick in directory.picks:
        for path, status in _entries(os.path.join(directory.source, pick.name), pick):  # noqa: PTH118 - thousands
            numbers = (
                status.st_mode, status.st_uid, status.st_gid, status.st_size, status.st_mtime_ns, status.st_ctime_ns,
                status.st_ino,
            )  # fmt: skip
            total.update(os.fsencode(path) + b"\0" + repr(numbers).encode())
    return total.hexdigest()[:32]


def _entries(path: str, pick: Pick) -> Iterator[tuple[str, os.stat_result]]:
    """Yield an entry and everything below it. Paths are text, as each start of a container waits for this."""
    try:
        status = os.lstat(path)
    except OSError:
        return
    yield path, status
    if stat.S_ISDIR(status.st_mode) and _is_entered(status, pick):
        with suppress(OSError), os.scandir(path) as entries:
            for entry in entries:
                yield from _entries(entry.path, pick)


def _is_entered(status: os.stat_result, pick: Pick) -> bool:
    return pick.mode != "public" or bool(pick.md5) or status.st_mode & 0o005 == 0o005


def _copy_all(directory: Composed, to: Path) -> None:
    with ExitStack() as stack:
        try:
            source = os.open(directory.source, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return  # missing on the host: an empty one
        stack.callback(os.close, source)
        target = os.open(to, fs.FOLDER)
        stack.callback(os.close, target)
        _copy_owner(target, os.fstat(source))
        for pick in directory.picks:
            if pick.name == ".":
                _copy_entries(source, target, "", pick)
            else:
                _copy_pick(source, target, pick)


def _copy_pick(source: int, target: int, pick: Pick) -> None:
    """Copy an entry with the directories above it; if one of them is a link, copy the link."""
    *above, name = pick.name.split("/")
    with ExitStack() as stack:
        for part in above:
            status = _status(part, source)
            if status is None or not stat.S_ISDIR(status.st_mode) or not _is_entered(status, pick):
                if status is not None and stat.S_ISLNK(status.st_mode):
                    _copy_link(part, source, target)
                return
            try:
                source = os.open(part, fs.FOLDER, dir_fd=source)
            except OSError:
                return
            stack.callback(os.close, source)
            target = _make(part, target, os.fstat(source))
            stack.callback(os.close, target)
        _copy(name, source, target, pick.name, pick)


def _copy(name: str, source: int, target: int, path: str, pick: Pick) -> None:
    status = _status(name, source)
    if status is None or (pick.mode == "portage" and (name in _KEY_FOLDERS or name.endswith(KEYS))):
        return
    if stat.S_ISLNK(status.st_mode):
        _copy_link(name, source, target)
    elif stat.S_ISREG(status.st_mode):
        _copy_file(name, source, target, path, pick)
    elif stat.S_ISDIR(status.st_mode):
        with suppress(OSError):
            below = os.open(name, fs.FOLDER, dir_fd=source)
            try:
                status = os.fstat(below)
                if _is_entered(status, pick):
                    made = _make(name, target, status)
                    try:
                        _copy_entries(below, made, path, pick)
                    finally:
                        os.close(made)
            finally:
                os.close(below)


def _copy_entries(source: int, target: int, path: str, pick: Pick) -> None:
    for name in sorted(os.listdir(source)):  # of a descriptor, which cannot be replaced by a link
        _copy(name, source, target, f"{path}/{name}", pick)


def _copy_link(name: str, source: int, target: int) -> None:
    with suppress(OSError):
        os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)


def _copy_file(name: str, source: int, target: int, path: str, pick: Pick) -> None:
    """Copy a file through one descriptor: it cannot be replaced between the check and the copy."""
    try:
        opened = os.open(name, _FILE, dir_fd=source)
    except OSError:
        return  # it was removed meanwhile, or this user may not read it
    with os.fdopen(opened, "rb") as file:
        status = os.fstat(opened)
        if not stat.S_ISREG(status.st_mode) or not (_is_readable(status, pick) or pick.edit == "shadow"):
            return
        try:
            content = file.read()
        except OSError:
            return
    if pick.md5 and hashlib.md5(content, usedforsecurity=False).hexdigest() != pick.md5:
        return
    if _PEM_KEY in content and pick.mode != "named":
        return
    content = EDITS[pick.edit](content, path)
    made = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=target)
    with os.fdopen(made, "wb") as copy:
        copy.write(content)
        copy.flush()
        _copy_owner(made, status)
        os.utime(made, ns=(status.st_atime_ns, status.st_mtime_ns))


def _is_readable(status: os.stat_result, pick: Pick) -> bool:
    return pick.mode != "public" or bool(pick.md5) or bool(status.st_mode & stat.S_IROTH)


def _make(name: str, above: int, status: os.stat_result) -> int:
    """Create a directory with the owner and mode of another one, and open it."""
    try:
        os.mkdir(name, 0o700, dir_fd=above)
        made = os.open(name, fs.FOLDER, dir_fd=above)
        _copy_owner(made, status)
    except FileExistsError:
        made = os.open(name, fs.FOLDER, dir_fd=above)
    return made


def _copy_owner(number: int, status: os.stat_result) -> None:
    """Set the owner and the mode of a copy to those of its source; a file never gets a setuid or setgid bit."""
    with suppress(OSError):  # this user may not set that owner
        os.fchown(number, status.st_uid, status.st_gid)
    os.fchmod(number, status.st_mode & (0o3777 if stat.S_ISDIR(status.st_mode) else 0o777))


def _status(name: str, above: int) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=above, follow_symlinks=False)
    except OSError:
        return None


def _lock_passwords(content: bytes, _path: str) -> bytes:
    """Lock all users or groups of a password file. Source: shadow(5), gshadow(5)."""
    return _second_fields(content, lambda _: b"!")


def _without_hashes(content: bytes, _path: str) -> bytes:
    """Remove the hashes that old systems store in ``passwd`` or ``group``. Source: passwd(5), group(5)."""
    return _second_fields(content, lambda field: field if field in {b"", b"x", b"*", b"!"} else b"x")


def _second_fields(content: bytes, change: Callable[[bytes], bytes]) -> bytes:
    lines = (line.split(b":") for line in content.splitlines())
    return b"".join(b":".join((line[0], change(line[1]), *line[2:])) + b"\n" for line in lines if len(line) > 1)


def _without_logins(content: bytes, path: str) -> bytes:
    """Remove user names and passwords from URLs, in files that may name binhosts or repositories."""
    return _LOGIN.sub(b"", content) if _WITH_LOGINS & set(path.split("/")) else content


EDITS: Mapping[str, Callable[[bytes, str], bytes]] = {
    "": lambda content, _path: content,
    "shadow": _lock_passwords,
    "passwd": _without_hashes,
    "logins": _without_logins,
}


def accounts(folder: str = "") -> tuple[Pick, ...]:
    """Return picks of the files of users and groups, without hashes.

    Args:
        folder: a prefix of their names: ``etc/``.
    """
    edits = {"passwd": "passwd", "group": "passwd", "shadow": "shadow", "gshadow": "shadow"}
    return tuple(Pick(f"{folder}{name}", "public", edit) for name, edit in edits.items())


def picks(names: Iterable[str], mode: str = "public", edit: str = "") -> Iterator[Pick]:
    """Return picks of several names."""
    return (Pick(name, mode, edit) for name in names)
