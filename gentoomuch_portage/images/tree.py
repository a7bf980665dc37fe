# SPDX-License-Identifier: GPL-2.0-or-later
"""Change the root of an image: copy files into it, remove others, and normalize times that Portage has recorded.

No link leads out of the root. Run as a program, it runs as root of a user namespace with the user's subordinate IDs:
``python -m gentoomuch_portage.images.tree ROOT JOB`` with ``JOB`` in JSON.
"""

import fnmatch
import json
import os
import shutil
import stat
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from gentoomuch_portage import console, fs
from gentoomuch_portage.containers.mounts import resolve_within
from gentoomuch_portage.errors import RunError
from gentoomuch_portage.roots import unpack


def path_conflict(path: str, reason: str) -> RunError:
    """A file cannot be copied into an image, because the image has something else in its path."""
    hint = "change [image] files, or remove the package that has this path"
    return RunError(f"cannot copy {path} into the image: {reason}", code="image-path-conflict", hint=hint)


def copy_files(root: Path, folders: Sequence[Path]) -> None:
    """Copy the content of directories into a root; the owner is root, and modes and links are those of the files.

    Raises:
        RunError[image-path-conflict]: the root has a directory in the path of a file, or the reverse.
        ProgramFailed: the program in the user namespace failed; it has printed the reason.
    """
    _change(root, "copy", [str(folder) for folder in folders])


def remove_paths(root: Path, patterns: Sequence[str]) -> None:
    """Remove what matches one of the patterns, with everything below it.

    Args:
        patterns: absolute paths in the root; ``*`` and ``?`` match any character.
    """
    _change(root, "remove", list(patterns))


def normalize_times(root: Path, vdb: str, epoch: int) -> None:
    """Replace times after ``epoch`` in the package database: Portage records when it created links.

    Args:
        vdb: the database, an absolute path in the root.
        epoch: seconds since 1970.
    """
    _change(root, "normalize", [vdb, str(epoch)])


def _change(root: Path, action: str, words: list[str]) -> None:
    if not words:
        return
    if os.geteuid():
        unpack.as_root("images.tree", str(root), json.dumps([action, words]))
        return
    _apply(root, action, words)


def _apply(root: Path, action: str, words: Sequence[str]) -> None:
    with fs.public_umask():
        if action == "copy":
            for folder in words:
                _copy(root, Path(folder))
        elif action == "normalize":
            _normalize(resolve_within(root, words[0]), int(words[1]))
        else:
            _remove(root, words)


def _copy(root: Path, folder: Path) -> None:
    for path in _walk(folder):
        name = f"/{path.relative_to(folder)}"
        target = resolve_within(root, str(Path(name).parent)) / path.name
        state = path.lstat()
        try:
            if stat.S_ISDIR(state.st_mode):
                target = resolve_within(root, name)
                target.mkdir(parents=True, exist_ok=True)
                target.chmod(stat.S_IMODE(state.st_mode))
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            if stat.S_ISLNK(state.st_mode):
                target.symlink_to(path.readlink())
            elif stat.S_ISREG(state.st_mode):
                shutil.copyfile(path, target)
                target.chmod(stat.S_IMODE(state.st_mode))
        except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
            raise path_conflict(name, f"{error.strerror}: {error.filename}") from error


def _remove(root: Path, patterns: Sequence[str]) -> None:
    for path in list(_walk(root)):
        name = f"/{path.relative_to(root)}"
        if os.path.lexists(path) and any(fnmatch.fnmatchcase(name, pattern.rstrip("/")) for pattern in patterns):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def _normalize(vdb: Path, epoch: int) -> None:
    """Rewrite CONTENTS of each package. Source: portage(5), the last word of ``obj`` and ``sym`` is a time."""
    for file in sorted(vdb.glob("*/*/CONTENTS")):
        lines = file.read_text(encoding="utf-8", errors="surrogateescape").split("\n")
        new = [_normalize_line(line, epoch) for line in lines]
        if new != lines:
            file.write_text("\n".join(new), encoding="utf-8", errors="surrogateescape")


def _normalize_line(line: str, epoch: int) -> str:
    start, _, moment = line.rpartition(" ")
    if line.startswith(("obj ", "sym ")) and moment.isdigit() and int(moment) > epoch:
        return f"{start} {epoch}"
    return line


def _walk(folder: Path) -> Iterator[Path]:
    """Yield everything below a directory, sorted, without following links."""
    for path in sorted(folder.iterdir()):
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path)


def main(argv: Sequence[str]) -> int:
    """Change a root in a user namespace."""
    root = Path(argv[0])
    with console.report_errors() as end, fs.disk_errors(root):
        action, words = json.loads(argv[1])
        _apply(root, action, words)
    return end.status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
