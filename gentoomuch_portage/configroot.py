"""Configroots by content: made once, found again in a millisecond, remade when anything they show changes.

``cache/configroots/ID/etc/portage`` is named by the digest of all it holds, and never changed.
``cache/recipes/DIGEST.json`` remembers which files went into it, each with its signature, so that the
next run needs no more than their stat. A run holds the lock of its configroot; the kernel drops it with
the process, so kill -9 leaves at most a folder with a dot that the next collection removes.
"""

import contextlib
import hashlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gentoomuch_portage import files
from gentoomuch_portage.plan import File, Layer, Line, MakeProfile, Part

if TYPE_CHECKING:
    from gentoomuch_portage.compose import Composed

_RACY = 2_000_000_000
"""Nanoseconds. A file changed so shortly before its signature was taken may change again unseen."""
_UNUSED = 30 * 86_400
"""Seconds after which a recipe that nobody used is forgotten."""
_YOUNG = 600
"""Seconds for which a configroot without a recipe is left alone: its maker may be about to write one."""


@dataclass(frozen=True, slots=True)
class Laid:
    """A configroot on disk."""

    path: Path
    """As PORTAGE_CONFIGROOT means it."""
    facts: dict[str, str]
    """What Portage made of it when it was composed: PORTAGE_TMPDIR and others."""
    made: bool
    """Whether this call composed it."""
    lock: int
    """A descriptor; the configroot stays while it is open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What a configroot is made of."""

    host: Path
    """The host's etc/portage."""
    base: str
    """``host`` or ``none``."""
    config: Path
    """The configuration directory; no link of a layer may lead out of it."""
    parts: tuple[tuple[str, Part], ...]
    building: bool = False
    """For the packages that a foreign root's profile installs in ``/`` for building."""

    @property
    def digest(self) -> str:
        said = [self.base, str(self.host), str(self.config), str(self.building)]
        said += [
            f"{type(part).__name__} {part}"
            for _, part in self.parts
            if isinstance(part, Layer | File | Line | MakeProfile)
        ]
        return hashlib.sha256("\0".join(said).encode()).hexdigest()[:24]


def lay(recipe: Recipe, cache: Path) -> Laid:
    """Find the configroot of a recipe, or make it.

    Safe under any number of runs at once.

    Raises:
        ConfigError: a file of the configuration is wrong.
        NoPrivilege: the cache cannot be written.
    """
    remembered = cache / "recipes" / f"{recipe.digest}.json"
    for _ in range(100):
        if laid := _found(remembered, cache):
            return laid
        made = _make(recipe, cache, remembered)
        lock = files.hold(made[0])
        if lock is not None:
            collect(cache)
            return Laid(made[0], made[1], True, lock)
    raise RuntimeError(f"{cache / 'configroots'} is emptied as fast as it is filled")


def _found(remembered: Path, cache: Path) -> Laid | None:
    """The configroot of a recipe whose inputs and whose result are as they were."""
    try:
        with remembered.open(encoding="utf-8") as file:
            kept: dict[str, Any] = json.load(file)
            age = time.time() - os.fstat(file.fileno()).st_mtime
    except (OSError, ValueError):
        return None
    root = cache / "configroots" / kept["id"]
    lock = files.hold(root)
    if lock is None:
        return None
    if _same(kept["inputs"], kept["written"]) and _same(_absolute(root, kept["made"]), None):
        if age > 86_400:
            with contextlib.suppress(OSError):
                os.utime(remembered)
        return Laid(root, kept["facts"], False, lock)
    os.close(lock)
    return None


def _same(signatures: dict[str, str], written: int | None) -> bool:
    """Whether files are as they were signed, and none was changed too shortly before ``written`` to be sure."""
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


def _make(recipe: Recipe, cache: Path, remembered: Path) -> tuple[Path, dict[str, str]]:
    """Compose, write, and remember; the configroot's path and facts."""
    from gentoomuch_portage.compose import compose, signature, sources_of
    from gentoomuch_portage.errors import BadFile
    from gentoomuch_portage.portage_adapter import query

    written = time.time_ns()
    host = recipe.host if recipe.base == "host" or recipe.building else None
    if host is not None and not host.is_dir() and recipe.base == "host":
        raise BadFile(host, 0, "the host has no configuration to start from", remedy='base = "none" in the profile')
    composed = compose(
        sources_of(recipe.parts, host=host, config=recipe.config), recipe.parts, building=recipe.building
    )
    stands = cache / "configroots"
    with files.fresh_folder(stands) as fresh:
        shown = fresh / "etc/portage"
        for name, (content, mode, group) in sorted(composed.files.items()):
            _put(shown / name, content, mode, group)
        _put_sums(shown, composed, frozenset())
        _link_profile(recipe, fresh, composed.inputs)
        loaded = query.load(fresh)
        _refuse_complaints(composed, fresh, loaded.complaints)
        _put_sums(shown, composed, frozenset(loaded.values["USE_EXPAND"].split()))
        for path in loaded.read:
            composed.inputs[str(path)] = signature(path)
        identity = _digest(shown)
        root = _move(fresh, stands, identity)
    made = {"": signature(root), **{str(path.relative_to(root)): signature(path) for path in sorted(root.rglob("*"))}}
    facts = {name: value for name, value in loaded.values.items() if not name.startswith("USE_")}
    kept = {"id": root.name, "inputs": composed.inputs, "made": made, "facts": facts, "written": written}
    files.write(remembered, json.dumps(kept))
    return root, facts


def _put_sums(shown: Path, composed: "Composed", expanded: frozenset[str]) -> None:
    """Write what is joined: make.conf, and make.defaults where a layer has one."""
    from gentoomuch_portage import makeconf
    from gentoomuch_portage.portage_adapter import query

    added = query.incrementals()
    joined = makeconf.joined(composed.pieces, added, expanded=expanded - added)
    _put(shown / "make.conf", joined.encode(), 0o644, -1)
    if composed.defaults:
        _put(
            shown / "profile/make.defaults", makeconf.defaults(composed.defaults, added | expanded).encode(), 0o644, -1
        )


def _put(path: Path, content: bytes, mode: int, group: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)
    if group >= 0 and os.geteuid() == 0:
        os.chown(path, -1, group)


def _link_profile(recipe: Recipe, fresh: Path, inputs: dict[str, str]) -> None:
    """make.profile: what the profile says, or the host's own; only the host's where it is for building."""
    from gentoomuch_portage.compose import signature
    from gentoomuch_portage.errors import UnknownMakeProfile, nearest
    from gentoomuch_portage.portage_adapter import query

    asked = [part for _, part in recipe.parts if isinstance(part, MakeProfile)]
    link = fresh / "etc/portage/make.profile"
    if not asked or recipe.building:
        target = recipe.host / "make.profile"
        inputs[str(target)] = signature(target)
        if target.is_dir() and (recipe.base == "host" or recipe.building):
            link.symlink_to(target.resolve())
        return
    name, where = asked[-1].name, asked[-1].where
    repositories = query.repositories(fresh)
    repository, colon, path = name.rpartition(":")
    places = (
        [repositories[repository]]
        if colon and repository in repositories
        else []
        if colon
        else list(repositories.values())
    )
    for place in places:
        folder = place / "profiles" / path
        if path and folder.is_dir() and folder.resolve().is_relative_to(place.resolve()):
            link.symlink_to(folder.resolve())
            inputs[str(folder)] = signature(folder)
            return
    known = [
        f"{repository}:{path}" if colon else path
        for one in repositories.values()
        for _, path, _ in query.make_profiles(one)
    ]
    raise UnknownMakeProfile(where, name, nearest(name, known))


def _refuse_complaints(composed: Any, fresh: Path, complaints: str) -> None:
    """A make.profile that Portage cannot parse is an error; what it merely warns of, it will say again."""
    from gentoomuch_portage.errors import BadFile

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


def _move(fresh: Path, stands: Path, identity: str) -> Path:
    """Give a new configroot its name; one that is there already and unharmed is taken instead."""
    place = stands / identity
    while True:
        try:
            fresh.rename(place)
            return place
        except OSError:
            if place.is_dir() and _digest(place / "etc/portage") == identity:
                return place
            if not files.remove_unheld(place):
                place = stands / f"{identity}-{os.getpid()}"


def stale(cache: Path) -> list[Path]:
    """The configroots that no recipe means, and what killed runs left behind; some may still be held by a run."""
    wanted = set()
    now = time.time()
    for remembered in (cache / "recipes").glob("*.json"):
        with contextlib.suppress(OSError, ValueError, KeyError):
            if now - remembered.stat().st_mtime <= _UNUSED:
                wanted.add(json.loads(remembered.read_text(encoding="utf-8"))["id"])
    found = []
    for folder in (*(cache / "configroots").glob("*"), *(cache / "configroots").glob(".*")):
        with contextlib.suppress(OSError):
            if folder.name not in wanted and now - folder.stat().st_mtime > _YOUNG:
                found.append(folder)
    return sorted(found)


def collect(cache: Path) -> list[Path]:
    """Remove what is stale and held by nobody.

    Returns:
        What was removed.
    """
    for remembered in (cache / "recipes").glob("*.json"):
        with contextlib.suppress(OSError):
            if time.time() - remembered.stat().st_mtime > _UNUSED:
                remembered.unlink()
    return [folder for folder in stale(cache) if files.remove_unheld(folder)]
