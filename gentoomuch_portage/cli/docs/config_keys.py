"""The keys of our TOML files: what they take, by the schema; what stands where they are left out; what they mean."""

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gentoomuch_portage.binhost.client import config
from gentoomuch_portage.config import profile
from gentoomuch_portage.config import schema as config_schema
from gentoomuch_portage.config.settings import Settings

MEANING: Mapping[str, str] = {
    "make_profile": "Gentoo's profile: `default/linux/...` or `repo:path`; left out with `base = \"host\"`, the host's",
    "base": "what the layers are laid on: the host's `/etc/portage`, or nothing",
    "cpu": "a `-march` name of GCC, a psABI level as `x86-64-v3`, or `native`; for C, Rust, Go and CPU_FLAGS_*",
    "layers": "pieces of `/etc/portage` below `layers/`, in order; a later one wins, incremental variables add up",
    "patches": "patch sets below `patches/`, in order",
    "root": "Portage's ROOT, an absolute path; any other than `/` is a machine of its own",
    "isolation": "where packages are built",
    "emerge": "words put before the user's",
    "unmask.keywords": "`~arch` may be unmasked without asking",
    "unmask.live": "`**` and live ebuilds",
    "unmask.use": "USE flags that a package asks for",
    "unmask.license": "licences",
    "unmask.mask": "what package.mask holds back",
    "binpkg.build": "keep a binary package of all that is built",
    "binpkg.use": "take binary packages instead of building (`--usepkg`)",
    "binpkg.remote": "ask binhosts as well (`--getbinpkg`)",
    "binpkg.unknown": "what becomes of a binary package that does not tell its flags",
    "binpkg.prefer": "which of those that run here is taken: the newest, or the one built for a CPU closest to `cpu`",
    "binpkg.audit": "read the machine code of packages before they are merged and after they are built",
    "binpkg.sign": "sign what is built, with the key of `gentoomuch binhost key`",
    "container.processes": "how many processes a build may have; 0 for as many as the host allows",
    "container.disk": "how much a build may write, as `20G`; empty for as much as there is",
    "container.kernel": "the file of the Linux that a virtual machine boots; empty for one of the host's",
    "strict": "a plugin that cannot be imported ends the run",
    "paths.state": "where state is kept; relative to the configuration directory",
    "paths.cache": "where what can be made again is kept",
    "binhost.*.cpu": "what all its packages were built for, where they do not tell",
    "binhost.*.key": "fingerprint of the key that its packages and its index are signed with",
    "binhost.*.priority": "of several that have a package, the highest is asked",
    "binhost.*.fallback": "go on without it where it is silent or a package of it is refused",
    "binhost.*.timeout": "seconds to wait for it",
    "binhost.*.index": "whether its index has to be signed too",
}  # fmt: skip
"""Table and key, parted by dots -> what it says, in Markdown."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a TOML file."""

    name: str
    """With the tables around it: ``binpkg.use``."""
    takes: str
    """Its type, or what there is to choose from, in Markdown."""
    default: str
    """As TOML writes it; empty where there is none."""
    meaning: str


def of_profiles() -> tuple[Key, ...]:
    """The keys of ``profiles/NAME.toml``."""
    return tuple(_keys(config_schema.PROFILE, _defaults()))


def of_gentoomuch() -> tuple[Key, ...]:
    """Those that ``gentoomuch.toml`` has beside the keys of a profile."""
    own = {key: value for key, value in config_schema.DEFAULTS.items() if key not in config_schema.PROFILE}
    [plain] = config.policies(_settings(binhost={"https://example.org": {"key": "0" * 40}}))
    binhost = {"priority": plain.priority, "fallback": plain.fallback, "timeout": plain.timeout}
    told = {
        "strict": _settings().strict,
        "paths": {"state": "/var/lib/gentoomuch", "cache": "/var/cache/gentoomuch"},
        "binhost": {"*": {**binhost, "index": "signed" if plain.signed else "plain"}},
    }
    return tuple(_keys(own, told))


def _settings(**defaults: Any) -> Settings:
    nowhere = Path("/")
    return Settings(config=nowhere, state=nowhere, cache=nowhere, host=nowhere, defaults=defaults)


def _defaults() -> Mapping[str, Any]:
    """What a profile without a line comes to."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "profiles").mkdir()
        (Path(folder) / "profiles/plain.toml").touch()
        return profile.read(_settings()._replace(config=Path(folder)), "plain")._asdict()


def _keys(schema: Mapping[str, Any], told: Mapping[str, Any], table: tuple[str, ...] = ()) -> Iterator[Key]:
    for key, wanted in schema.items():
        path = (*table, key)
        if isinstance(wanted, dict):
            yield from _keys(wanted, told.get(key, {}), path)
        else:
            yield Key(".".join(path), _takes(wanted), _written(told.get(key, "")), MEANING[".".join(path)])


def _takes(wanted: object) -> str:
    """A type, or what may be chosen, for people."""
    match wanted:
        case type():
            return {str: "a string", bool: "`true` or `false`", int: "a whole number"}[wanted]
        case [_]:
            return "a list of strings"
        case tuple():
            return ", ".join(f'`"{one}"`' if isinstance(one, str) else _takes(one) for one in wanted)
    raise TypeError(f"no such type in a schema: {wanted!r}")


def _written(value: object) -> str:
    match value:
        case "":
            return ""
        case bool():
            return str(value).lower()
        case tuple():
            return "[]"
        case Path() | str():
            return f'"{value}"'
    return str(value)
