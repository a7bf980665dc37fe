# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch profile set-key`` and ``gentoomuch profile rename``."""

import argparse
import json
import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gentoomuch_portage import console, fs
from gentoomuch_portage.cli.errors import profile_exists, unknown_key
from gentoomuch_portage.cli.output import report_fallback_state
from gentoomuch_portage.cli.parser import Parser
from gentoomuch_portage.config import edit, schema
from gentoomuch_portage.config import profile as config_profile
from gentoomuch_portage.config.schema import Key
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import UsageError, cannot_write, unknown_profile
from gentoomuch_portage.startup import LazyModule

if TYPE_CHECKING:
    from gentoomuch_portage.containers import root_lock
    from gentoomuch_portage.portage_hooks import install
    from gentoomuch_portage.roots import manage
else:
    install = LazyModule("gentoomuch_portage.portage_hooks.install")
    root_lock = LazyModule("gentoomuch_portage.containers.root_lock")
    manage = LazyModule("gentoomuch_portage.roots.manage")

_CACHES = ("binhosts", "rejected", "logs")
"""Directories below the cache with a directory for each profile."""


def bad_value(name: str, key: Key, wrong: object, what: str, example: str) -> UsageError:
    """The value for ``profile set-key`` is not valid for the key."""
    hint = f"gentoomuch config {key.name} --profile {name}"
    if " = " in example:
        value = example.partition(" = ")[2].strip('"').replace("NAME", name)
        value = value if schema.find_error(key.name, key, [wrong]) else json.dumps([wrong])
        hint = f"gentoomuch profile set-key {name} {key.name} {shlex.quote(value)}"
    return UsageError(f"{key.name} = {wrong!r} is {what}", code="bad-value", hint=hint)


def name_in_use(path: Path) -> UsageError:
    """A file or directory has the new name of a profile already, for example the state of a removed profile."""
    hint = f"ls -ld {shlex.quote(str(path))}"
    return UsageError(f"cannot rename the profile: {path} exists already", code="name-in-use", hint=hint)


def add_set_key_arguments(parser: Parser) -> None:
    """Add the arguments of ``set-key``."""
    parser.add_argument("name", metavar="NAME", help="profile")
    parser.add_argument("key", metavar="KEY", help="key: cpu, or binpkg.use for a key in a table")
    parser.add_argument("value", metavar="VALUE", help="value as in TOML; a string needs no quotes")


def set_key(settings: Settings, name: str, key_name: str, text: str) -> tuple[Path, bool]:
    """Set a key of a profile. An invalid value changes nothing.

    Args:
        text: the value as in TOML; for a string, quotes are optional.

    Returns:
        The file of the profile, and whether it changed.

    Raises:
        UsageError[unknown-profile], UsageError[unknown-key], UsageError[bad-value]: an argument is wrong.
        BadFile, BadFile[bad-setting]: the file is not valid, or this machine does not allow the value.
    """
    file = find_file(settings, name)
    keys = {key.name: key for key in schema.PROFILE_KEYS}
    if key_name not in keys:
        raise unknown_key(key_name, keys, f"gentoomuch profile set-key {name} {{}} {shlex.quote(text)}")
    key = keys[key_name]
    value = _parse_value(key, text)
    if error := schema.find_error(key_name.rpartition(".")[2], key, value):
        raise bad_value(name, key, *error)
    config_profile.read(settings, name)
    *tables, last = key_name.split(".")
    new = {tables[0]: {last: value}} if tables else {last: value}
    config_profile.merge_defaults(settings, file, new)
    return file, edit.set_key(file, key_name, value)


def _parse_value(key: Key, text: str) -> Any:
    """Parse a value as TOML; a text that is not TOML, or not for a key with strings, is a string."""
    parsed = schema.parse_lines([f"value = {text}"])
    value = parsed["value"] if parsed is not None and parsed.keys() == {"value"} else text
    wants_string = key.type is str or (isinstance(key.type, tuple) and all(isinstance(kind, str) for kind in key.type))
    return text if wants_string and not isinstance(value, str) else value


def find_file(settings: Settings, name: str) -> Path:
    """Return the file of a profile.

    Raises:
        ConfigError[bad-name], ConfigError[taken-name], UsageError[unknown-profile]: no profile has this name.
    """
    file = settings.config / "profiles" / f"{config_profile.valid(name, 'profile')}.toml"
    if not file.is_file():
        raise unknown_profile(name, config_profile.names(settings))
    return file


def add_rename_arguments(parser: Parser) -> None:
    """Add the arguments of ``rename``."""
    parser.add_argument("name", metavar="NAME", help="profile")
    parser.add_argument("new", metavar="NEW", help="new name of the profile")


def rename(settings: Settings, args: argparse.Namespace) -> int:
    """Rename a profile with its state, its caches and its commands NAME-emerge: all of them, or none.

    The new file is a hard link to the old one until all others have their new names. So both profiles are valid after a
    power failure, and the same command completes the renaming.

    Raises:
        UsageError[profile-exists], UsageError[name-in-use]: a profile, or the state of a removed one, has the new name.
        Busy: a run uses the profile or one of its fresh roots.
    """
    old, new = args.name, config_profile.valid(args.new, "profile")
    file = find_file(settings, old)
    target = file.with_name(f"{new}.toml")
    interrupted = target.exists() and target.samefile(file)
    state = settings.state / old
    pairs = [(state, settings.state / new), *_find_commands(old, new)]
    pairs += [(settings.cache / part / old, settings.cache / part / new) for part in _CACHES]
    if old == new or (target.exists() and not interrupted):
        raise profile_exists(new, target)
    for source, destination in pairs:
        if os.path.lexists(destination) and not (interrupted and not os.path.lexists(source)):
            raise name_in_use(destination)
    with ExitStack() as locks:
        locks.enter_context(fs.locked(file.with_name(f".{file.name}.lock")))
        if state.is_dir():
            manage.check_unmounted(state)
            for folder in (state, *(state / "roots" / root for root in manage.kept_roots(settings, old))):
                locks.enter_context(root_lock.exclusive(folder))
        _rename_all(settings, file, target, pairs)
    fs.unlink(file.with_name(f".{file.name}.lock"))
    if not args.quiet:
        console.info(f"renamed profile {old} to {new}: {target}")
        report_fallback_state(settings)
    for hook in install.find_hooks_of(settings, old):
        console.warning(f"the hook {hook} uses the old name; run: gentoomuch hooks enable {hook} --profile {new}")
    return 0


def _find_commands(old: str, new: str) -> Iterator[tuple[Path, Path]]:
    """Yield the links OLD-emerge to gm-emerge in PATH, each with its new name."""
    for folder in dict.fromkeys(os.environ.get("PATH", "").split(":")):
        link = Path(folder, f"{old}-emerge")
        if folder and link.is_symlink() and link.resolve().name == "gm-emerge":
            yield link, link.with_name(f"{new}-emerge")


def _rename_all(settings: Settings, file: Path, target: Path, pairs: list[tuple[Path, Path]]) -> None:
    """Rename the file of a profile and all that has its name; undo everything after an error.

    Raises:
        NoPrivilege, MachineError[disk-full], ReadOnly: something cannot be renamed.
    """
    with ExitStack() as undo:
        if not target.exists():
            _change(os.link, file, target)
            undo.callback(fs.unlink, target)
        for source, destination in pairs:
            if os.path.lexists(source):
                _change(os.rename, source, destination)
                undo.callback(os.rename, destination, source)
        if settings.chosen == file.stem:
            fs.write(settings.state / "profile", f"{target.stem}\n")
            undo.callback(fs.write, settings.state / "profile", f"{file.stem}\n")
        fs.unlink(file)
        undo.pop_all()


def _change(change: Callable[[Path, Path], None], source: Path, destination: Path) -> None:
    """Link or rename a path.

    Raises:
        NoPrivilege, MachineError[disk-full], ReadOnly: the system does not allow it.
    """
    try:
        change(source, destination)
    except OSError as error:
        raise cannot_write(source, error, verb="rename") from error
