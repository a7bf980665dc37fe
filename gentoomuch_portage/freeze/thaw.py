# SPDX-License-Identifier: GPL-2.0-or-later
"""Install an archive as a profile of this machine."""

import json
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from gentoomuch_portage import __version__, stored
from gentoomuch_portage.config import profile as config_profile
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.freeze import profile as freeze_profile
from gentoomuch_portage.freeze import repo_revisions, thaw_record, transaction
from gentoomuch_portage.freeze.archive import Manifest, Member
from gentoomuch_portage.freeze.errors import BadArchive, thaw_taken
from gentoomuch_portage.freeze.secrets import REDACTED
from gentoomuch_portage.freeze.thaw_record import HERE, Record
from gentoomuch_portage.freeze.transaction import Changes
from gentoomuch_portage.portage_adapter import config, paths, private_api
from gentoomuch_portage.portage_adapter import installed as portage_installed
from gentoomuch_portage.unmask import ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class ThawPlan:
    """The planned changes of thawing."""

    name: str
    work: Changes
    staged: dict[str, list[Member]]
    taken: tuple[Path, ...]
    """Existing files that would be replaced."""
    world: Path
    """The world file that would be written."""


def check_repositories(settings: Settings, manifest: Manifest, name: str) -> list[str]:
    """Describe each repository that differs from the archive, one per line; empty if there is none.

    Raises:
        BadArchive: it does not list repositories.
    """
    return repo_revisions.find_differences(_json(manifest, "repositories.json", name), _own_repositories(settings))


def _own_repositories(settings: Settings) -> dict[str, Path]:
    return config.repositories(settings.host.parent.parent)


def make_plan(settings: Settings, manifest: Manifest, file: str, *, name: str, world: bool) -> ThawPlan:
    """Plan the changes of thawing; nothing is written.

    Args:
        file: the archive, for messages.
        name: name of the new profile.
        world: whether the world files are written.

    Raises:
        BadArchive: it does not contain a profile.
        ConfigError[bad-name]: the name is invalid.
    """
    config_profile.valid(name, "profile")
    profile_file = settings.config / "profiles" / f"{name}.toml"
    text = freeze_profile.rename_layers(_content(manifest, "profile.toml", file), file, name)
    staged = _make_folders(settings, manifest, name, text, file)
    before = thaw_record.read_record(settings, name)
    record = Record(manifest.profile, manifest.digest, manifest.key, tuple(sorted(staged)))
    folders = {str(settings.config / folder): folder for folder in staged}
    removed = {
        str(settings.config / folder): "" for folder in (before.folders if before else ()) if folder not in staged
    }
    texts = dict(_make_files(settings, manifest, name, text, file, world=world))
    taken = [profile_file, *map(Path, folders)]
    work = Changes(
        str(profile_file),
        text,
        {**removed, **folders},
        {**texts, str(thaw_record.record_path(settings, name)): thaw_record.format_record(record)},
    )
    return ThawPlan(
        name=name,
        work=work,
        staged=staged,
        taken=(
            *filter(_exists, taken),
            *(Path(path) for path, content in texts.items() if _is_different(Path(path), content)),
        ),
        world=paths.world(_root(text))[0],
    )


def install(settings: Settings, plan: ThawPlan, *, replace: bool) -> None:
    """Apply a plan. The caller holds ``transaction.locked``.

    Raises:
        UsageError[thaw-taken]: files exist already, and ``replace`` is not set.
        NoPrivilege: a file cannot be written.
    """
    if plan.taken and not replace:
        raise thaw_taken(plan.taken, world=plan.world in plan.taken)
    transaction.apply(settings, plan.work, plan.staged)


def _make_folders(settings: Settings, manifest: Manifest, name: str, text: str, file: str) -> dict[str, list[Member]]:
    """Map directories below the configuration directory to their files."""
    values = _toml(text)
    staged: dict[str, list[Member]] = {f"layers/{layer}": [] for layer in values["layers"]}
    staged |= {f"patches/{patch_set}": [] for patch_set in values.get("patches", ())}
    for path, member in manifest.members.items():
        top, *below = path.split("/")
        if top in {"layers", "patches"}:
            target = f"{top}/{name}-{below[0]}"
            if target not in staged or below[0] == HERE:
                raise BadArchive(file, f"it contains {path[:80]!r}, which its profile does not name")
            staged[target].append(member._replace(path=str(PurePosixPath(*below[1:]))))
    staged[f"layers/{name}-{HERE}"] = list(_make_machine_layer(settings, _json(manifest, "repositories.json", file)))
    return staged


def _toml(text: str) -> dict[str, Any]:
    return tomllib.loads(text)


def _root(text: str) -> Path:
    return Path(str(_toml(text).get("root", "/")))


def _make_machine_layer(settings: Settings, needed: dict[str, Any]) -> Iterator[Member]:
    """Yield the layer with the locations of repositories, sources and packages on this machine."""
    locations = {
        name: str(place).replace("%", "%%") for name, place in _own_repositories(settings).items() if name in needed
    }
    sections = (f"[{name}]\nlocation = {place}\n" for name, place in locations.items())
    yield Member("repos.conf", "\n".join(sections).encode())
    settings_of_portage = sorted(portage_installed.places(settings.host.parent.parent).items())
    lines = (f"{variable}={_quote(value)}\n" for variable, value in settings_of_portage)
    yield Member("make.conf", "".join(lines).encode())


def _quote(value: str) -> str:
    """Quote a value for make.conf, with single quotes if possible, so that nothing is expanded."""
    return f'"{value}"' if "'" in value else f"'{value}'"


def _make_files(
    settings: Settings, manifest: Manifest, name: str, text: str, file: str, *, world: bool
) -> Iterator[tuple[str, str]]:
    """Yield path and text of the ledger and the world files."""
    try:
        entries = ledger.parse(_content(manifest, "unmask.json", file).decode())
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise BadArchive(file, "its ledger is invalid") from error
    if (place := ledger.path(settings.state, name)).exists() or entries:
        yield str(place), ledger.format_ledger(entries)
    if world:
        for member, path in zip(("world", "world_sets"), paths.world(_root(text)), strict=True):
            content = _content(manifest, member, file).decode("utf-8", "replace")
            if content or path.exists():
                yield str(path), content


def _exists(path: Path) -> bool:
    return path.is_symlink() or path.exists()


def _is_different(path: Path, text: str) -> bool:
    """Check whether a file exists with other content, or something else has its name."""
    if not _exists(path):
        return False
    try:
        lines = stored.read_bytes(path).decode(errors="replace").splitlines()
    except OSError:
        return True
    return sorted(filter(None, lines)) != sorted(filter(None, text.splitlines())) and bool("".join(lines).strip())


def _content(manifest: Manifest, path: str, name: str) -> bytes:
    if path not in manifest.members:
        raise BadArchive(name, f"{path!r} is missing in it")
    return manifest.members[path].content


def _json(manifest: Manifest, path: str, name: str, *, of: type = dict) -> dict[str, Any]:
    try:
        value = json.loads(_content(manifest, path, name))
    except (ValueError, RecursionError) as error:
        raise BadArchive(name, f"its {path} is invalid") from error
    if not isinstance(value, dict) or not all(isinstance(element, of) for element in value.values()):
        raise BadArchive(name, f"its {path} is invalid")
    return value


def list_notes(settings: Settings, manifest: Manifest, name: str) -> list[str]:
    """List what thawing does not install: other versions, missing binhosts, redacted secrets."""
    facts = _json(manifest, "facts.json", name, of=str)
    versions = {"gentoomuch": __version__, "portage": private_api.version()}
    notes = [
        f"frozen with {program} {facts[program]}, this machine has {version}"
        for program, version in versions.items()
        if facts.get(program, version) != version
    ]
    known_binhosts = {url.rstrip("/") for url in settings.defaults.get("binhost", {})}
    missing = sorted(url for url in _json(manifest, "binhosts.json", name) if url.rstrip("/") not in known_binhosts)
    notes += [f"its binhost is unknown here: gentoomuch binhost client {url}" for url in missing]
    return notes + [f"a redacted secret has to be restored: {path}" for path in _list_redacted(manifest)]


def _list_redacted(manifest: Manifest) -> list[str]:
    """List the installed members that contain REDACTED."""
    installed = ("layers/", "patches/", "profile.toml")
    return [
        path for path, member in manifest.members.items() if path.startswith(installed) and REDACTED in member.content
    ]
