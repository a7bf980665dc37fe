"""Install an archive as a profile of this machine."""

import json
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from gentoomuch_portage import __version__
from gentoomuch_portage.config import profile as config_profile
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.freeze import profile as freeze_profile
from gentoomuch_portage.freeze import repo_revisions, thaw_record, transaction
from gentoomuch_portage.freeze.archive import Manifest, Member
from gentoomuch_portage.freeze.errors import BadArchive, ThawTaken
from gentoomuch_portage.freeze.secrets import REDACTED
from gentoomuch_portage.freeze.thaw_record import HERE, Record
from gentoomuch_portage.freeze.transaction import Work
from gentoomuch_portage.portage_adapter import config, private_api
from gentoomuch_portage.portage_adapter import installed as portage_installed
from gentoomuch_portage.unmask import ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """What thawing will do."""

    name: str
    work: Work
    staged: dict[str, list[Member]]
    taken: tuple[Path, ...]
    """What is there already, and would be replaced."""
    world: Path
    """The world file that would be written."""


def repositories(settings: Settings, found: Manifest, name: str) -> list[str]:
    """What is wrong with the repositories of this machine, one a line; empty where they are those of the archive.

    Raises:
        BadArchive: it does not tell of any.
    """
    return repo_revisions.differences(_json(found, "repositories.json", name), _here(settings))


def _here(settings: Settings) -> dict[str, Path]:
    return config.repositories(settings.host.parent.parent)


def ready(settings: Settings, found: Manifest, file: str, *, name: str, world: bool) -> Ready:
    """Make a plan of thawing; nothing is written.

    Args:
        file: the archive, for messages.
        name: of the new profile.
        world: whether the world files are written.

    Raises:
        BadArchive: what it holds makes no profile.
        BadName: the name is none.
    """
    config_profile.valid(name, "profile")
    place = settings.config / "profiles" / f"{name}.toml"
    text = freeze_profile.thawed(_content(found, "profile.toml", file), file, name)
    staged = _folders(settings, found, name, text, file)
    before = thaw_record.read(settings, name)
    kept = Record(found.profile, found.digest, found.key, tuple(sorted(staged)))
    folders = {str(settings.config / one): one for one in staged}
    gone = {str(settings.config / one): "" for one in (before.folders if before else ()) if one not in staged}
    written = dict(_files(settings, found, name, text, file, world=world))
    taken = [place, *map(Path, folders)]
    work = Work(
        str(place),
        text,
        {**gone, **folders},
        {**written, str(thaw_record.path(settings, name)): thaw_record.text(kept)},
    )
    return Ready(
        name=name,
        work=work,
        staged=staged,
        taken=(*filter(_there, taken), *(Path(one) for one, told in written.items() if _other(Path(one), told))),
        world=portage_installed.world(_root(text))[0],
    )


def install(settings: Settings, plan: Ready, *, replace: bool) -> None:
    """Thaw. Call it while ``journal.alone``.

    Raises:
        ThawTaken: something is there already, and is not to be replaced.
        NoPrivilege: a place cannot be written.
    """
    if plan.taken and not replace:
        raise ThawTaken(plan.taken, world=plan.world in plan.taken)
    transaction.put(settings, plan.work, plan.staged)


def _folders(settings: Settings, found: Manifest, name: str, text: str, file: str) -> dict[str, list[Member]]:
    """Folder below the configuration directory -> its files."""
    told = _toml(text)
    staged: dict[str, list[Member]] = {f"layers/{one}": [] for one in told["layers"]}
    staged |= {f"patches/{one}": [] for one in told.get("patches", ())}
    for path, one in found.members.items():
        top, *below = path.split("/")
        if top in {"layers", "patches"}:
            at = f"{top}/{name}-{below[0]}"
            if at not in staged or below[0] == HERE:
                raise BadArchive(file, f"it holds {path[:80]!r}, which its profile does not name")
            staged[at].append(one._replace(path=str(PurePosixPath(*below[1:]))))
    staged[f"layers/{name}-{HERE}"] = list(_of_machine(settings, _json(found, "repositories.json", file)))
    return staged


def _toml(text: str) -> dict[str, Any]:
    return tomllib.loads(text)


def _root(text: str) -> Path:
    return Path(str(_toml(text).get("root", "/")))


def _of_machine(settings: Settings, needed: dict[str, Any]) -> Iterator[Member]:
    """Where repositories, sources and packages lie on this machine."""
    here = {one: str(place).replace("%", "%%") for one, place in _here(settings).items() if one in needed}
    yield Member("repos.conf", "\n".join(f"[{one}]\nlocation = {place}\n" for one, place in here.items()).encode())
    told = sorted(portage_installed.places(settings.host.parent.parent).items())
    yield Member("make.conf", "".join(f"{one}={_quoted(value)}\n" for one, value in told).encode())


def _quoted(value: str) -> str:
    """A value for make.conf, in which nothing is expanded where it can be helped."""
    return f'"{value}"' if "'" in value else f"'{value}'"


def _files(
    settings: Settings, found: Manifest, name: str, text: str, file: str, *, world: bool
) -> Iterator[tuple[str, str]]:
    """Place -> text of the ledger and the world files."""
    try:
        entries = ledger.parsed(_content(found, "unmask.json", file).decode())
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise BadArchive(file, "its ledger is none") from error
    if (place := ledger.path(settings.state, name)).exists() or entries:
        yield str(place), ledger.text(entries)
    if world:
        for one, path in zip(("world", "world_sets"), portage_installed.world(_root(text)), strict=True):
            told = _content(found, one, file).decode("utf-8", "replace")
            if told or path.exists():
                yield str(path), told


def _there(path: Path) -> bool:
    return path.is_symlink() or path.exists()


def _other(path: Path, text: str) -> bool:
    """Whether a file is there and says something else than it is to say."""
    if not _there(path):
        return False
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return sorted(filter(None, lines)) != sorted(filter(None, text.splitlines())) and bool("".join(lines).strip())


def _content(found: Manifest, path: str, name: str) -> bytes:
    if path not in found.members:
        raise BadArchive(name, f"it lacks {path!r}")
    return found.members[path].content


def _json(found: Manifest, path: str, name: str, *, of: type = dict) -> dict[str, Any]:
    try:
        told = json.loads(_content(found, path, name))
    except (ValueError, RecursionError) as error:
        raise BadArchive(name, f"its {path} is none") from error
    if not isinstance(told, dict) or not all(isinstance(one, of) for one in told.values()):
        raise BadArchive(name, f"its {path} is none")
    return told


def notes(settings: Settings, found: Manifest, name: str) -> list[str]:
    """What thawing does not install, and is otherwise here: what an archive tells of its machine, and secrets."""
    facts = _json(found, "facts.json", name, of=str)
    here = {"gentoomuch": __version__, "portage": private_api.version()}
    told = [
        f"frozen with {one} {facts[one]}, and this machine has {version}"
        for one, version in here.items()
        if facts.get(one, version) != version
    ]
    known = {url.rstrip("/") for url in settings.defaults.get("binhost", {})}
    lost = sorted(url for url in _json(found, "binhosts.json", name) if url.rstrip("/") not in known)
    told += [f"its binhost is not known here: gentoomuch binhost client {url}" for url in lost]
    return told + [f"a secret was taken out, and has to be put in again: {path}" for path in _redacted(found)]


def _redacted(found: Manifest) -> list[str]:
    """The members that are installed with REDACTED in them."""
    installed = ("layers/", "patches/", "profile.toml")
    return [path for path, one in found.members.items() if path.startswith(installed) and REDACTED in one.content]
