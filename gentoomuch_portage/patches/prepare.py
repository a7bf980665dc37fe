"""Make a work tree: the sources of a package as user patches find them, in git, with the set's patches as commits."""

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import RunError, UsageError, listed
from gentoomuch_portage.git import begin, commit, git
from gentoomuch_portage.patches import parse, worktree
from gentoomuch_portage.patches.check import World, package
from gentoomuch_portage.patches.digest import applied
from gentoomuch_portage.patches.dry_run import OPTIONS, words
from gentoomuch_portage.patches.worktree import Bench, WorkTreeExists
from gentoomuch_portage.portage_adapter import ebuilds
from gentoomuch_portage.portage_adapter.ebuilds import Ebuild
from gentoomuch_portage.process import owner, run


class UnknownPackage(UsageError):
    """No ebuild of the profile's repositories matches an atom."""

    code = "unknown-package"

    def __init__(self, asked: str, why: str = "") -> None:
        super().__init__(why or f"no ebuild matches {asked!r}", remedy="emerge --search NAME")


class PatchRejected(RunError):
    """A patch of a set does not apply to the sources that are to be worked on.

    Attributes:
        patch: the file.
    """

    code = "patch-rejected"

    def __init__(self, patch: Path, cpv: str, why: str, again: str) -> None:
        super().__init__(f"{patch} does not apply to the sources of {cpv}: {why}", remedy=again)
        self.patch = patch


@dataclass(frozen=True, slots=True)
class Prepared:
    """A work tree that was made."""

    bench: Bench
    conflict: str
    """What git said where a rebase waits to be ended; otherwise empty."""


def prep(settings: Settings, world: World, name: str, asked: str, *, old: str = "") -> Prepared:
    """Make a work tree.

    Args:
        name: of the set; it need not be there yet.
        asked: an atom; the folder that the patch will be saved to is named as it is.
        old: the version whose patches are to be brought to that of ``asked``; empty for the same version.

    Raises:
        UnknownPackage: nothing matches.
        WorkTreeExists: the package is being patched in this set already, or another version for the same folder.
        Unprepared: Portage cannot prepare its sources.
        PatchRejected: a patch that is there does not apply.
    """
    ebuild = _best(world, asked)
    folder = settings.config / "patches" / name
    tree = worktree.place(settings, name, ebuild.cpv)
    if tree.exists():
        raise WorkTreeExists(tree)
    before = _version(world, ebuild, old) if old else ebuild
    patches = applied(folder, package(before))
    bench = Bench(
        tree=tree,
        set=name,
        cpv=ebuild.cpv,
        slot=ebuild.slot,
        repository=ebuild.repository,
        target=_target(asked, ebuild, patches),
        base="",
        inside=".",
        taken=tuple(str(file.relative_to(folder)) for file in patches.values()),
    )
    worktree.alone(settings, bench)
    again = f"gentoomuch patch prep {name} '{asked}' --from OLD-VERSION, or move the patch away"
    try:
        return _made(bench, before, ebuild, patches, world, again)
    except BaseException:
        shutil.rmtree(tree, ignore_errors=True)
        raise


def _made(bench: Bench, before: Ebuild, ebuild: Ebuild, patches: dict[str, Path], world: World, again: str) -> Prepared:
    found = ebuilds.prepared(before, world.env, world.cache)
    worktree.copied(found.tree, bench.tree)
    begin(bench.tree, f"{before.cpv} as user patches find it")
    first = _head(bench.tree)
    for name, file in patches.items():
        _apply(bench.tree, name, file, before.cpv, again)
    if before == ebuild:
        bench = replace(bench, base=first, inside=str(found.tree.relative_to(found.work)))
        bench.keep()
        return Prepared(bench, "")
    return _rebased(bench, first, ebuild, world)


def _rebased(bench: Bench, first: str, ebuild: Ebuild, world: World) -> Prepared:
    """Put what stands on the old sources on the new ones."""
    tree = bench.tree
    found = ebuilds.prepared(ebuild, world.env, world.cache)
    git(tree, "checkout", "-q", "--detach", first)
    for one in tree.iterdir():
        if one.name != ".git":
            shutil.rmtree(one) if one.is_dir() and not one.is_symlink() else one.unlink()
    worktree.copied(found.tree, tree)
    commit(tree, f"{ebuild.cpv} as user patches find it")
    bench = replace(bench, base=_head(tree), inside=str(found.tree.relative_to(found.work)))
    bench.keep()
    ran = git(tree, "rebase", "--onto", bench.base, first, "work", accept=(0, 1), env={"GIT_EDITOR": "true"})
    return Prepared(bench, (ran.out + ran.err).strip() if ran.status else "")


def _apply(tree: Path, name: str, file: Path, cpv: str, again: str) -> None:
    """Apply a patch as Portage does, and commit it as whoever made it said."""
    content = file.read_bytes()
    note = tree / ".git/gentoomuch.patch"
    note.write_bytes(content)
    user, environ = owner(tree), {**os.environ, "LC_ALL": "C"}
    argv = ["patch", *OPTIONS, "-i", str(note)]
    ran = run(argv, cwd=tree, keep=True, accept=(), env=environ, atom="sys-devel/patch", user=user)
    if ran.status:
        raise PatchRejected(file, cpv, words(ran.out), again)
    note.unlink()
    said = parse.read(content, name)
    commit(tree, said.message, author=(said.name, said.address, said.date))


def _head(tree: Path) -> str:
    return git(tree, "rev-parse", "HEAD").out.strip()


def _best(world: World, asked: str) -> Ebuild:
    try:
        found = world.ebuilds.means(asked)
    except LookupError as error:
        raise UnknownPackage(asked, str(error)) from error
    if not found:
        raise UnknownPackage(asked)
    return next((one for one in reversed(found) if one.visible), found[-1])


def _version(world: World, ebuild: Ebuild, version: str) -> Ebuild:
    """The ebuild of another version of a package: ``1.0``, ``1.0-r1``, or all of ``pkg-1.0``."""
    versions = world.ebuilds.of(f"{ebuild.category}/{ebuild.name}")
    wanted = {version, f"{ebuild.name}-{version}", version.rpartition("/")[2]}
    found = next((one for one in versions if one.pf in wanted), None)
    if found is None:
        known = listed(one.pf.removeprefix(f"{ebuild.name}-") for one in versions)
        told = f"there is no ebuild of {ebuild.category}/{ebuild.name}-{version} {known}"
        raise UnknownPackage(version, told)
    return found


def _target(asked: str, ebuild: Ebuild, patches: dict[str, Path]) -> str:
    """The folder of the set: named as the atom was, unless a patch that is there lies in a more telling one.

    Of an atom that means some versions, the one that was chosen: nobody has looked at the others.
    """
    text, _, slot = asked.partition("::")[0].lstrip("=~<>").partition(":")
    name = text.rpartition("/")[2]
    slot = slot.partition("/")[0].rstrip("=*")
    folders = package(ebuild).folders
    plain = f"{ebuild.name}-{ebuild.version}" if asked[:1] in "=<>~" else ebuild.name
    typed = name if name in folders else plain
    candidates = [f"{typed}:{slot}" if slot else typed, *(file.parent.name for file in patches.values())]
    return max((one for one in candidates if one in folders), key=folders.index)
