# SPDX-License-Identifier: GPL-2.0-or-later
"""Work trees: the sources of a package in git, for editing patches of a set.

``cache/patching/SET/CAT/PF`` is the tree, owned by the invoking user; ``.git`` contains a note with its purpose.
"""

import json
import os
import pwd
import shlex
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from gentoomuch_portage import fs, stored
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.containers import lifecycle
from gentoomuch_portage.errors import RunError, UsageError
from gentoomuch_portage.git import check_pipes, run_git


def nothing_prepared(name: str) -> UsageError:
    """The patch set has no work tree: ``gentoomuch patch prep`` makes one."""
    return UsageError(
        f"patch set {name!r} has no work tree",
        code="nothing-prepared",
        hint=f"gentoomuch patch prep {shlex.quote(name)} app-misc/hello",
    )


def work_tree_exists(tree: Path) -> UsageError:
    """The patch set already has a work tree of this package, maybe of another version."""
    return UsageError(f"work tree {tree} exists", code="work-tree-exists", hint=f"use it, or: rm -r '{tree}'")


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchTree:
    """A work tree and its purpose."""

    tree: Path
    set: str
    cpv: str
    slot: str
    repository: str
    target: str
    """The directory of the set for the patch: ``hello`` or ``hello-2.10``."""
    base: str
    """The commit of the sources before user patches."""
    inside: str
    """Path of the tree below WORKDIR; ``.`` for WORKDIR itself."""
    patches: tuple[str, ...]
    """Paths of the previous patches within the set."""

    @property
    def category(self) -> str:
        """The category of the package."""
        return self.cpv.partition("/")[0]

    @property
    def made_for(self) -> str:
        """The ebuild, for the header of a patch."""
        return f"{self.cpv}::{self.repository}"

    def save(self) -> None:
        """Write its note."""
        fields_of_note = {key: value for key, value in asdict(self).items() if key != "tree"}
        note = self.tree / ".git/gentoomuch.json"
        fs.write(note, json.dumps(fields_of_note, indent=2))
        os.chown(note, self.tree.stat().st_uid, self.tree.stat().st_gid, follow_symlinks=False)


def place(settings: Settings, name: str, cpv: str) -> Path:
    """Return the directory for the work tree of a package."""
    return settings.cache / "patching" / name / cpv


def load_set(settings: Settings, name: str) -> list[PatchTree]:
    """Load the work trees of a set, sorted.

    Raises:
        UsageError[nothing-prepared]: it has none.
    """
    benches = list(_load(settings, name))
    if not benches:
        raise nothing_prepared(name)
    return benches


def load_all(settings: Settings) -> list[PatchTree]:
    """Load all work trees."""
    top = settings.cache / "patching"
    return [bench for folder in sorted(top.glob("*")) for bench in _load(settings, folder.name)]


def check_single(settings: Settings, bench: PatchTree) -> None:
    """Reject a second work tree for the same directory, which would overwrite patches of the first.

    Raises:
        UsageError[work-tree-exists]: with the first one.
    """
    for other in _load(settings, bench.set):
        if (other.category, other.target) == (bench.category, bench.target):
            raise work_tree_exists(other.tree)


def _load(settings: Settings, name: str) -> Iterator[PatchTree]:
    for note in sorted((settings.cache / "patching" / name).glob("*/*/.git/gentoomuch.json")):
        bench = _read(note)
        check_pipes(bench.tree)
        yield bench


def _read(note: Path) -> PatchTree:
    tree = note.parents[1]
    try:
        content = json.loads(stored.read_bytes(note))
        content = {"patches": content.get("taken"), **content}  # its name in version 0.1
        values = {field.name: content[field.name] for field in fields(PatchTree) if field.name != "tree"}
        if not all(isinstance(value, str) for name, value in values.items() if name != "patches"):
            raise TypeError("not a note")
        bench = PatchTree(tree=tree, **{**values, "patches": tuple(map(str, values["patches"]))})
    except (OSError, *stored.DAMAGED) as error:
        raise RunError(
            f"cannot read the note of work tree {tree}: {error}", code="bad-work-tree", hint=f"rm -r '{tree}'"
        ) from error
    if bench.cpv != f"{tree.parent.name}/{tree.name}" or "/" in bench.target or bench.set != tree.parents[1].name:
        raise RunError(
            f"the note of work tree {tree} belongs to another one", code="bad-work-tree", hint=f"rm -r '{tree}'"
        )
    return bench


def drop(settings: Settings, benches: Iterable[PatchTree]) -> None:
    """Remove work trees, the build directories of their sets, and empty directories."""
    for bench in benches:
        lifecycle.remove_trees([settings.cache / "trying" / bench.set])
        fs.remove(bench.tree)
        with suppress(OSError):  # other work trees are there
            bench.tree.parent.rmdir()
            bench.tree.parents[1].rmdir()


def check_settled(bench: PatchTree) -> None:
    """Check that no git operation is in progress.

    Raises:
        RunError[bad-work-tree]: a rebase, a merge or an am is in progress.
    """
    for name, what in (("rebase-merge", "rebase"), ("rebase-apply", "rebase"), ("MERGE_HEAD", "merge")):
        if (bench.tree / ".git" / name).exists():
            hint = f"resolve the conflicts that git status names, git add, then: git {what} --continue"
            raise RunError(f"a {what} is in progress in {bench.tree}", code="bad-work-tree", hint=hint)
    if run_git(bench.tree, "merge-base", "--is-ancestor", bench.base, "HEAD", accept=(0, 1, 128)).status:
        hint = f"git -C {bench.tree} rebase --onto {bench.base[:12]} COMMIT"
        raise RunError(f"the commits of {bench.tree} are not based on its sources", code="bad-work-tree", hint=hint)


def copy_sources(source: Path, target: Path) -> None:
    """Copy sources for editing, without their own git repositories.

    They are owned by the user who called sudo or doas, if any.
    """
    fs.ensure(target.parent)
    shutil.copytree(source, target, symlinks=True, ignore=_ignored, dirs_exist_ok=True)
    uid, gid = find_invoker()
    for above, _, names in os.walk(target):
        folder = Path(above)
        _open(folder, uid, gid)
        for name in names:
            _open(folder / name, uid, gid)


def _ignored(above: str, names: list[str]) -> set[str]:
    """Return what is not copied: .git, and special files."""
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


def find_invoker() -> tuple[int, int]:
    """Return user and group of the user who runs this, or who called sudo or doas."""
    if os.geteuid() == 0:
        for name in filter(None, (os.environ.get("SUDO_USER"), os.environ.get("DOAS_USER"))):
            with suppress(KeyError):
                entry = pwd.getpwnam(name)
                return entry.pw_uid, entry.pw_gid
    return os.geteuid(), os.getegid()
