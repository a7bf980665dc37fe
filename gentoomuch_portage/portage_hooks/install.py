# SPDX-License-Identifier: GPL-2.0-or-later
"""Enable and disable hooks. A record has the digests of written files; other files are never changed or removed."""

import hashlib
import json
import os
import shlex
import shutil
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from gentoomuch_portage import fs, stored
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import ConfigError, RunError, UsageError, listed, nearest
from gentoomuch_portage.portage_adapter import paths as portage_paths
from gentoomuch_portage.portage_hooks.catalog import ALL, Hook, Places, template


def unknown_hook(name: str, known: Iterable[str]) -> UsageError:
    """There is no hook of this name."""
    known = list(known)
    near = nearest(name, known)
    error = UsageError(f"hook {name!r} not found {listed(known)}", code="unknown-hook", hint="gentoomuch hooks ls")
    return error.with_correction(name, near) if near else error


def hook_taken(name: str, file: Path, line: str) -> ConfigError:
    """The file of a hook exists already, and was not written by gentoomuch."""
    return ConfigError(f"hook {name!r} would overwrite {file}", code="hook-taken", hint=line)


def hook_changed(name: str, file: Path) -> ConfigError:
    """The file of a hook was edited."""
    return ConfigError(
        f"{file} of hook {name!r} was edited, and is not removed", code="hook-changed", hint=f"rm {file}"
    )


class NothingRecorded(RunError):
    """The package is not installed, or gentoomuch has recorded nothing about it."""

    code = "nothing-recorded"
    status = 70

    def __init__(self, what: str, cpv: str, *, installed: bool) -> None:
        message = f"{cpv} has no record {what!r}: built without gentoomuch" if installed else f"{cpv} is not installed"
        super().__init__(message, hint="gentoomuch hooks enable record" if installed else "")


_OWN = "# gentoomuch hooks enable {name} wrote this file, gentoomuch hooks disable {name} removes it\n"


@dataclass(frozen=True, slots=True)
class HookState:
    """A hook and its state on this host."""

    hook: Hook
    state: str
    """``enabled``, ``disabled``, ``changed`` (a file was edited or removed) or ``taken`` (a user's own file exists)."""
    where: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class _Written:
    files: dict[str, str]
    """Path -> SHA-256 of the written content."""
    folders: tuple[str, ...]
    """Created directories, the deepest first."""
    command: str = ""
    """The program that the hook starts."""
    profile: str = ""


def find_hook(name: str) -> Hook:
    """Return the hook of a name.

    Raises:
        UsageError[unknown-hook]: it does not exist.
    """
    for hook in ALL:
        if hook.name == name:
            return hook
    raise unknown_hook(name, (hook.name for hook in ALL))


def load_states(settings: Settings, places: Places) -> Iterator[HookState]:
    """Generate all hooks with their state."""
    for hook in ALL:
        yield HookState(hook, state(settings, hook, places), hook.where(places))


def state(settings: Settings, hook: Hook, places: Places) -> str:
    """Return the state of a hook.

    Raises:
        BadFile: its record is invalid.
    """
    written = _read(settings, hook)
    existing = [path for path in hook.where(places) if path.exists() or path.is_symlink()]
    if not written.files:
        return "taken" if existing else "disabled"
    return "changed" if _find_changed(written) else "enabled"


def find_hooks_of(settings: Settings, profile: str) -> list[str]:
    """Return the names of hooks that were enabled for a profile.

    Raises:
        BadFile: the record of a hook is invalid.
    """
    return [hook.name for hook in ALL if _read(settings, hook).profile == profile]


def find_problem(settings: Settings, hook: Hook, places: Places, profiles: Container[str]) -> tuple[str, str]:
    """Return the problem of an enabled hook and a hint; two empty strings if there is none.

    Args:
        profiles: names of all profiles.

    Raises:
        BadFile: its record is invalid.
    """
    written = _read(settings, hook)
    again = f"gentoomuch hooks enable {hook.name}"
    if changed := _find_changed(written):
        existing = [str(path) for path in changed if path.exists() or path.is_symlink()]
        problem = f"{existing[0]} was edited" if existing else f"{changed[0]} was removed"
        return problem, f"rm {' '.join(existing)}, then: {again}" if existing else again
    if written.profile and written.profile not in profiles:
        return f"its profile {written.profile!r} does not exist", again
    if written.profile:
        again += f" --profile {shlex.quote(written.profile)}"
    starts = any("@GENTOOMUCH@" in template(name) for name, _, _ in hook.files)
    if starts and written.command and not os.access(written.command, os.X_OK):
        return f"its program {written.command} does not exist", again
    if written.files and written.files != _digests(_texts(hook, places, Path(written.command), written.profile)):
        return "it was enabled by another version", f"gentoomuch hooks disable {hook.name}, then: {again}"
    return "", ""


def _find_changed(written: _Written) -> list[Path]:
    """Find files that were changed or removed."""
    return [Path(path) for path, digest in written.files.items() if _digest(Path(path)) != digest]


def _texts(hook: Hook, places: Places, command: Path, profile: str) -> dict[Path, str]:
    return {path: _text(hook, name, command, profile) for (name, _, _), path in _pairs(hook, places)}


def _digests(texts: Mapping[Path, str]) -> dict[str, str]:
    return {str(path): hashlib.sha256(text.encode()).hexdigest() for path, text in texts.items()}


def enable(settings: Settings, hook: Hook, places: Places, *, command: Path, profile: str = "") -> tuple[Path, ...]:
    """Write the files of a hook; its previous files are replaced.

    Args:
        command: the program ``gentoomuch``, which the hook starts.
        profile: of the hook; empty for none.

    Raises:
        ConfigError[hook-taken]: a file exists that gentoomuch has not written, or that was edited.
        NoPrivilege: this user cannot write there.
    """
    before = _read(settings, hook)
    texts = _texts(hook, places, command, profile)
    for path, text in texts.items():
        obstacle = _find_obstacle(path, before.files.get(str(path)))
        if obstacle:
            raise hook_taken(hook.name, obstacle, _manual_hint(hook, obstacle, text))
    _check_writable(texts)
    folders = tuple(dict.fromkeys([*before.folders, *_missing(texts)]))
    _write(settings, hook, _Written(_digests(texts), folders, str(command), profile))
    for (_, _, program), path in _pairs(hook, places):
        path.parent.mkdir(parents=True, exist_ok=True)
        fs.write(path, texts[path])
        path.chmod(0o755 if program else 0o644)
    return tuple(texts)


def _check_writable(paths: Iterable[Path]) -> None:
    """Check that all files can be written, before any is.

    Raises:
        NoPrivilege: one cannot be written.
    """
    for path in paths:
        fs.check_writable(path.parent)


def disable(settings: Settings, hook: Hook) -> tuple[Path, ...]:
    """Remove the files of a hook, and its created directories if they are empty.

    Raises:
        ConfigError[hook-changed]: a file was edited.
    """
    written = _read(settings, hook)
    files = tuple(Path(path) for path in written.files)
    for path, digest in written.files.items():
        if Path(path).exists() and _digest(Path(path)) != digest:
            raise hook_changed(hook.name, Path(path))
    for file in files:
        file.unlink(missing_ok=True)
    for folder in map(Path, written.folders):
        shutil.rmtree(folder / "__pycache__", ignore_errors=True)  # of emaint's imported module
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    _record(settings, hook).unlink(missing_ok=True)
    return files


def _pairs(hook: Hook, places: Places) -> Iterator[tuple[tuple[str, object, bool], Path]]:
    return zip(hook.files, hook.where(places), strict=True)


def _text(hook: Hook, name: str, command: Path, profile: str) -> str:
    text = template(name)
    values = {"GENTOOMUCH": shlex.quote(str(command)), "PROFILE": shlex.quote(profile) if profile else ""}
    values["OPTION_PROFILE"] = f"--profile {values['PROFILE']}" if profile else ""
    for name_of_value, value in values.items():
        text = text.replace(f" @{name_of_value}@", f" {value}" if value else "").replace(f"@{name_of_value}@", value)
    head, _, rest = text.partition("\n")
    own = _OWN.format(name=hook.name)
    return f"{head}\n{own}{rest}" if head.startswith("#!") else f"{own}{text}"


def _find_obstacle(path: Path, digest: str | None) -> Path | None:
    """Find a file that must not be overwritten, or None."""
    for above in path.parents:
        if above.exists() and not above.is_dir():
            return above
    exists = path.exists() or path.is_symlink()
    return path if exists and (digest is None or _digest(path) != digest) else None


def _manual_hint(hook: Hook, taken: Path, text: str) -> str:
    """Return how to add a hook to a user's own file."""
    if hook.name == "bashrc":
        return f"gentoomuch hooks text bashrc >{taken}.gentoomuch, and in {taken}: source {taken}.gentoomuch"
    return f"gentoomuch hooks text {hook.name} >>{taken}" if text else ""


def text(hook: Hook, *, command: Path, profile: str = "") -> str:
    """Return the content of a hook's first file, for manual use."""
    return _text(hook, hook.files[0][0], command, profile)


def _missing(paths: dict[Path, str]) -> list[str]:
    """Return the directories to create, the deepest first."""
    missing = {folder for path in paths for folder in path.parents if not folder.exists()}
    return [str(folder) for folder in sorted(missing, key=lambda folder: -len(folder.parts))]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() and not path.is_symlink() else ""


def _record(settings: Settings, hook: Hook) -> Path:
    return settings.state / "hooks" / f"{hook.name}.json"


def _read(settings: Settings, hook: Hook) -> _Written:
    place = _record(settings, hook)
    return stored.load(place, _parse_record, "the record of a hook", hint=stored.removal_command(place)) or _Written(
        {}, ()
    )


def _parse_record(text: str) -> _Written:
    """Parse a record of a hook.

    Raises:
        ValueError, TypeError, KeyError: it is invalid.
    """
    content = json.loads(text)
    written = _Written(**{**content, "files": dict(content["files"]), "folders": tuple(content["folders"])})
    texts = (*written.files, *written.files.values(), *written.folders, written.command, written.profile)
    if not all(isinstance(value, str) for value in texts):
        raise TypeError("not a record")
    return written


def _write(settings: Settings, hook: Hook, written: _Written) -> None:
    place = _record(settings, hook)
    fs.write(place, json.dumps(asdict(written), indent=2) + "\n")


def find_places(settings: Settings) -> Places:
    """Return the directories of this host."""
    return Places(settings.host, Path(portage_paths.eprefix() or "/"), portage_paths.emaint_modules())
