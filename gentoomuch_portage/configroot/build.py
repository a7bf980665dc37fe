# SPDX-License-Identifier: GPL-2.0-or-later
"""Write a configroot: the merged layers and the make_profile, named by its content."""

import functools
import hashlib
import operator
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from gentoomuch_portage import fs
from gentoomuch_portage.configroot import make_conf, moved
from gentoomuch_portage.configroot.key import Recipe
from gentoomuch_portage.configroot.layers import Composed, compose, list_sources, signature
from gentoomuch_portage.configroot.make_conf import Piece
from gentoomuch_portage.errors import BadFile, nearest, unknown_make_profile
from gentoomuch_portage.isa.abi import Abi
from gentoomuch_portage.isa.requirement import machine_flags
from gentoomuch_portage.plan.plan import MakeProfile, Part, Unmask
from gentoomuch_portage.portage_adapter import config, config_files, package_moves


def write_configroot(recipe: Recipe, top: Path) -> tuple[Path, Mapping[str, str], Mapping[str, str]]:
    """Build the configroot of a recipe below a directory.

    Returns:
        The configroot; variables that Portage reads from it; and each file and directory that it depends on, with its
        ``signature``.

    Raises:
        ConfigError: a file of the configuration is invalid.
        NoPrivilege: ``top`` cannot be written.
    """
    host = recipe.host if recipe.base == "host" or recipe.building else None
    if host is not None and not host.is_dir() and recipe.base == "host":
        raise BadFile(
            host,
            0,
            'not found, but the profile has base = "host"',
            hint='base = "none" in the profile',
        )
    sources = list_sources(recipe.parts, host=host, config=recipe.config)
    composed = compose(sources, recipe.parts, building=recipe.building)
    with fs.fresh_folder(top, cache=top.parent) as fresh:
        etc = fresh / "etc/portage"
        for name, (content, mode, group) in sorted(composed.files.items()):
            _write(etc / name, content, mode, group)
        _write_joined(etc, composed, frozenset())
        _rename_moved(etc, composed, host, recipe.parts)
        _link_profile(recipe, fresh, composed.inputs)
        loaded = config.load(fresh)
        _check_complaints(fresh, loaded.complaints)
        _write_joined(etc, composed, frozenset(loaded.values["USE_EXPAND"].split()))
        for path in loaded.read:
            composed.inputs[str(path)] = signature(path)
        root = _rename(fresh, top / _digest(etc))
    facts = {name: value for name, value in loaded.values.items() if not name.startswith("USE_")}
    facts["abi"] = str(Abi(facts["CHOST"], facts["ELIBC"], tuple(facts["ACCEPT_CHOSTS"].split())))
    facts["machine"] = " ".join(machine_flags(_cflags(recipe, composed, root) or facts["CFLAGS"]))
    return root, facts, composed.inputs


def _rename_moved(etc: Path, composed: Composed, host: Path | None, parts: Iterable[tuple[str, Part]]) -> None:
    """Rename moved packages in a written configuration, and record the files of package moves as its inputs."""
    try:
        repositories = tuple(config.repositories(etc.parents[1]).values())
    except BadFile:  # reported when the whole configuration is loaded
        return
    composed.inputs |= {str(path): signature(path) for path in package_moves.list_inputs(repositories)}
    named = [atom for _, part in parts if isinstance(part, Unmask) for atom in part.allowed.split()]
    for name in sorted(moved.apply(composed, repositories, [host] if host else [], named)):
        (etc / name).unlink(missing_ok=True)
        if name in composed.files:
            _write(etc / name, *composed.files[name])


def _cflags(recipe: Recipe, composed: Composed, root: Path) -> str:
    """Return CFLAGS of make.conf if the profile sets ``cpu`` and package.env changes them for all packages; or ""."""
    named = any(plugin == "cpu" for plugin, _ in recipe.parts)
    texts = (text for name, (text, _, _) in composed.files.items() if name.partition("/")[0] == "package.env")
    if not named or not any(re.search(rb"(?m)^[ \t]*\*/\*[ \t]", text) for text in texts):
        return ""
    return config.cflags_of_make_conf(root)


def _write_joined(etc: Path, composed: Composed, expanded: frozenset[str]) -> None:
    """Write the joined files: make.conf, and make.defaults if a layer has one."""
    incremental = config_files.incrementals()
    joined = make_conf.join(composed.pieces, incremental, expanded=expanded - incremental)
    _write(etc / "make.conf", joined.encode(), *_restrict(composed.pieces))
    if composed.defaults:
        text = make_conf.join_defaults(composed.defaults, config_files.incrementals(of_profiles=True) | expanded)
        _write(etc / "profile/make.defaults", text.encode(), *_restrict(composed.defaults))


def _restrict(pieces: Iterable[Piece]) -> tuple[int, int]:
    """Return mode and group of a joined file: only who may read all pieces may read it."""
    seen = [path.stat() for piece in pieces for path, _ in piece.files if path.is_absolute()]
    mode = functools.reduce(operator.and_, (stat.st_mode for stat in seen), 0o644) | 0o600
    groups = {stat.st_gid for stat in seen if not stat.st_mode & 0o004}
    return (mode, groups.pop()) if len(groups) == 1 else (mode & ~0o070 if groups else mode, -1)


def _write(path: Path, content: bytes, mode: int, group: int) -> None:
    fs.ensure(path.parent)
    path.touch(0o600)  # unreadable for others until its mode is set
    path.write_bytes(content)
    if group >= 0:
        try:
            os.chown(path, -1, group)
        except OSError:  # this user is not in that group
            mode &= ~0o070
    path.chmod(mode)


def _link_profile(recipe: Recipe, fresh: Path, inputs: dict[str, str]) -> None:
    """Link make.profile: that of the profile, or the host's; only the host's if it is for building."""
    parts = [part for _, part in recipe.parts if isinstance(part, MakeProfile)]
    link = fresh / "etc/portage/make.profile"
    if not parts or recipe.building:
        target = recipe.host / "make.profile"
        inputs[str(target)] = signature(target)
        if target.is_dir() and (recipe.base == "host" or recipe.building):
            link.symlink_to(target.resolve())
        return
    folder = _find_make_profile(parts[-1], config.repositories(fresh), inputs)
    link.symlink_to(folder.resolve())


def _find_make_profile(part: MakeProfile, repositories: Mapping[str, Path], inputs: dict[str, str]) -> Path:
    """Find the directory of a make_profile: in the repository that it names, or in the first that contains it."""
    repository, colon, path = part.name.rpartition(":")
    searched = [repositories.get(repository)] if colon else list(repositories.values())
    for place in filter(None, searched):
        folder = place / "profiles" / path
        inputs[str(folder)] = signature(folder)
        if path and folder.is_dir() and folder.resolve().is_relative_to(place.resolve()):
            return folder
    known = [
        f"{name}:{path}" if colon else path
        for name, place in repositories.items()
        for _, path, _ in config.make_profiles(place)
    ]
    raise unknown_make_profile(part.where, part.name, nearest(part.name, known))


def _check_complaints(fresh: Path, complaints: str) -> None:
    """Reject a make.profile that Portage cannot parse; its warnings are repeated by Portage itself."""
    if "Unable to parse profile" in complaints:
        message = " ".join(complaints.replace("!!!", " ").split())
        raise BadFile(os.path.realpath(fresh / "etc/portage/make.profile"), 0, message)


def _digest(etc: Path) -> str:
    """Return the name of a configroot: a digest of each path, mode and content, sorted."""
    total = hashlib.sha256()
    for path in sorted(etc.rglob("*")):
        name = str(path.relative_to(etc))
        if path.is_symlink():
            total.update(f"{name}\0link\0{path.readlink()}\0".encode())
        elif path.is_file():
            content = path.read_bytes()
            total.update(f"{name}\0{path.stat().st_mode & 0o777:o}\0{len(content)}\0".encode() + content)
    return total.hexdigest()[:24]


def _is_intact(root: Path, digest: str) -> bool:
    try:
        return _digest(root / "etc/portage") == digest
    except OSError:
        return False


def _rename(fresh: Path, place: Path) -> Path:
    """Give a new configroot its name; an existing intact one is used instead."""
    named = place
    while not fs.rename_folder(fresh, named):
        if _is_intact(named, place.name):
            return named
        if not fs.remove_unlocked(named):
            named = place.with_name(f"{place.name}-{os.getpid()}")
    return named
