"""Fill an empty root by emerge: bootstrap from the host, step by step, each of which is done once.

Whether a folder is a root, and which steps of its bootstrap are done.

Those stand in a file in the root itself, as long as it is not finished.

The folders, links and files without which nothing can be merged into an empty root.

Source: Gentoo's sys-apps/baselayout, ``layout`` and ``layout-usrmerge`` of its Makefile, share.Linux/passwd and group.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage import fs
from gentoomuch_portage.configroot.cross import UNFINISHED
from gentoomuch_portage.containers import root_lock
from gentoomuch_portage.containers.mounts import within
from gentoomuch_portage.portage_adapter import emerge as portage_emerge
from gentoomuch_portage.portage_adapter.config import Arrangement
from gentoomuch_portage.roots.errors import BootstrapFailed, RootTaken

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


def lay(top: Path, arrangement: Arrangement) -> None:
    """Make what is missing in a root; what is there stays, and a link in it leads nowhere but into the root.

    Args:
        top: the root, with the prefix where there is one.

    Raises:
        OSError: something else stands in its way.
    """
    with fs.for_all():
        top.mkdir(parents=True, exist_ok=True)
        _lay(top, arrangement)


def _lay(top: Path, arrangement: Arrangement) -> None:
    for name, mode in _FOLDERS:
        folder = within(top, name)
        if not folder.exists():
            folder.mkdir(parents=True)
            folder.chmod(mode)  # whatever the umask is
    for name, target in (*links(arrangement), *_LINKS):
        link = within(top, str(Path(name).parent)) / Path(name).name
        if target.startswith("usr/"):
            within(top, target).mkdir(parents=True, exist_ok=True)
        if not link.exists() and not link.is_symlink():
            link.symlink_to(target)
    for name in () if arrangement.merged else ("bin", "sbin", "usr/sbin", *arrangement.libraries):
        within(top, name).mkdir(parents=True, exist_ok=True)
    for name, text in FILES:
        file = within(top, name)
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")


def names(arrangement: Arrangement) -> Iterator[str]:
    """The folders and links of a root that belong to no package."""
    yield from (name for name, _ in (*_FOLDERS, *_LINKS))
    yield from (name for name, _ in links(arrangement))
    yield from () if arrangement.merged else ("bin", "sbin", "usr/sbin", *arrangement.libraries)


def links(arrangement: Arrangement) -> Iterator[tuple[str, str]]:
    """The links of a merged /usr, as the 23.0 make_profiles want it; none where it is split."""
    if arrangement.merged:
        yield from _MERGED
        for name in arrangement.libraries:
            yield name, f"usr/{name}"


def done(root: Path) -> tuple[str, ...]:
    """The steps that are done, in their order; none where nothing was begun."""
    try:
        told = json.loads((root / UNFINISHED).read_text(encoding="utf-8"))
        return tuple(str(one) for one in told["done"])
    except (OSError, ValueError, KeyError, TypeError):
        return ()


def begun(root: Path) -> bool:
    """Whether a bootstrap was begun and not finished."""
    return (root / UNFINISHED).exists()


def is_root(root: Path) -> bool:
    """Whether a folder is a root, begun or done: whatever else is in it, it is not somebody's data alone."""
    tops = {root, Path(f"{root}{portage_emerge.eprefix()}")}
    return begun(root) or any((top / "var/db/pkg").is_dir() for top in tops)


def note(root: Path, steps: tuple[str, ...]) -> None:
    """Write down what is done so far."""
    fs.write(root / UNFINISHED, json.dumps({"done": list(steps)}) + "\n")


def finish(root: Path) -> None:
    """The root is what was asked for: it may stand on its own."""
    (root / UNFINISHED).unlink(missing_ok=True)


Emerge = Callable[[Sequence[str]], int]
"""Runs emerge for the profile, and returns its exit status."""
_FIRST = "sys-apps/baselayout"
_QUIETLY = ("--noreplace", "--ask=n")


class Step(NamedTuple):
    """One run of emerge."""

    name: str
    words: tuple[str, ...]


def refuse(root: Path) -> None:
    """Refuse to fill what is no root of Portage's.

    Raises:
        RootTaken: it holds something else, or is no folder.
    """
    if root.exists() and not root.is_dir():
        raise RootTaken(root, "is no folder", remedy=f"look at it, then remove it: ls -ld {root}")
    if not root.is_dir() or is_root(root):
        return
    if any(one.name != "lost+found" for one in root.iterdir()):
        raise RootTaken(root, "holds something that is no root of Portage's", remedy="name another root")


def planned(asked: Sequence[str], repositories: Iterable[Path]) -> tuple[Step, ...]:
    """The runs of emerge that fill a root.

    Args:
        asked: sets and atoms.
        repositories: of the profile; where one has baselayout, that comes first and alone, for all else presumes it.
    """
    found = []
    if any((folder / _FIRST).is_dir() for folder in repositories):
        found.append(Step(_FIRST, ("--oneshot", "--nodeps", *_QUIETLY, _FIRST)))
    found.append(Step(" ".join(asked), (*_QUIETLY, *asked)))
    return tuple(found)


def fill(
    root: Path,
    top: Path,
    plan: Sequence[Step],
    emerge: Emerge,
    *,
    arrangement: Arrangement,
    again: str,
    begin: Callable[[str], object],
) -> None:
    """Do what is not done yet.

    Args:
        top: the root, with the prefix where there is one.
        again: the command that goes on after a failure.
        begin: hears of each step that begins.

    Raises:
        BootstrapFailed: emerge failed; what it merged stays.
        Busy: somebody else works in the root.
        NoPrivilege: it cannot be made or entered.
    """
    fs.ensure(root)
    with root_lock.first(root):
        _fill(root, top, plan, emerge, arrangement, again, begin)


def _fill(
    root: Path,
    top: Path,
    plan: Sequence[Step],
    emerge: Emerge,
    arrangement: Arrangement,
    again: str,
    begin: Callable[[str], object],
) -> None:
    so_far = done(root)
    note(root, so_far)
    lay(top, arrangement)
    for step in plan:
        if step.name in so_far:
            continue
        begin(step.name)
        if status := emerge(step.words):
            raise BootstrapFailed(f"emerge {step.name}", status, again)
        so_far = (*so_far, step.name)
        note(root, so_far)
    finish(root)
