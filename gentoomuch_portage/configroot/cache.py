# SPDX-License-Identifier: GPL-2.0-or-later
"""Cache of configroots: built once, reused within a millisecond, and rebuilt when one of their files changes.

``cache/configroots/ID/etc/portage`` is named by the digest of its content and never changed.
``cache/recipes/DIGEST.json`` lists its input files with their signatures, so that a later run only calls stat(2) on
them. A run holds a lock on its configroot, which the kernel releases with the process. After kill -9, at most a
directory with a leading dot remains, which the next collection removes.
"""

import contextlib
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gentoomuch_portage import fs
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.configroot import build_dir, cross
from gentoomuch_portage.configroot.key import Recipe
from gentoomuch_portage.fs import Cache
from gentoomuch_portage.plan.plan import Plan
from gentoomuch_portage.portage_adapter import paths
from gentoomuch_portage.startup import LazyModule

if TYPE_CHECKING:
    from gentoomuch_portage.configroot import build, layers
    from gentoomuch_portage.portage_adapter import emerge_arguments
else:
    build = LazyModule("gentoomuch_portage.configroot.build")
    layers = LazyModule("gentoomuch_portage.configroot.layers")
    emerge_arguments = LazyModule("gentoomuch_portage.portage_adapter.emerge_arguments")

_RACY = 2_000_000_000
"""Nanoseconds. A file that changed so shortly before its signature was taken may change again undetected."""
_UNUSED = 30 * 86_400
"""Seconds after which an unused recipe is removed."""
_YOUNG = 600
"""Seconds for which a configroot without a recipe is kept: a run may be about to write its recipe."""


class Configroot(NamedTuple):
    """A configroot on disk."""

    path: Path
    """The value of PORTAGE_CONFIGROOT."""
    facts: dict[str, str]
    """Variables that Portage read from it: PORTAGE_TMPDIR and others; ``machine``: those CFLAGS that select instruction
    sets; ``abi``: an ``isa.abi.Abi``."""
    built: bool
    """Whether this call has built it."""
    lock: int
    """A descriptor; the configroot is not removed while it is open."""


def build_configroots(plan: Plan, settings: Settings) -> tuple[Plan, list[int]]:
    """Return the plan with its configroots on disk, and the locks that keep them there.

    Raises:
        ConfigError: a file of the configuration is invalid.
    """
    recipe = Recipe(host=settings.host, base=plan.base, config=settings.config, parts=plan.parts)
    target = find_or_build(recipe, settings.cache)
    locks = [target.lock]
    build = None
    if plan.root != "/":
        build = find_or_build(recipe._replace(building=True), settings.cache)
        locks.append(build.lock)
    tmpdir = os.environ.get("PORTAGE_TMPDIR") or target.facts["PORTAGE_TMPDIR"]
    ready = replace(
        plan,
        configroot=str(target.path),
        build_configroot=str(build.path) if build else "",
        env={**plan.env, "PORTAGE_TMPDIR": build_dir.choose_folder(tmpdir, plan.profile, settings.cache)},
        cpu=target.facts["machine"],
        build_cpu=build.facts["machine"] if build else "",
        abi=target.facts["abi"],
        build_abi=build.facts["abi"] if build else "",
        default_options=emerge_arguments.default_options(target.facts, {**os.environ, **plan.env}),
        own="yes" if cross.is_own(Path(plan.root), paths.eprefix()) else "",
    )
    return cross.with_sysroot(ready), locks


def find_or_build(recipe: Recipe, cache: Path) -> Configroot:
    """Return the configroot of a recipe from the cache, or build it. Safe with concurrent runs.

    Raises:
        ConfigError: a file of the configuration is invalid.
        NoPrivilege: the cache cannot be written.
    """
    for _ in range(100):
        if cached := _find(recipe, cache):
            return cached
        root, facts = _build(recipe, cache)
        lock = fs.lock_shared(root)
        if lock is not None:
            collect(cache)
            return Configroot(root, facts, True, lock)
    raise RuntimeError(f"{cache / 'configroots'} is removed again and again while a configroot is built")


def is_configroot(root: Path) -> bool:
    """Whether a PORTAGE_CONFIGROOT was built for a profile."""
    return root.parent.name == "configroots"


def _recipes(cache: Path) -> Cache:
    """Return the cache of recipes: digest of a recipe -> its configroot."""
    return Cache(cache / "recipes")


def _find(recipe: Recipe, cache: Path) -> Configroot | None:
    """Find the cached configroot of a recipe, if neither its inputs nor its content have changed."""
    recipes = _recipes(cache)
    cached = recipes.load(recipe.digest, _parse_recipe)
    if cached is None:
        return None
    root = cache / "configroots" / cached.id
    lock = fs.lock_shared(root)
    if lock is None:
        return None
    if _same(cached.inputs, cached.written) and _same(_absolute(root, cached.made), None):
        file = recipes.path(recipe.digest)
        with contextlib.suppress(OSError):
            if time.time() - file.stat().st_mtime > 86_400:
                os.utime(file)
        return Configroot(root, cached.facts, False, lock)
    os.close(lock)
    return None


_FACTS = {"EMERGE_DEFAULT_OPTS", "FEATURES", "PORTAGE_TMPDIR", "abi", "machine"}


class _Cached(NamedTuple):
    """A cached recipe."""

    id: str
    inputs: dict[str, str]
    made: dict[str, str]
    facts: dict[str, str]
    written: int


def _parse_recipe(content: Mapping[str, Any]) -> _Cached:
    """Parse a cached recipe.

    Raises:
        ValueError, TypeError, KeyError: it is invalid.
    """
    recipe = _Cached(*(content[name] for name in _Cached._fields))
    tables = (recipe.inputs, recipe.made, recipe.facts)
    if not all(isinstance(value, str) for table in tables for item in table.items() for value in item):
        raise TypeError("not a recipe")
    if Path(recipe.id).name != recipe.id or recipe.id.startswith(".") or not set(recipe.facts) >= _FACTS:
        raise ValueError("not a recipe")
    return recipe._replace(written=int(recipe.written))


def _same(signatures: dict[str, str], written: int | None) -> bool:
    """Whether files have their signatures, and none was changed too shortly before ``written``."""
    stat = os.stat
    for name, signed in signatures.items():
        try:
            seen = stat(name)
        except OSError:
            if signed != "-":
                return False
            continue
        if f"{seen.st_mtime_ns}.{seen.st_ctime_ns}.{seen.st_size}.{seen.st_ino}" != signed:
            return False
        if written is not None and seen.st_ctime_ns > written - _RACY:
            return False
    return True


def _absolute(root: Path, made: dict[str, str]) -> dict[str, str]:
    return {f"{root}/{name}": signed for name, signed in made.items()}


def _build(recipe: Recipe, cache: Path) -> tuple[Path, dict[str, str]]:
    """Build a configroot and write its cache entry; return its path and facts."""
    started = time.time_ns()
    root, facts, inputs = build.write_configroot(recipe, cache / "configroots")
    below = {str(path.relative_to(root)): layers.signature(path) for path in sorted(root.rglob("*"))}
    content = {"": layers.signature(root), **below}
    cached = _Cached(root.name, dict(inputs), content, dict(facts), started)
    _recipes(cache).store(recipe.digest, cached._asdict())
    return root, dict(facts)


def find_changed(root: Path) -> list[Path]:
    """Find the files of a configroot that were changed or added since it was built, sorted.

    The next run rebuilds it, and these changes are lost. If several recipes share it, one of them may still have the
    signatures of an earlier build; the one with the fewest differences is used.
    """
    differences: list[list[Path]] = []
    recipes = _recipes(root.parent.parent)
    for file in recipes.files():
        cached = recipes.load_file(file, _parse_recipe)
        if cached is not None and cached.id == root.name:
            files = {str(path.relative_to(root)): path for path in root.rglob("*") if path.is_file()}
            signed = {path: cached.made.get(name, "") for name, path in files.items()}
            differences.append([path for path, known in signed.items() if not _same({str(path): known}, None)])
    fewest = min(differences, key=len) if differences else []
    return sorted(fewest)


def find_unused(cache: Path) -> list[Path]:
    """Find configroots without a recipe and the remains of killed runs; a run may still hold a lock on some."""
    used = set()
    now = time.time()
    recipes = _recipes(cache)
    for file in recipes.files():
        with contextlib.suppress(OSError):
            if now - file.stat().st_mtime <= _UNUSED and (cached := recipes.load_file(file, _parse_recipe)):
                used.add(cached.id)
    unused = []
    for folder in (cache / "configroots").glob("*"):
        with contextlib.suppress(OSError):
            if folder.name not in used and now - folder.stat().st_mtime > _YOUNG:
                unused.append(folder)
    return sorted(unused)


def collect(cache: Path) -> list[Path]:
    """Remove unused configroots that no run has locked.

    Returns:
        The removed directories.
    """
    for file in _recipes(cache).files():
        with contextlib.suppress(OSError):
            if time.time() - file.stat().st_mtime > _UNUSED:
                file.unlink()
    return [folder for folder in find_unused(cache) if fs.remove_unlocked(folder)]
