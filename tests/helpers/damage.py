# SPDX-License-Identifier: GPL-2.0-or-later
"""Damage files of a directory in every way that a disk, an editor or a wrong command does, and restore them."""

import contextlib
import os
import random
import shutil
import stat
from collections.abc import Callable, Iterable
from pathlib import Path

Damage = Callable[[Path, random.Random], None]


def _text(content: str | bytes) -> Damage:
    def write(path: Path, _: random.Random) -> None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    return write


def _garbage(path: Path, chance: random.Random) -> None:
    path.write_bytes(chance.randbytes(300))


def _directory(path: Path, _: random.Random) -> None:
    path.unlink()
    path.mkdir()
    (path / "something").write_text("something\n")


def _dangling(path: Path, _: random.Random) -> None:
    path.unlink()
    path.symlink_to(path.parent / "nowhere" / "at-all")


def _loop(path: Path, _: random.Random) -> None:
    path.unlink()
    path.symlink_to(path.name)


def _fifo(path: Path, _: random.Random) -> None:
    path.unlink()
    os.mkfifo(path)


def _cut(path: Path, _: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def _unreadable(path: Path, _: random.Random) -> None:
    path.chmod(0)


DAMAGES: dict[str, Damage] = {
    "garbage": _garbage,
    "empty": _text(""),
    "directory": _directory,
    "list": _text("[]"),
    "table": _text("{}"),
    "number": _text("17\n"),
    "nested": _text("[" * 60_000),
    "nul": _text("a\0b\n"),
    "not ascii": _text("gr\u00fc\u00dfe\n"),
    "not utf-8": _text(b"\xff\xfe\n"),
    "cut": _cut,
    "dangling link": _dangling,
    "loop of links": _loop,
    "fifo": _fifo,
    "unreadable": _unreadable,
}
"""Name -> what is done to a file; ``linked`` has one more, which needs a file elsewhere."""


def _instead(damage: Damage) -> Damage:
    """Damage a file in the place of a directory."""

    def replace(path: Path, chance: random.Random) -> None:
        _remove(path)
        path.touch()
        damage(path, chance)

    return replace


def _missing(path: Path, _: random.Random) -> None:
    _remove(path)


def _emptied(path: Path, _: random.Random) -> None:
    _remove(path)
    path.mkdir()


OF_DIRECTORIES: dict[str, Damage] = {
    "missing": _missing,
    "emptied": _emptied,
    "unreadable": _unreadable,
    **{name: _instead(DAMAGES[name]) for name in ("garbage", "empty", "dangling link", "loop of links", "fifo")},
}
"""Name -> what is done to a directory."""


def linked(elsewhere: Path) -> Damage:
    """A link to a file or directory elsewhere, which nobody may change through it."""

    def link(path: Path, _: random.Random) -> None:
        _remove(path)
        path.symlink_to(elsewhere)

    return link


Look = tuple[int, int, int, int]


class Snapshot:
    """What is below some directories, to be restored; what is as it was stays untouched.

    Args:
        aside: an empty directory on the same file system, for directories that are damaged.
    """

    def __init__(self, tops: Iterable[Path], *, aside: Path | None = None) -> None:
        self._tops, self._aside = [str(top) for top in tops], aside
        self._moved: list[tuple[Path, Path]] = []
        self._looks = self._walk()
        self._content = {name: _content(name, look[0]) for name, look in self._looks.items()}

    def files(self) -> list[Path]:
        """The regular files, sorted."""
        return sorted(Path(name) for name, look in self._looks.items() if stat.S_ISREG(look[0]))

    def directories(self) -> list[Path]:
        """The directories, sorted."""
        return sorted(Path(name) for name, look in self._looks.items() if stat.S_ISDIR(look[0]))

    def damage_directory(self, path: Path, damage: Damage, chance: random.Random) -> None:
        """Damage a directory; its content is moved aside, as copying it back would take most of the time."""
        if damage is not _unreadable and self._aside is not None:
            mode = path.stat().st_mode
            self._moved.append((path, self._aside / str(len(self._moved))))
            path.rename(self._moved[-1][1])
            path.mkdir()
            path.chmod(stat.S_IMODE(mode))
        damage(path, chance)

    def _move_back(self) -> None:
        while self._moved:
            path, aside = self._moved.pop()
            if path.parent.is_dir() and not path.parent.is_symlink():
                _remove(path)
                aside.rename(path)
            else:
                _remove(aside)  # it is copied back

    def restore(self) -> None:
        """Make everything as it was."""
        for name, (mode, *_) in self._looks.items():  # an ordinary user finds nothing below one that is unreadable
            if stat.S_ISDIR(mode) and stat.S_ISDIR(seen := _mode(name)) and seen != mode:
                Path(name).chmod(stat.S_IMODE(mode))
        self._move_back()
        now = self._walk()
        for name, (mode, *_) in now.items():
            if name not in self._looks or (stat.S_ISDIR(mode) and not stat.S_ISDIR(self._looks[name][0])):
                _remove(Path(name))
        for name, before in self._looks.items():  # parents come first
            if now.get(name) != before:
                self._restore(name, before[0])

    def _restore(self, name: str, mode: int) -> None:
        path, content = Path(name), self._content[name]
        if stat.S_ISDIR(mode):
            if path.is_symlink() or (path.exists() and not path.is_dir()):
                path.unlink()
            path.mkdir(exist_ok=True)
        else:
            path.unlink(missing_ok=True)
            if stat.S_ISLNK(mode):
                path.symlink_to(os.fsdecode(content))
            elif stat.S_ISREG(mode):
                path.write_bytes(content)
            else:
                os.mknod(path, mode)  # a pipe, or what an overlay has for a removed file
        if not stat.S_ISLNK(mode):
            path.chmod(stat.S_IMODE(mode))
        self._looks[name] = _look(path.lstat())

    def _walk(self) -> dict[str, Look]:
        """All that exists now, parents first; no sockets."""
        found: dict[str, Look] = {}
        for top in self._tops:
            if os.path.lexists(top):
                found[top] = _look(os.lstat(top))
                _walk(top, found)
        return found


def _walk(folder: str, found: dict[str, Look]) -> None:
    if not stat.S_ISDIR(_mode(folder)):
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                look = _look(entry.stat(follow_symlinks=False))
            except FileNotFoundError:  # a socket or a lock of a gpg-agent that is ending
                continue
            if not stat.S_ISSOCK(look[0]):
                found[entry.path] = look
            if stat.S_ISDIR(look[0]):
                _walk(entry.path, found)


def _mode(name: str) -> int:
    try:
        return os.lstat(name).st_mode
    except OSError:
        return 0


def _look(seen: os.stat_result) -> Look:
    if stat.S_ISDIR(seen.st_mode):
        return seen.st_mode, 0, 0, 0
    return seen.st_mode, seen.st_ino, seen.st_mtime_ns, seen.st_size


def _content(name: str, mode: int) -> bytes:
    """What is restored: the content of a file, or the target of a link."""
    if stat.S_ISLNK(mode):
        return os.fsencode(os.readlink(name))
    return Path(name).read_bytes() if stat.S_ISREG(mode) else b""


def _remove(path: Path) -> None:
    while path.is_dir() and not path.is_symlink():
        with contextlib.suppress(FileNotFoundError):  # a gpg-agent that is ending removes its socket itself
            shutil.rmtree(path)
    path.unlink(missing_ok=True)
