# SPDX-License-Identifier: GPL-2.0-or-later
"""Fill an empty root with emerge, in steps; finished steps are recorded in the root until all are.

The first step creates the directories, links and files that packages require. Source: Gentoo's sys-apps/baselayout,
``layout`` and ``layout-usrmerge`` of its Makefile, share.Linux/passwd and group.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from gentoomuch_portage import fs, stored
from gentoomuch_portage.configroot.cross import UNFINISHED
from gentoomuch_portage.containers import root_lock
from gentoomuch_portage.containers.mounts import resolve_within
from gentoomuch_portage.portage_adapter import paths
from gentoomuch_portage.roots.errors import bootstrap_failed, root_taken

if TYPE_CHECKING:
    from gentoomuch_portage.portage_adapter.config import Arrangement

_FOLDERS = (
    ("boot", 0o755), ("dev", 0o755), ("etc", 0o755), ("home", 0o755), ("mnt", 0o755), ("opt", 0o755),
    ("proc", 0o555), ("root", 0o700), ("run", 0o755), ("sys", 0o555), ("tmp", 0o1777), ("usr", 0o755),
    ("usr/bin", 0o755), ("var", 0o755), ("var/cache", 0o755), ("var/db/pkg", 0o755), ("var/lib/portage", 0o755),
    ("var/log", 0o755), ("var/spool", 0o755), ("var/tmp", 0o1777),
)  # fmt: skip
_MERGED = (("bin", "usr/bin"), ("sbin", "usr/bin"), ("usr/sbin", "bin"))
_LINKS = (("var/run", "../run"), ("var/lock", "../run/lock"))
_PASSWD = """root:x:0:0:root:/root:/bin/bash
bin:x:1:1:bin:/bin:/bin/false
daemon:x:2:2:daemon:/sbin:/bin/false
portage:x:250:250:portage:/var/tmp/portage:/bin/false
nobody:x:65534:65534:nobody:/var/empty:/bin/false
"""
_GROUP = """root:x:0:root
bin:x:1:root,bin,daemon
daemon:x:2:root,bin,daemon
sys:x:3:root,bin
adm:x:4:root,daemon
tty:x:5:
disk:x:6:root
lp:x:7:
kmem:x:9:
wheel:x:10:root
mail:x:12:
console:x:17:
audio:x:18:
cdrom:x:19:
video:x:27:
users:x:100:
portage:x:250:portage
nogroup:x:65533:
nobody:x:65534:
"""
FILES = (("etc/passwd", _PASSWD), ("etc/group", _GROUP))


def make_skeleton(top: Path, arrangement: "Arrangement") -> None:
    """Create missing directories, links and files; existing links are resolved within the root.

    Args:
        top: the root, including the prefix if there is one.

    Raises:
        OSError: a path exists with another type.
    """
    with fs.public_umask(), fs.disk_errors(top):
        top.mkdir(parents=True, exist_ok=True)
        _make_skeleton(top, arrangement)


def _make_skeleton(top: Path, arrangement: "Arrangement") -> None:
    for name, mode in _FOLDERS:
        folder = resolve_within(top, name)
        if not folder.exists():
            folder.mkdir(parents=True)
            folder.chmod(mode)  # with any umask
    for name, target in (*merged_links(arrangement), *_LINKS):
        link = resolve_within(top, str(Path(name).parent)) / Path(name).name
        if target.startswith("usr/"):
            resolve_within(top, target).mkdir(parents=True, exist_ok=True)
        if not link.exists() and not link.is_symlink():
            link.symlink_to(target)
    for name in () if arrangement.merged else ("bin", "sbin", "usr/sbin", *arrangement.libraries):
        resolve_within(top, name).mkdir(parents=True, exist_ok=True)
    for name, text in FILES:
        file = resolve_within(top, name)
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")


def skeleton_names(arrangement: "Arrangement") -> Iterator[str]:
    """Yield the directories and links of a root that belong to no package."""
    yield from (name for name, _ in (*_FOLDERS, *_LINKS))
    yield from (name for name, _ in merged_links(arrangement))
    yield from () if arrangement.merged else ("bin", "sbin", "usr/sbin", *arrangement.libraries)


def merged_links(arrangement: "Arrangement") -> Iterator[tuple[str, str]]:
    """Yield the links of a merged /usr, as the 23.0 profiles require; none for a split one."""
    if arrangement.merged:
        yield from _MERGED
        for name in arrangement.libraries:
            yield name, f"usr/{name}"


def finished_steps(root: Path) -> tuple[str, ...]:
    """Return the finished steps of a bootstrap, in order."""

    def parse(text: str) -> tuple[str, ...]:
        return tuple(str(step) for step in json.loads(text)["done"])

    return stored.recall(root / UNFINISHED, parse) or ()


def is_begun(root: Path) -> bool:
    """Return whether a bootstrap was begun and not finished."""
    return (root / UNFINISHED).exists()


def is_root(root: Path) -> bool:
    """Return whether a directory is a root, finished or not, and not other data."""
    tops = {root, Path(f"{root}{paths.eprefix()}")}
    return is_begun(root) or any((top / "var/db/pkg").is_dir() for top in tops)


def write_steps(root: Path, steps: tuple[str, ...]) -> None:
    """Record the finished steps."""
    fs.write(root / UNFINISHED, json.dumps({"done": list(steps)}) + "\n")


def finish(root: Path) -> None:
    """Mark the bootstrap as finished."""
    (root / UNFINISHED).unlink(missing_ok=True)


Emerge = Callable[[Sequence[str]], int]
"""Runs emerge for the profile, and returns its exit status."""
_FIRST = "sys-apps/baselayout"
_OPTIONS = ("--noreplace", "--ask=n")


class Step(NamedTuple):
    """One run of emerge."""

    name: str
    words: tuple[str, ...]


def check_empty(root: Path) -> None:
    """Check that a directory is missing, empty, or a root.

    Raises:
        RunError[root-taken]: it contains other files, or is not a directory.
    """
    if root.exists() and not root.is_dir():
        raise root_taken(root, "it is not a directory", hint=f"look at it, then remove it: ls -ld {root}")
    if not root.is_dir() or is_root(root):
        return
    if any(path.name != "lost+found" for path in root.iterdir()):
        raise root_taken(root, "it contains files, but no database of Portage", hint="use another root")


def plan_steps(targets: Sequence[str], repositories: Iterable[Path]) -> tuple[Step, ...]:
    """Return the runs of emerge that fill a root.

    Args:
        targets: sets and atoms.
        repositories: of the profile; if one has baselayout, it is installed first, as other packages require it.
    """
    steps = []
    if any((folder / _FIRST).is_dir() for folder in repositories):
        steps.append(Step(_FIRST, ("--oneshot", "--nodeps", *_OPTIONS, _FIRST)))
    steps.append(Step(" ".join(targets), (*_OPTIONS, *targets)))
    return tuple(steps)


def fill(
    root: Path,
    top: Path,
    plan: Sequence[Step],
    emerge: Emerge,
    *,
    arrangement: "Arrangement",
    again: str,
    begin: Callable[[str], object],
) -> None:
    """Run the steps that are not finished.

    Args:
        top: the root, including the prefix if there is one.
        again: the command that continues after a failure.
        begin: called with the name of each step.

    Raises:
        RunError[bootstrap-failed]: emerge failed; merged packages are kept.
        Busy: another run works in the root.
        NoPrivilege: it cannot be created or entered.
    """
    root_lock.make_closed(root)
    fs.ensure(root)
    with root_lock.begin(root):
        finished = finished_steps(root)
        write_steps(root, finished)
        make_skeleton(top, arrangement)
        for step in plan:
            if step.name in finished:
                continue
            begin(step.name)
            if status := emerge(step.words):
                raise bootstrap_failed(f"emerge {step.name}", status, again)
            finished = (*finished, step.name)
            write_steps(root, finished)
        finish(root)
