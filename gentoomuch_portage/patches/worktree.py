"""Work trees: the sources of a package in git, where a patch of a set is being made.

``cache/patching/SET/CAT/PF`` is the tree, owned by whoever asked for it; what it is for stands in its ``.git``.
"""

import json
import os
import pwd
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from gentoomuch_portage import fs
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import RunError, UsageError
from gentoomuch_portage.git import git


class NothingPrepared(UsageError):
    """No work tree of a patch set is there to be tried or saved."""

    code = "nothing-prepared"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"no package is being patched in set {name!r}", remedy=f"gentoomuch patch prep {name} CAT/PACKAGE"
        )


class WorkTreeExists(UsageError):
    """The package is being patched in this set already, or another version of it for the same folder."""

    code = "work-tree-exists"

    def __init__(self, tree: Path) -> None:
        super().__init__(f"there is a work tree already: {tree}", remedy=f"go on in it, or: rm -r '{tree}'")


class BadWorkTree(RunError):
    """A work tree is no longer what it was made as."""

    code = "bad-work-tree"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A work tree, and what it is for."""

    tree: Path
    set: str
    cpv: str
    slot: str
    repository: str
    target: str
    """The folder of the set that the patch goes to: ``hello`` or ``hello-2.10`` and so on."""
    base: str
    """The commit of the sources as user patches find them."""
    inside: str
    """Where in Portage's WORKDIR the tree lies; ``.`` where it is all of it."""
    taken: tuple[str, ...]
    """The patches that were there before, by their path within the set."""

    @property
    def category(self) -> str:
        """The category."""
        return self.cpv.partition("/")[0]

    @property
    def made_for(self) -> str:
        """The ebuild, as a patch names it."""
        return f"{self.cpv}::{self.repository}"

    def keep(self) -> None:
        """Write down what it is for."""
        said = {key: value for key, value in asdict(self).items() if key != "tree"}
        note = self.tree / ".git/gentoomuch.json"
        note.write_text(json.dumps(said, indent=2), encoding="utf-8")
        os.chown(note, self.tree.stat().st_uid, self.tree.stat().st_gid)


def place(settings: Settings, name: str, cpv: str) -> Path:
    """Where the work tree of a package stands."""
    return settings.cache / "patching" / name / cpv


def of(settings: Settings, name: str) -> list[Bench]:
    """The work trees of a set, sorted.

    Raises:
        NothingPrepared: there is none.
    """
    found = list(_found(settings, name))
    if not found:
        raise NothingPrepared(name)
    return found


def every(settings: Settings) -> list[Bench]:
    """All work trees."""
    top = settings.cache / "patching"
    return [bench for one in sorted(top.glob("*")) for bench in _found(settings, one.name)]


def alone(settings: Settings, bench: Bench) -> None:
    """Raise where another work tree would be saved to the same folder: one would undo the other.

    Raises:
        WorkTreeExists: with the other.
    """
    for one in _found(settings, bench.set):
        if (one.category, one.target) == (bench.category, bench.target):
            raise WorkTreeExists(one.tree)


def _found(settings: Settings, name: str) -> Iterator[Bench]:
    for note in sorted((settings.cache / "patching" / name).glob("*/*/.git/gentoomuch.json")):
        yield _read(note)


def _read(note: Path) -> Bench:
    tree = note.parents[1]
    try:
        said = json.loads(note.read_text(encoding="utf-8"))
        told = {one.name: said[one.name] for one in fields(Bench) if one.name != "tree"}
        bench = Bench(tree=tree, **{**told, "taken": tuple(map(str, told["taken"]))})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadWorkTree(f"{tree} does not say what it is for: {error}", remedy=f"rm -r '{tree}'") from error
    if bench.cpv != f"{tree.parent.name}/{tree.name}" or "/" in bench.target or bench.set != tree.parents[1].name:
        raise BadWorkTree(f"{tree} says that it is for something else", remedy=f"rm -r '{tree}'")
    return bench


def drop(settings: Settings, benches: Iterable[Bench]) -> None:
    """Remove work trees, what was tried of their sets, and the folders that are empty then."""
    for one in benches:
        shutil.rmtree(settings.cache / "trying" / one.set, ignore_errors=True)
        shutil.rmtree(one.tree)
        with suppress(OSError):  # other work trees lie there
            one.tree.parent.rmdir()
            one.tree.parents[1].rmdir()


def settled(bench: Bench) -> None:
    """Raise where git is in the middle of something.

    Raises:
        BadWorkTree: a rebase, a merge or an am waits to be ended.
    """
    for name, what in (("rebase-merge", "rebase"), ("rebase-apply", "rebase"), ("MERGE_HEAD", "merge")):
        if (bench.tree / ".git" / name).exists():
            told = f"a {what} is not ended in {bench.tree}"
            raise BadWorkTree(told, remedy=f"mend what git status names there, git add it, then: git {what} --continue")
    if git(bench.tree, "merge-base", "--is-ancestor", bench.base, "HEAD", accept=(0, 1, 128)).status:
        told = f"the commits in {bench.tree} do not stand on the sources any more"
        raise BadWorkTree(told, remedy=f"git rebase --onto {bench.base[:12]} COMMIT, there")


def copied(source: Path, target: Path) -> None:
    """Copy sources to where they can be edited; repositories of theirs stay behind.

    They belong to the user who called sudo, where that is how we came to be root.
    """
    fs.ensure(target.parent)
    shutil.copytree(source, target, symlinks=True, ignore=_odd, dirs_exist_ok=True)
    uid, gid = invoking()
    for above, _, names in os.walk(target):
        folder = Path(above)
        _open(folder, uid, gid)
        for name in names:
            _open(folder / name, uid, gid)


def _odd(above: str, names: list[str]) -> set[str]:
    """What does not come along: git's own, and what is neither a file nor a folder nor a link."""
    folder = Path(above)
    return {
        name
        for name in names
        if name == ".git" or not ((folder / name).is_symlink() or (folder / name).is_file() or (folder / name).is_dir())
    }


def _open(path: Path, uid: int, gid: int) -> None:
    if os.geteuid() == 0:
        os.chown(path, uid, gid, follow_symlinks=False)
    if not path.is_symlink():
        path.chmod(path.stat().st_mode & 0o777 | (0o700 if path.is_dir() else 0o600))


def invoking() -> tuple[int, int]:
    """User and group of whoever asked: who we are, or who called sudo or doas."""
    if os.geteuid() == 0:
        for who in filter(None, (os.environ.get("SUDO_USER"), os.environ.get("DOAS_USER"))):
            with suppress(KeyError):
                found = pwd.getpwnam(who)
                return found.pw_uid, found.pw_gid
    return os.geteuid(), os.getegid()
