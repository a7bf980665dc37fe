"""Write a configroot: everything composed, the make_profile, and what Portage makes of both; then its name."""

import errno
import functools
import hashlib
import operator
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from gentoomuch_portage import fs
from gentoomuch_portage.configroot import make_conf
from gentoomuch_portage.configroot.key import Recipe
from gentoomuch_portage.configroot.layers import Composed, compose, signature, sources_of
from gentoomuch_portage.configroot.make_conf import Piece
from gentoomuch_portage.errors import BadFile, UnknownMakeProfile, nearest
from gentoomuch_portage.isa.requirement import Abi, machine_flags
from gentoomuch_portage.plan.plan import MakeProfile
from gentoomuch_portage.portage_adapter import config


def written(recipe: Recipe, stands: Path) -> tuple[Path, Mapping[str, str], Mapping[str, str]]:
    """Compose a recipe below ``stands``.

    Returns:
        The configroot; what Portage makes of it; and each file and folder that it depends on, with its
        ``signature``.

    Raises:
        ConfigError: a file of the configuration is wrong.
        NoPrivilege: ``stands`` cannot be written.
    """
    host = recipe.host if recipe.base == "host" or recipe.building else None
    if host is not None and not host.is_dir() and recipe.base == "host":
        raise BadFile(host, 0, "the host has no configuration to start from", remedy='base = "none" in the profile')
    sources = sources_of(recipe.parts, host=host, config=recipe.config)
    composed = compose(sources, recipe.parts, building=recipe.building)
    with fs.fresh_folder(stands) as fresh:
        shown = fresh / "etc/portage"
        for name, (content, mode, group) in sorted(composed.files.items()):
            _put(shown / name, content, mode, group)
        _put_sums(shown, composed, frozenset())
        _link_profile(recipe, fresh, composed.inputs)
        loaded = config.load(fresh)
        _refuse_complaints(fresh, loaded.complaints)
        _put_sums(shown, composed, frozenset(loaded.values["USE_EXPAND"].split()))
        for path in loaded.read:
            composed.inputs[str(path)] = signature(path)
        root = _placed(fresh, stands / _digest(shown))
    facts = {name: value for name, value in loaded.values.items() if not name.startswith("USE_")}
    facts["abi"] = str(Abi(facts["CHOST"], facts["ELIBC"], tuple(facts["ACCEPT_CHOSTS"].split())))
    facts["machine"] = " ".join(machine_flags(facts["CFLAGS"]))
    return root, facts, composed.inputs


def _put_sums(shown: Path, composed: Composed, expanded: frozenset[str]) -> None:
    """Write what is joined: make.conf, and make.defaults where a layer has one."""
    added = config.incrementals()
    joined = make_conf.joined(composed.pieces, added, expanded=expanded - added)
    _put(shown / "make.conf", joined.encode(), *_guarded(composed.pieces))
    if composed.defaults:
        summed = make_conf.defaults(composed.defaults, config.incrementals(of_profiles=True) | expanded)
        _put(shown / "profile/make.defaults", summed.encode(), *_guarded(composed.defaults))


def _guarded(pieces: Iterable[Piece]) -> tuple[int, int]:
    """Mode and group of what is joined: who may not read one of the pieces may not read it."""
    seen = [path.stat() for piece in pieces for path, _ in piece.files if path.is_absolute()]
    mode = functools.reduce(operator.and_, (one.st_mode for one in seen), 0o644) | 0o600
    groups = {one.st_gid for one in seen if not one.st_mode & 0o004}
    return (mode, groups.pop()) if len(groups) == 1 else (mode & ~0o070 if groups else mode, -1)


def _put(path: Path, content: bytes, mode: int, group: int) -> None:
    fs.ensure(path.parent)
    path.touch(0o600)  # nobody else reads it before it is as it shall be
    path.write_bytes(content)
    if group >= 0:
        try:
            os.chown(path, -1, group)
        except OSError:  # not a group of ours
            mode &= ~0o070
    path.chmod(mode)


def _link_profile(recipe: Recipe, fresh: Path, inputs: dict[str, str]) -> None:
    """make.profile: what the profile says, or the host's own; only the host's where it is for building."""
    asked = [part for _, part in recipe.parts if isinstance(part, MakeProfile)]
    link = fresh / "etc/portage/make.profile"
    if not asked or recipe.building:
        target = recipe.host / "make.profile"
        inputs[str(target)] = signature(target)
        if target.is_dir() and (recipe.base == "host" or recipe.building):
            link.symlink_to(target.resolve())
        return
    folder = _make_profile(asked[-1], config.repositories(fresh), inputs)
    link.symlink_to(folder.resolve())


def _make_profile(asked: MakeProfile, repositories: Mapping[str, Path], inputs: dict[str, str]) -> Path:
    """The folder of a make_profile: in the repository that it names, or in the first that has it."""
    repository, colon, path = asked.name.rpartition(":")
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
    raise UnknownMakeProfile(asked.where, asked.name, nearest(asked.name, known))


def _refuse_complaints(fresh: Path, complaints: str) -> None:
    """A make.profile that Portage cannot parse is an error; what it merely warns of, it will say again."""
    if "Unable to parse profile" in complaints:
        told = " ".join(complaints.replace("!!!", " ").split())
        raise BadFile(os.path.realpath(fresh / "etc/portage/make.profile"), 0, told)


def _digest(shown: Path) -> str:
    """The name of a configroot: over each path, mode and content, sorted."""
    total = hashlib.sha256()
    for path in sorted(shown.rglob("*")):
        name = str(path.relative_to(shown))
        if path.is_symlink():
            total.update(f"{name}\0link\0{path.readlink()}\0".encode())
        elif path.is_file():
            content = path.read_bytes()
            total.update(f"{name}\0{path.stat().st_mode & 0o777:o}\0{len(content)}\0".encode() + content)
    return total.hexdigest()[:24]


def _placed(fresh: Path, place: Path) -> Path:
    """Give a new configroot its name; one that is there already and unharmed is taken instead."""
    named = place
    while True:
        try:
            fresh.rename(named)
            return named
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                raise
        if _digest(named / "etc/portage") == place.name:
            return named
        if not fs.remove_unheld(named):
            named = place.with_name(f"{place.name}-{os.getpid()}")
