# SPDX-License-Identifier: GPL-2.0-or-later
"""Collect all files that define a profile as members of an archive.

Files of layers and patch sets are read as Portage sees them: links are followed, backups and hidden files skipped.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gentoomuch_portage import __version__
from gentoomuch_portage.binhost import keys
from gentoomuch_portage.binhost.client.config import load_binhosts
from gentoomuch_portage.config.portage_names import VCS_DIRS
from gentoomuch_portage.config.profile import layer_folder, patch_folder
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.configroot.layers import SKIPPED
from gentoomuch_portage.emerge.profile_view import View, load_view
from gentoomuch_portage.errors import BadFile
from gentoomuch_portage.freeze import profile, repo_revisions, secrets, thaw_record
from gentoomuch_portage.freeze.archive import Member
from gentoomuch_portage.freeze.errors import cannot_freeze, secrets_found
from gentoomuch_portage.freeze.thaw_record import CPU, HERE, HOST
from gentoomuch_portage.fs import open_below
from gentoomuch_portage.plan.plan import Line
from gentoomuch_portage.portage_adapter import config, paths, private_api
from gentoomuch_portage.unmask import ledger

_SOURCES = re.compile(r"^[^\S\n]*source[^\S\n]+(['\"]?)([^'\"#\s]+)\1[^\n]*$", re.M)
_DEEPEST = 20


def read_members(folder: Path, top: str) -> Iterator[tuple[Member, Path]]:
    """Yield each file below a directory, sorted, with the file that it came from.

    Args:
        top: path of the directory in the archive.

    Raises:
        BadFile: a file cannot be read.
        ConfigError[cannot-freeze]: a link leads back to a directory above it.
    """
    for path, name in _list_files(folder, "", (folder.resolve(),)):
        yield Member(f"{top}/{name}", _content(path, name, folder), _read_mode(path)), path


def _list_files(folder: Path, above: str, parents: tuple[Path, ...]) -> Iterator[tuple[Path, str]]:
    for path in sorted(folder.iterdir()):
        name = f"{above}{path.name}"
        if path.name.startswith(".") or path.name.endswith("~") or (path.name in VCS_DIRS and path.is_dir()):
            continue
        if path.is_dir():
            real = path.resolve()
            if real in parents:
                raise cannot_freeze(f"cannot freeze {path}: the link leads back to {real}", hint=f"rm {path}")
            if above or name not in SKIPPED:
                yield from _list_files(path, f"{name}/", (*parents, real))
        elif path.is_file():
            yield path, name


def _content(path: Path, name: str, folder: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadFile(path, 0, error.strerror or "cannot read it", hint="run it as root") from error
    if name.split("/", 1)[0] == "make.conf" and b"source" in content:
        return _inline_sources(path, content.decode("utf-8", "surrogateescape"), folder).encode(
            "utf-8", "surrogateescape"
        )
    return content


def _inline_sources(path: Path, text: str, folder: Path, deep: int = 0) -> str:
    """Inline the files that a make.conf sources by an absolute name, or from outside of its layer.

    On another machine that name would be another file, or missing.
    """

    def replace(match: re.Match[str]) -> str:
        name = match[2]
        if "$" in name or deep > _DEEPEST:
            line = text.count("\n", 0, match.start()) + 1
            raise cannot_freeze(f"{path}:{line}: cannot freeze a sourced file with a variable name: {name}")
        meant = path.parent / name
        if not name.startswith("/") and meant.resolve().is_relative_to(folder.resolve()):
            return match[0]
        try:
            below = meant.read_text(encoding="utf-8", errors="surrogateescape")
        except OSError as error:
            raise BadFile(meant, 0, f"{path} sources it: {error.strerror}") from error
        return f"# from {meant}\n{_inline_sources(meant, below, folder, deep + 1).rstrip()}"

    return _SOURCES.sub(replace, text)


def _read_mode(path: Path) -> int:
    """Return the permissions of a file, for group and others at most as with a umask of 022."""
    return path.stat().st_mode & 0o755


@dataclass(frozen=True, slots=True)
class CollectedProfile:
    """A profile of this machine, collected."""

    members: tuple[Member, ...]
    """Sorted."""
    redacted: tuple[str, ...]
    """``FILE:LINE: what`` of each replaced secret."""
    thawed: bool
    """Whether the profile was itself thawed from an archive."""


def collect_profile(settings: Settings, name: str, *, redact: bool) -> CollectedProfile:
    """Collect the files of a profile.

    Args:
        redact: replace secrets instead of failing.

    Raises:
        ConfigError[secrets-found]: it contains secrets.
        ConfigError[cannot-freeze]: it depends on something that an archive cannot contain.
        GmError: the profile is invalid.
    """
    record = thaw_record.read_record(settings, name)
    with load_view(settings, name) as view:
        collected = [(_check_name(member), origin) for member, origin in _members(settings, view, record)]
    origins = {member.path: str(origin) for member, origin in collected}
    members = [member for member, _ in collected]
    places = secrets.list_places(members, origins)
    if places and not redact:
        raise secrets_found(places)
    if places:
        members = [secrets.redact(member) for member in members]
        if remaining := secrets.list_places(members, origins):
            raise secrets_found(remaining)
    return CollectedProfile(tuple(sorted(members)), tuple(places), record is not None)


def _check_name(member: Member) -> Member:
    if not member.path.isprintable():
        raise cannot_freeze(f"cannot freeze {member.path!r}: unprintable name", hint="rename that file")
    return member


def _members(settings: Settings, view: View, record: thaw_record.Record | None) -> Iterator[tuple[Member, Path]]:
    own = view.profile
    repositories = config.repositories(Path(view.plan.configroot))
    text = profile.format_profile(own, record, _make_profile(view, repositories))
    yield Member("profile.toml", text.encode()), own.file
    facts = {"gentoomuch": __version__, "portage": private_api.version()}
    yield _json("facts.json", facts), Path("Portage")
    revisions = {name: repo_revisions.read_revision(place) for name, place in repositories.items()}
    yield _json("repositories.json", revisions), settings.host / "repos.conf"
    entries = ledger.format_ledger(ledger.read(settings.state, own.name))
    yield Member("unmask.json", entries.encode()), ledger.path(settings.state, own.name)
    for name, file in zip(("world", "world_sets"), paths.world(own.root), strict=True):
        yield Member(name, _read_world(own.root, file)), file
    for name, folder in profile.map_patch_sets(own, record).items():
        yield from read_members(patch_folder(settings, own, folder), f"patches/{name}")
    for name, folder in profile.map_layers(own, record).items():
        yield from _layer(settings, view, name, folder)
    yield from _read_configroot(view)
    yield from _read_keys(settings)


def _make_profile(view: View, repositories: dict[str, Path]) -> str:
    """Return ``repo:path`` of the target of make.profile; empty if it is missing."""
    link = view.etc_portage / "make.profile"
    if not link.exists():
        return ""
    target = link.resolve()
    for name, place in sorted(repositories.items(), key=lambda item: len(item[1].parts), reverse=True):
        if target.is_relative_to(top := (place / "profiles").resolve()):
            return f"{name}:{target.relative_to(top)}"
    raise cannot_freeze(
        f"make.profile of {view.profile.name!r} is in no repository: {target}",
        hint='make_profile = "REPOSITORY:PATH" in the profile',
    )


def _layer(settings: Settings, view: View, name: str, folder: str) -> Iterator[tuple[Member, Path]]:
    if folder:
        if name in {HOST, HERE, CPU} and name == folder:
            raise cannot_freeze(f"the layer name {name!r} is reserved", hint="rename that layer")
        yield from read_members(layer_folder(settings, view.profile, folder), f"layers/{name}")
    elif name == HOST:
        if (old := settings.host.parent / "make.conf").exists():
            raise cannot_freeze(
                f"cannot freeze {old}, which Portage reads as well", hint=f"move its lines to {settings.host}/make.conf"
            )
        yield from read_members(settings.host, f"layers/{HOST}")
    else:
        lines = [part.text for plugin, part in view.planned.parts if plugin == "cpu" and isinstance(part, Line)]
        yield Member(f"layers/{CPU}/make.conf", "".join(f"{line}\n" for line in lines).encode()), view.profile.file


def _read_configroot(view: View) -> Iterator[tuple[Member, Path]]:
    for path in sorted(view.etc_portage.rglob("*")):
        if path.is_file() and "make.profile" not in path.relative_to(view.etc_portage).parts:
            name = f"configroot/etc/portage/{path.relative_to(view.etc_portage)}"
            yield Member(name, path.read_bytes(), path.stat().st_mode & 0o755), path


def _read_keys(settings: Settings) -> Iterator[tuple[Member, Path]]:
    """Yield the public keys that this machine trusts, of the host and of binhosts, and the list of binhosts."""
    for place in keys.host_keys(settings):
        yield Member("keys/of-the-host.asc", place.read_bytes()), settings.host / "gnupg"
    for binhost in load_binhosts(settings):
        place = keys.pinned_path(settings, binhost.key)
        if place.is_file():
            yield Member(f"keys/{binhost.key}.asc", place.read_bytes()), place
    yield _json("binhosts.json", settings.defaults.get("binhost", {})), settings.config / "gentoomuch.toml"


def _read_world(root: Path, file: Path) -> bytes:
    """Read the atoms of a world file, sorted, so that their order makes no difference.

    In another root, programs of that root could link it to a file of this machine, so links are not followed.
    """
    try:
        with file.open("rb") if root == Path("/") else open_below(root, file) as content:
            lines = content.read().decode().splitlines()
    except FileNotFoundError:
        return b""
    except UnicodeDecodeError as error:
        raise BadFile(file, 0, "not valid UTF-8", hint="write one atom per line") from error
    except OSError as error:
        hint = f"check it as root: ls -ld {file}"
        raise BadFile(file, 0, error.strerror or "cannot read it", hint=hint) from error
    return "".join(f"{line}\n" for line in sorted({line.strip() for line in lines} - {""})).encode()


def _json(name: str, value: object) -> Member:
    return Member(name, (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode())
