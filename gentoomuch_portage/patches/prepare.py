# SPDX-License-Identifier: GPL-2.0-or-later
"""Create a work tree: prepared sources of a package in git, with the set's patches as commits."""

import os
import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from gentoomuch_portage import fs
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import RunError, UsageError, listed
from gentoomuch_portage.git import commit, init_repository, run_git
from gentoomuch_portage.patches import parse, worktree
from gentoomuch_portage.patches.check import World, package
from gentoomuch_portage.patches.dry_run import OPTIONS, summarise
from gentoomuch_portage.patches.worktree import PatchTree, work_tree_exists
from gentoomuch_portage.portage_adapter import ebuilds
from gentoomuch_portage.portage_adapter.ebuilds import Ebuild
from gentoomuch_portage.portage_adapter.patch_digest import find_applied
from gentoomuch_portage.process import run, tree_owner


def unknown_package(atom: str, why: str = "") -> UsageError:
    """No package that is available for the profile matches the name or atom."""
    name = re.sub(r"[^A-Za-z0-9_+-]", "", re.split(r"[:\[]", atom)[0].rpartition("/")[2])
    return UsageError(
        why or f"no ebuild matches {atom!r}", code="unknown-package", hint=f"emerge --search {name or 'NAME'}"
    )


def patch_rejected(patch: Path, cpv: str, why: str, again: str) -> RunError:
    """A patch of the set does not apply to the sources in a new work tree."""
    return RunError(f"{patch} does not apply to the sources of {cpv}: {why}", code="patch-rejected", hint=again)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A new work tree."""

    bench: PatchTree
    conflict: str
    """Git's message if a rebase stopped at a conflict; otherwise empty."""


def prepare_worktree(settings: Settings, world: World, name: str, atom: str, *, old: str = "") -> Prepared:
    """Create a work tree.

    Args:
        name: of the set, which may not exist yet.
        atom: of the package; the directory of the patch is named like it.
        old: rebase the patches of this version; empty for the same version.

    Raises:
        UsageError[unknown-package]: nothing matches.
        UsageError[work-tree-exists]: this set already has a work tree of the package.
        Unprepared: Portage cannot prepare its sources.
        RunError[patch-rejected]: an existing patch does not apply.
    """
    ebuild = _find_best(world, atom)
    folder = settings.config / "patches" / name
    tree = worktree.place(settings, name, ebuild.cpv)
    if tree.exists():
        raise work_tree_exists(tree)
    before = _find_version(world, ebuild, old) if old else ebuild
    patches = find_applied(folder, package(before))
    bench = PatchTree(
        tree=tree,
        set=name,
        cpv=ebuild.cpv,
        slot=ebuild.slot,
        repository=ebuild.repository,
        target=_choose_target(atom, ebuild, patches),
        base="",
        inside=".",
        patches=tuple(str(file.relative_to(folder)) for file in patches.values()),
    )
    worktree.check_single(settings, bench)
    again = f"gentoomuch patch prep {name} '{atom}' --from OLD-VERSION, or move the patch away"
    try:
        with fs.disk_errors(tree):
            return _create(bench, before, ebuild, patches, world, again)
    except BaseException:
        shutil.rmtree(tree, ignore_errors=True)
        raise


def _create(
    bench: PatchTree, before: Ebuild, ebuild: Ebuild, patches: dict[str, Path], world: World, again: str
) -> Prepared:
    sources = ebuilds.prepared(before, world.env, world.cache, world.prepare)
    worktree.copy_sources(sources.tree, bench.tree)
    init_repository(bench.tree, f"{before.cpv} before user patches")
    first = _head(bench.tree)
    for name, file in patches.items():
        _apply(bench.tree, name, file, before.cpv, again)
    if before == ebuild:
        bench = replace(bench, base=first, inside=str(sources.tree.relative_to(sources.work)))
        bench.save()
        return Prepared(bench, "")
    return _rebase(bench, first, ebuild, world)


def _rebase(bench: PatchTree, first: str, ebuild: Ebuild, world: World) -> Prepared:
    """Rebase the commits on the old sources onto the new ones."""
    tree = bench.tree
    sources = ebuilds.prepared(ebuild, world.env, world.cache, world.prepare)
    run_git(tree, "checkout", "-q", "--detach", first)
    for path in tree.iterdir():
        if path.name != ".git":
            fs.remove(path)
    worktree.copy_sources(sources.tree, tree)
    commit(tree, f"{ebuild.cpv} before user patches")
    bench = replace(bench, base=_head(tree), inside=str(sources.tree.relative_to(sources.work)))
    bench.save()
    ran = run_git(tree, "rebase", "--onto", bench.base, first, "work", accept=(0, 1), env={"GIT_EDITOR": "true"})
    return Prepared(bench, (ran.out + ran.err).strip() if ran.status else "")


def _apply(tree: Path, name: str, file: Path, cpv: str, again: str) -> None:
    """Apply a patch as Portage does, and commit it with its own author, date and message."""
    content = file.read_bytes()
    note = tree / ".git/gentoomuch.patch"
    fs.write(note, content, durable=False)
    user, environ = tree_owner(tree), {**os.environ, "LC_ALL": "C"}
    argv = ["patch", *OPTIONS, "-i", str(note)]
    ran = run(argv, cwd=tree, keep=True, accept=(), env=environ, atom="sys-devel/patch", user=user)
    if ran.status:
        raise patch_rejected(file, cpv, summarise(ran.out), again)
    note.unlink()
    header = parse.parse_header(content, name)
    commit(tree, header.message, author=(header.name, header.address, header.date))


def _head(tree: Path) -> str:
    return run_git(tree, "rev-parse", "HEAD").out.strip()


def _find_best(world: World, atom: str) -> Ebuild:
    try:
        ebuilds = world.ebuilds.means(atom)
    except LookupError as error:
        raise unknown_package(atom, str(error)) from error
    if not ebuilds:
        raise unknown_package(atom)
    return next((ebuild for ebuild in reversed(ebuilds) if ebuild.visible), ebuilds[-1])


def _find_version(world: World, ebuild: Ebuild, version: str) -> Ebuild:
    """Find the ebuild of another version of a package: ``1.0``, ``1.0-r1``, or ``pkg-1.0``."""
    versions = world.ebuilds.versions(f"{ebuild.category}/{ebuild.name}")
    wanted = {version, f"{ebuild.name}-{version}", version.rpartition("/")[2]}
    match = next((candidate for candidate in versions if candidate.pf in wanted), None)
    if match is None:
        known = listed(candidate.pf.removeprefix(f"{ebuild.name}-") for candidate in versions)
        raise unknown_package(version, f"no ebuild of {ebuild.category}/{ebuild.name}-{version} {known}")
    return match


def _choose_target(atom: str, ebuild: Ebuild, patches: dict[str, Path]) -> str:
    """Return the directory of the set: named like the atom, unless an existing patch is in a more specific one.

    For an atom with a range of versions, it is the chosen version, because the others were not checked.
    """
    text, _, slot = atom.partition("::")[0].lstrip("=~<>").partition(":")
    name = text.rpartition("/")[2]
    slot = slot.partition("/")[0].rstrip("=*")
    folders = package(ebuild).folders
    plain = f"{ebuild.name}-{ebuild.version}" if atom[:1] in "=<>~" else ebuild.name
    typed = name if name in folders else plain
    candidates = [f"{typed}:{slot}" if slot else typed, *(file.parent.name for file in patches.values())]
    return max((folder for folder in candidates if folder in folders), key=folders.index)
