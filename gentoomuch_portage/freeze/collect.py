"""All that makes a profile what it is, off this machine, as members of an archive.

The files of a layer or of a patch set, as Portage sees them: links followed, backups and hidden files left out.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gentoomuch_portage import __version__
from gentoomuch_portage.binhost import keys
from gentoomuch_portage.binhost.client.config import policies
from gentoomuch_portage.config.profile import layer_folder, patch_folder
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.configroot.layers import LEFT_OUT, OTHER_TOOLS
from gentoomuch_portage.emerge.profile_view import View, looked_at
from gentoomuch_portage.errors import BadFile
from gentoomuch_portage.freeze import profile, repo_revisions, secrets, thaw_record
from gentoomuch_portage.freeze.archive import Member
from gentoomuch_portage.freeze.errors import CannotFreeze, SecretsFound
from gentoomuch_portage.freeze.thaw_record import CPU, HERE, HOST
from gentoomuch_portage.fs import opened
from gentoomuch_portage.plan.plan import Line
from gentoomuch_portage.portage_adapter import config, installed, private_api
from gentoomuch_portage.unmask import ledger

_SOURCES = re.compile(r"^[^\S\n]*source[^\S\n]+(['\"]?)([^'\"#\s]+)\1[^\n]*$", re.M)
_DEEPEST = 20


def members(folder: Path, top: str) -> Iterator[tuple[Member, Path]]:
    """Each file below a folder, sorted, with the file that it came from.

    Args:
        top: path of the folder in the archive.

    Raises:
        BadFile: one cannot be read.
        CannotFreeze: a link leads back to a folder above it.
    """
    for path, name in _files(folder, "", (folder.resolve(),)):
        yield Member(f"{top}/{name}", _content(path, name, folder), _mode(path)), path


def _files(folder: Path, above: str, parents: tuple[Path, ...]) -> Iterator[tuple[Path, str]]:
    for path in sorted(folder.iterdir()):
        name = f"{above}{path.name}"
        if path.name.startswith(".") or path.name.endswith("~") or (path.name in OTHER_TOOLS and path.is_dir()):
            continue
        if path.is_dir():
            real = path.resolve()
            if real in parents:
                raise CannotFreeze(f"{path}: this link leads back to {real}", remedy="remove it")
            if above or name not in LEFT_OUT:
                yield from _files(path, f"{name}/", (*parents, real))
        elif path.is_file():
            yield path, name


def _content(path: Path, name: str, folder: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadFile(path, 0, error.strerror or "it cannot be read", remedy="run it as root") from error
    if name.split("/", 1)[0] == "make.conf" and b"source" in content:
        return _whole(path, content.decode("utf-8", "surrogateescape"), folder).encode("utf-8", "surrogateescape")
    return content


def _whole(path: Path, text: str, folder: Path, deep: int = 0) -> str:
    """A make.conf with what it sources by an absolute name, or from outside of its layer, in its place.

    Elsewhere that name would mean another file, or none.
    """

    def put(found: re.Match[str]) -> str:
        name = found[2]
        if "$" in name or deep > _DEEPEST:
            line = text.count("\n", 0, found.start()) + 1
            raise CannotFreeze(f"{path}:{line}: what this sources is not known before it is read: {name}")
        meant = path.parent / name
        if not name.startswith("/") and meant.resolve().is_relative_to(folder.resolve()):
            return found[0]
        try:
            below = meant.read_text(encoding="utf-8", errors="surrogateescape")
        except OSError as error:
            raise BadFile(meant, 0, f"{path} sources it: {error.strerror}") from error
        return f"# from {meant}\n{_whole(meant, below, folder, deep + 1).rstrip()}"

    return _SOURCES.sub(put, text)


def _mode(path: Path) -> int:
    """Its permissions; those of the group and of others at most as a umask of 022 leaves them."""
    return path.stat().st_mode & 0o755


@dataclass(frozen=True, slots=True)
class Gathered:
    """A profile as it is here."""

    members: tuple[Member, ...]
    """Sorted."""
    redacted: tuple[str, ...]
    """``FILE:LINE: what`` of each secret that was replaced."""
    thawed: bool
    """Whether it came out of an archive itself."""


def gathered(settings: Settings, name: str, *, redact: bool) -> Gathered:
    """Look at a profile.

    Args:
        redact: replace secrets instead of refusing.

    Raises:
        SecretsFound: there are some.
        CannotFreeze: it depends on something that an archive cannot hold.
        GmError: the profile is wrong.
    """
    known = thaw_record.read(settings, name)
    with looked_at(settings, name) as view:
        found = [(_plain(member), origin) for member, origin in _members(settings, view, known)]
    origins = {member.path: str(origin) for member, origin in found}
    members = [member for member, _ in found]
    places = secrets.places(members, origins)
    if places and not redact:
        raise SecretsFound(places)
    if places:
        members = [secrets.redacted(member) for member in members]
        if left := secrets.places(members, origins):
            raise SecretsFound(left)
    return Gathered(tuple(sorted(members)), tuple(places), known is not None)


def _plain(member: Member) -> Member:
    if not member.path.isprintable():
        raise CannotFreeze(f"{member.path!r} has a name that an archive cannot hold", remedy="rename that file")
    return member


def _members(settings: Settings, view: View, known: thaw_record.Record | None) -> Iterator[tuple[Member, Path]]:
    here = view.profile
    repositories = config.repositories(Path(view.plan.configroot))
    told = profile.text(here, known, _make_profile(view, repositories))
    yield Member("profile.toml", told.encode()), here.file
    facts = {"gentoomuch": __version__, "portage": private_api.version()}
    yield _json("facts.json", facts), Path("Portage")
    revised = {name: repo_revisions.revision(place) for name, place in repositories.items()}
    yield _json("repositories.json", revised), settings.host / "repos.conf"
    entries = ledger.text(ledger.read(settings.state, here.name))
    yield Member("unmask.json", entries.encode()), ledger.path(settings.state, here.name)
    for name, file in zip(("world", "world_sets"), installed.world(here.root), strict=True):
        yield Member(name, _selected(here.root, file)), file
    for name, folder in profile.patches(here, known).items():
        yield from members(patch_folder(settings, here, folder), f"patches/{name}")
    for name, folder in profile.layers(here, known).items():
        yield from _layer(settings, view, name, folder)
    yield from _composed(view)
    yield from _keys(settings)


def _make_profile(view: View, repositories: dict[str, Path]) -> str:
    """``repo:path`` of the folder that make.profile means; empty where there is none."""
    link = view.shown / "make.profile"
    if not link.exists():
        return ""
    meant = link.resolve()
    for name, place in sorted(repositories.items(), key=lambda one: len(one[1].parts), reverse=True):
        if meant.is_relative_to(top := (place / "profiles").resolve()):
            return f"{name}:{meant.relative_to(top)}"
    raise CannotFreeze(
        f"make.profile of {view.profile.name!r} lies in no repository: {meant}",
        remedy='make_profile = "REPOSITORY:PATH" in the profile',
    )


def _layer(settings: Settings, view: View, name: str, folder: str) -> Iterator[tuple[Member, Path]]:
    if folder:
        if name in {HOST, HERE, CPU} and name == folder:
            raise CannotFreeze(f"a layer by the name of {name!r} would not be told apart", remedy="rename that layer")
        yield from members(layer_folder(settings, view.profile, folder), f"layers/{name}")
    elif name == HOST:
        if (old := settings.host.parent / "make.conf").exists():
            raise CannotFreeze(f"{old} is read by Portage as well", remedy=f"move what it says to {settings.host}")
        yield from members(settings.host, f"layers/{HOST}")
    else:
        lines = [part.text for plugin, part in view.asked.parts if plugin == "cpu" and isinstance(part, Line)]
        yield Member(f"layers/{CPU}/make.conf", "".join(f"{one}\n" for one in lines).encode()), view.profile.file


def _composed(view: View) -> Iterator[tuple[Member, Path]]:
    for path in sorted(view.shown.rglob("*")):
        if path.is_file() and "make.profile" not in path.relative_to(view.shown).parts:
            name = f"configroot/etc/portage/{path.relative_to(view.shown)}"
            yield Member(name, path.read_bytes(), path.stat().st_mode & 0o755), path


def _keys(settings: Settings) -> Iterator[tuple[Member, Path]]:
    """What is trusted here: public keys of the host and of binhosts, and which binhosts those are."""
    for place in keys.of_host(settings):
        yield Member("keys/of-the-host.asc", place.read_bytes()), settings.host / "gnupg"
    for policy in policies(settings):
        place = keys.pinned(settings, policy.key)
        if place.is_file():
            yield Member(f"keys/{policy.key}.asc", place.read_bytes()), place
    yield _json("binhosts.json", settings.defaults.get("binhost", {})), settings.config / "gentoomuch.toml"


def _selected(root: Path, file: Path) -> bytes:
    """The atoms of a world file, sorted; an order that nobody chose is no difference.

    What runs in a root of its own may lay a link there, to something of this machine.
    """
    try:
        with file.open("rb") if root == Path("/") else opened(root, file) as found:
            lines = found.read().decode().splitlines()
    except FileNotFoundError:
        return b""
    except UnicodeDecodeError as error:
        raise BadFile(file, 0, "this is no UTF-8", remedy="mend it; one atom a line") from error
    except OSError as error:
        remedy = f"look at it, then run it as root: ls -ld {file}"
        raise BadFile(file, 0, error.strerror or "it cannot be read", remedy=remedy) from error
    return "".join(f"{line}\n" for line in sorted({line.strip() for line in lines} - {""})).encode()


def _json(name: str, told: object) -> Member:
    return Member(name, (json.dumps(told, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode())
