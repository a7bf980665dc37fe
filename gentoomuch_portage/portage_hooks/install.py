"""Hooks switched on and off: what we wrote is known by its digest, and nothing else is overwritten or removed.

Where this host has what Portage reads.

What can be wrong when a hook is switched on or off.
"""

import hashlib
import json
import os
import shlex
import shutil
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from gentoomuch_portage import fs
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import BadFile, ConfigError, NoPrivilege, RunError, UsageError, listed, nearest
from gentoomuch_portage.portage_adapter import emerge
from gentoomuch_portage.portage_hooks.catalog import ALL, Hook, Places, template


class UnknownHook(UsageError):
    """There is no hook of that name."""

    code = "unknown-hook"

    def __init__(self, name: str, known: Iterable[str]) -> None:
        known = list(known)
        near = nearest(name, known)
        super().__init__(
            f"there is no hook {name!r} {listed(known)}",
            remedy=f"gentoomuch hooks enable {near}" if near else "gentoomuch hooks ls",
        )


class HookTaken(ConfigError):
    """Where the file of a hook would be is a file that is not ours."""

    code = "hook-taken"

    def __init__(self, name: str, file: Path, line: str) -> None:
        super().__init__(f"{file} is yours, and hook {name!r} would overwrite it", remedy=line)


class HookChanged(ConfigError):
    """The file of a hook is no longer what we wrote."""

    code = "hook-changed"

    def __init__(self, name: str, file: Path) -> None:
        super().__init__(f"{file} of hook {name!r} was edited since, so it is yours", remedy=f"rm {file}")


class NothingRecorded(RunError):
    """An installed package does not tell what it is asked for, or is not installed."""

    code = "nothing-recorded"
    status = 70

    def __init__(self, what: str, cpv: str, *, installed: bool) -> None:
        told = f"{cpv} does not tell {what!r}: it was built without gentoomuch" if installed else ""
        super().__init__(told or f"{cpv} is not installed", remedy="gentoomuch hooks enable record" if told else "")


_OWN = "# gentoomuch hooks enable {name} wrote this file, gentoomuch hooks disable {name} removes it\n"


@dataclass(frozen=True, slots=True)
class Standing:
    """A hook on this host."""

    hook: Hook
    state: str
    """``enabled``, ``disabled``, ``changed`` (edited or removed since) or ``taken`` (a file of the user's own)."""
    where: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class _Written:
    files: dict[str, str]
    """Path -> SHA-256 of what we wrote."""
    folders: tuple[str, ...]
    """Those that we made, the deepest first."""
    command: str = ""
    """The program that the hook starts."""
    profile: str = ""


def named(name: str) -> Hook:
    """The hook of a name.

    Raises:
        UnknownHook: there is none.
    """
    for hook in ALL:
        if hook.name == name:
            return hook
    raise UnknownHook(name, (one.name for one in ALL))


def standing(settings: Settings, places: Places) -> Iterator[Standing]:
    """Every hook, and how it stands here."""
    for hook in ALL:
        yield Standing(hook, state(settings, hook, places), hook.where(places))


def state(settings: Settings, hook: Hook, places: Places) -> str:
    """How one hook stands here.

    Raises:
        BadFile: what we noted down of it cannot be read.
    """
    written = _read(settings, hook)
    there = [path for path in hook.where(places) if path.exists() or path.is_symlink()]
    if not written.files:
        return "taken" if there else "disabled"
    return "changed" if _altered(written) else "enabled"


def ailing(settings: Settings, hook: Hook, places: Places, profiles: Container[str]) -> tuple[str, str]:
    """What is wrong with a hook that was enabled, and what mends it; both empty where nothing is.

    Args:
        profiles: the names that there are.

    Raises:
        BadFile: what we noted down of it cannot be read.
    """
    written = _read(settings, hook)
    again = f"gentoomuch hooks enable {hook.name}"
    if altered := _altered(written):
        there = [str(path) for path in altered if path.exists() or path.is_symlink()]
        told = f"{there[0]} was edited since" if there else f"{altered[0]} was removed since"
        return told, f"rm {' '.join(there)}, then: {again}" if there else again
    if written.profile and written.profile not in profiles:
        return f"it is told that this machine is {written.profile!r}, a profile that there is not", again
    if written.profile:
        again += f" --profile {shlex.quote(written.profile)}"
    starts = any("@GENTOOMUCH@" in template(name) for name, _, _ in hook.files)
    if starts and written.command and not os.access(written.command, os.X_OK):
        return f"it starts {written.command}, which is not there", again
    if written.files and written.files != _digests(_texts(hook, places, Path(written.command), written.profile)):
        return "it was enabled by another version", f"gentoomuch hooks disable {hook.name}, then: {again}"
    return "", ""


def _altered(written: _Written) -> list[Path]:
    """The files that are no longer as we wrote them."""
    return [Path(path) for path, digest in written.files.items() if _digest(Path(path)) != digest]


def _texts(hook: Hook, places: Places, command: Path, profile: str) -> dict[Path, str]:
    return {path: _text(hook, name, command, profile) for (name, _, _), path in _pairs(hook, places)}


def _digests(texts: Mapping[Path, str]) -> dict[str, str]:
    return {str(path): hashlib.sha256(text.encode()).hexdigest() for path, text in texts.items()}


def enable(settings: Settings, hook: Hook, places: Places, *, command: Path, profile: str = "") -> tuple[Path, ...]:
    """Write the files of a hook; what was written before is written anew.

    Args:
        command: the program ``gentoomuch``, which the hook starts.
        profile: what the hook is told as its profile; empty: none.

    Raises:
        HookTaken: a file is there that we did not write, or no longer as we wrote it.
        NoPrivilege: this user may not write there.
    """
    before = _read(settings, hook)
    texts = _texts(hook, places, command, profile)
    for path, text in texts.items():
        taken = _taken(path, before.files.get(str(path)))
        if taken:
            raise HookTaken(hook.name, taken, _line(hook, taken, text))
    _check(texts)
    folders = tuple(dict.fromkeys([*before.folders, *_missing(texts)]))
    _write(settings, hook, _Written(_digests(texts), folders, str(command), profile))
    for (_, _, program), path in _pairs(hook, places):
        path.parent.mkdir(parents=True, exist_ok=True)
        fs.write(path, texts[path])
        path.chmod(0o755 if program else 0o644)
    return tuple(texts)


def _check(paths: Iterable[Path]) -> None:
    """See to it that all can be written, before anything is.

    Raises:
        NoPrivilege: one cannot.
    """
    for path in paths:
        above = next(folder for folder in path.parents if folder.exists())
        if not os.access(above, os.W_OK):
            raise NoPrivilege(f"{above} cannot be written by this user", remedy="run it as the owner of that folder")


def disable(settings: Settings, hook: Hook) -> tuple[Path, ...]:
    """Remove what was written, and the folders that were made for it, where nothing else lies in them.

    Raises:
        HookChanged: a file is no longer what we wrote.
    """
    written = _read(settings, hook)
    gone = tuple(Path(path) for path in written.files)
    for path, digest in written.files.items():
        if Path(path).exists() and _digest(Path(path)) != digest:
            raise HookChanged(hook.name, Path(path))
    for file in gone:
        file.unlink(missing_ok=True)
    for folder in map(Path, written.folders):
        shutil.rmtree(folder / "__pycache__", ignore_errors=True)  # of emaint's module, once it was imported
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    _record(settings, hook).unlink(missing_ok=True)
    return gone


def _pairs(hook: Hook, places: Places) -> Iterator[tuple[tuple[str, object, bool], Path]]:
    return zip(hook.files, hook.where(places), strict=True)


def _text(hook: Hook, name: str, command: Path, profile: str) -> str:
    text = template(name)
    words = {"GENTOOMUCH": shlex.quote(str(command)), "PROFILE": shlex.quote(profile) if profile else ""}
    words["OPTION_PROFILE"] = f"--profile {words['PROFILE']}" if profile else ""
    for word, value in words.items():
        text = text.replace(f" @{word}@", f" {value}" if value else "").replace(f"@{word}@", value)
    head, _, rest = text.partition("\n")
    own = _OWN.format(name=hook.name)
    return f"{head}\n{own}{rest}" if head.startswith("#!") else f"{own}{text}"


def _taken(path: Path, ours: str | None) -> Path | None:
    """The file in the way of one that is to be written, or None."""
    for above in path.parents:
        if above.exists() and not above.is_dir():
            return above
    there = path.exists() or path.is_symlink()
    return path if there and (ours is None or _digest(path) != ours) else None


def _line(hook: Hook, taken: Path, text: str) -> str:
    """What to do by hand where a file is the user's own."""
    if hook.name == "bashrc":
        return f"gentoomuch hooks text bashrc >{taken}.gentoomuch, and in {taken}: source {taken}.gentoomuch"
    return f"gentoomuch hooks text {hook.name} >>{taken}" if text else ""


def text(hook: Hook, *, command: Path, profile: str = "") -> str:
    """What a hook's first file says, for who puts it elsewhere."""
    return _text(hook, hook.files[0][0], command, profile)


def _missing(paths: dict[Path, str]) -> list[str]:
    """The folders that have to be made, the deepest first."""
    found = {folder for path in paths for folder in path.parents if not folder.exists()}
    return [str(folder) for folder in sorted(found, key=lambda one: -len(one.parts))]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() and not path.is_symlink() else ""


def _record(settings: Settings, hook: Hook) -> Path:
    return settings.state / "hooks" / f"{hook.name}.json"


def _read(settings: Settings, hook: Hook) -> _Written:
    place = _record(settings, hook)
    try:
        told = json.loads(place.read_text(encoding="utf-8"))
        return _Written(**{**told, "files": dict(told["files"]), "folders": tuple(told["folders"])})
    except FileNotFoundError:
        return _Written({}, ())
    except (ValueError, KeyError, TypeError) as error:
        raise BadFile(place, 0, "this is no record of a hook", remedy=f"rm {place}") from error


def _write(settings: Settings, hook: Hook, written: _Written) -> None:
    place = _record(settings, hook)
    fs.write(place, json.dumps(asdict(written), indent=2) + "\n")


def here(settings: Settings) -> Places:
    """The places of the host that we run on."""
    return Places(settings.host, Path(emerge.eprefix() or "/"), emerge.emaint_modules())
