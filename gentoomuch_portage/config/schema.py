# SPDX-License-Identifier: GPL-2.0-or-later
"""The keys of our TOML files: one row for each key; checks, defaults, templates and pages are derived from the rows."""

import json
import re
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from gentoomuch_portage.config import isolation_kinds
from gentoomuch_portage.errors import BadFile, listed, nearest, unreadable
from gentoomuch_portage.startup import LazyModule

if TYPE_CHECKING:
    import tomllib
else:
    tomllib = LazyModule("tomllib")  # gm-emerge without a profile reads no TOML


class IsolationKinds(tuple[str, ...]):
    """Kinds of containers to choose from: these, and those of other distributions.

    ``docker`` is accepted here, because it is rejected later with the reason.
    """

    __slots__ = ()

    def __contains__(self, kind: object) -> bool:
        return super().__contains__(kind) or kind == isolation_kinds.DOCKER or kind in isolation_kinds.names()


class Key(NamedTuple):
    """One key of a TOML file."""

    name: str
    """With the tables around it: ``binpkg.use``. ``*`` matches any name of a table."""
    type: Any
    """``str``, ``bool`` or ``int``; ``[str]`` for a list of strings; a tuple of strings or types to choose from."""
    default: Any
    """The value if no file sets the key. An empty string means that the key is not set."""
    help: str
    """One line for people, in Markdown."""
    unit: str = ""
    """What a number counts: ``seconds``."""
    example: Any = ""
    """A value for the template and for hints, where the default shows nothing."""
    pattern: str = ""
    """A regular expression that a string, or each string of a list, has to match."""
    rule: str = ""
    """What the pattern means: ``a size``."""
    minimum: int | None = None
    """The smallest number."""


_NAME = r"[A-Za-z0-9_][A-Za-z0-9+_.-]*"
_PACKAGE_NAME = r"[A-Za-z0-9_]([A-Za-z0-9+_-]*[A-Za-z0-9+_])?"
_VERSION = r"[0-9]+(\.[0-9]+)*[a-z]?(_(pre|p|beta|alpha|rc)[0-9]*)*(-r[0-9]+)?"
_UNVERSIONED = rf"{_NAME}/(?![A-Za-z0-9+_-]*-{_VERSION}([:\[]|\Z)){_PACKAGE_NAME}"
_VERSIONED = rf"{_NAME}/(?![A-Za-z0-9+_-]*-{_VERSION}-[0-9]){_PACKAGE_NAME}-{_VERSION}"
_FLAG = r"-?[A-Za-z0-9][A-Za-z0-9+_@-]*(\([+-]\))?"
PACKAGE = (
    rf"@[A-Za-z0-9_][A-Za-z0-9_.+/-]*|({_UNVERSIONED}|([<>]=?|[=~]){_VERSIONED}|={_VERSIONED}\*)"
    rf"(:[A-Za-z0-9_][A-Za-z0-9+_.-]*(/[A-Za-z0-9_][A-Za-z0-9+_.-]*)?)?(::[A-Za-z0-9_][A-Za-z0-9_-]*)?"
    rf"(\[{_FLAG}(,{_FLAG})*\])?"
)
"""An atom with a category, or a set. Source: PMS, "Package dependency specifications"; ``::REPOSITORY``: ebuild(5)."""
_UNMASK = (bool, [str])
PROFILE_KEYS = (
    Key(
        "make_profile", str, "", "Gentoo profile, or `repo:path`; default: the host's",
        example="default/linux/amd64/23.0",
    ),
    Key("base", ("host", "none"), "host", "what the layers are applied to; `host`: its `/etc/portage`"),
    Key(
        "cpu", str, "", "GCC `-march` name, psABI level or `native`; default: flags of the layers",
        example="x86-64-v3",
    ),
    Key("layers", [str], (), "directories below `layers/`, in order; a later layer overrides an earlier one"),
    Key("patches", [str], (), "patch sets: directories below `patches/`, in order"),
    Key(
        "packages", [str], (), "atoms and sets to install: with `sets/machine` of the layers, the set `@machine`",
        example=["@server", "app-editors/vim"], pattern=PACKAGE, rule="category/package, another atom, or @SET",
    ),
    Key(
        "root", str, "/", "Portage's ROOT, an absolute path; any other than `/` is a machine of its own",
        example="/srv/roots/NAME", pattern=r"/.*", rule="an absolute path",
    ),
    Key("snapshots", int, 0, "automatic snapshots of the root to keep, one before each run that changes it; 0: none",
        unit="snapshots", minimum=0),
    Key(
        "isolation", IsolationKinds(isolation_kinds.CHOICES), isolation_kinds.NONE,
        "container in which packages are built",
    ),
    Key(
        "emerge", [str], (), "options of emerge, placed before those of the command line",
        example=["--quiet-build=y"], pattern=r"(?!--gm-).*", rule="an option of emerge",
    ),
    Key("unmask.keywords", _UNMASK, True, "unmask `~arch` versions"),
    Key("unmask.live", _UNMASK, False, "unmask `**` keywords and live ebuilds"),
    Key("unmask.use", _UNMASK, True, "change USE flags that a dependency requires"),
    Key("unmask.license", _UNMASK, False, "accept licenses"),
    Key("unmask.mask", _UNMASK, False, "unmask entries of `package.mask`"),
    Key("binpkg.build", bool, True, "keep a binary package of everything that is built"),
    Key("binpkg.use", bool, True, "use binary packages instead of building (`--usepkg`)"),
    Key("binpkg.remote", bool, False, "use packages of binhosts as well (`--getbinpkg`)"),
    Key("binpkg.unknown", ("reject", "accept"), "reject", "binary packages whose build flags are unknown"),
    Key("binpkg.audit", bool, False, "scan machine code before a package is merged and after it is built"),
    Key("binpkg.sign", bool, False, "sign new packages with the key of `gentoomuch binhost key`"),
    Key(
        "binpkg.prefer", ("newest", "fastest"), "newest",
        "which compatible package is used; `fastest`: closest to `cpu`",
    ),
    Key("container.processes", int, 0, "limit of processes in a build; 0: no limit", unit="processes", minimum=0),
    Key(
        "container.disk", str, "", "limit of data that a build writes; default: no limit",
        unit="bytes, or with K, M, G, T", example="20G", pattern=r"([1-9][0-9]*[KMGT]?)?", rule="a size",
    ),
    Key("container.kernel", str, "", "Linux image that a virtual machine boots; default: one of the host's",
        example="/boot/vmlinuz"),
    Key(
        "container.show", [str], (), "additional files and directories of the host that a build may read",
        example=["/opt/vendor"],
    ),
    Key(
        "image.formats", [str], (), "files that `gentoomuch image build` writes: `tar`, `oci`, `oci-dir`, `squashfs`",
        example=["oci"], pattern="tar|oci|oci-dir|squashfs", rule="tar, oci, oci-dir or squashfs",
    ),
    Key("image.parent", str, "", "profile whose image is the base of this one", example="base"),
    Key(
        "image.packages", [str], (), "atoms and sets to install; default: `@system` and `@machine`",
        example=["app-editors/vim"], pattern=PACKAGE, rule="category/package, another atom, or @SET",
    ),
    Key("image.files", [str], (), "directories below `images/` whose content is copied into the image",
        example=["server"]),
    Key("image.run", [str], (), "programs below `images/`, run in the image without network", example=["finish.sh"]),
    Key(
        "image.remove", [str], (), "paths to remove at the end; `*` and `?` also match `/`",
        example=["/usr/share/doc/*"], pattern=r"[/*].+", rule="an absolute path, or a pattern",
    ),
    Key("image.test", [str], (), "programs below `images/`, run in a copy of the image; one that fails stops the build",
        example=["smoke.sh"]),
    Key("image.entrypoint", [str], (), "program of a container, with arguments", example=["/usr/sbin/sshd", "-D"]),
    Key("image.cmd", [str], (), "arguments of the program; without `entrypoint`, the program", example=["/bin/bash"]),
    Key(
        "image.env", [str], (), "variables of a container", example=["LANG=C.UTF-8"],
        pattern=r"(?s)[A-Za-z_][A-Za-z0-9_]*=.*", rule="NAME=VALUE",
    ),
    Key("image.user", str, "", "user of a container: name or number, and `:GROUP`; default: root", example="nobody"),
    Key("image.ports", [str], (), "ports of a container", example=["443/tcp"],
        pattern=r"[1-9][0-9]{0,4}(/(tcp|udp|sctp))?", rule="a port number, with /tcp, /udp or /sctp"),
    Key("image.labels", [str], (), "labels of a container image", example=["org.opencontainers.image.title=web"],
        pattern=r"(?s)[^=\s]+=.*", rule="NAME=VALUE"),
    Key("image.healthcheck", str, "", "shell command that docker and podman run to test a container",
        example="curl -f http://localhost"),
    Key("image.tags", [str], (), "names of a container image; default: the profile with `:latest`",
        example=["web:1.0"], pattern=r"[a-z0-9]+([._/:-]+[A-Za-z0-9_]+)*", rule="NAME:TAG"),
)  # fmt: skip
"""Keys of ``profiles/NAME.toml``, in the order of the template and of the reference."""
GENTOOMUCH_KEYS = (
    Key("strict", bool, False, "fail if a plugin cannot be imported"),
    Key(
        "paths.state", str, "/var/lib/gentoomuch",
        "directory of the state; relative to the configuration directory; a user's own: `~/.local/state/gentoomuch`",
    ),
    Key("paths.cache", str, "/var/cache/gentoomuch", "the same for the cache; a user's own: `~/.cache/gentoomuch`"),
    Key("binhost.*.cpu", str, "", "the CPU that its packages were built for, if they do not record it"),
    Key("binhost.*.key", str, "", "fingerprint of the key that signs its packages and its index"),
    Key("binhost.*.priority", int, 1, "the binhost with the highest priority is used first"),
    Key("binhost.*.fallback", bool, True, "use the next source if it does not respond or a package is rejected"),
    Key("binhost.*.timeout", int, 10, "how long to wait for a response", unit="seconds"),
    Key(
        "binhost.*.min_rate", int, 1, "a download that is slower for the length of `timeout` is aborted",
        unit="KiB per second",
    ),
    Key("binhost.*.index", ("signed", "plain"), "signed", "whether its index has to be signed as well"),
    Key(
        "binhost.*.max_age", int, 0, "reject an older index, against freeze attacks; 0: never",
        unit="days", minimum=0,
    ),
)  # fmt: skip
"""Keys of ``gentoomuch.toml`` besides those of a profile."""
TABLES: Mapping[str, str] = {
    "unmask": "what is unmasked automatically: true, false, or a list of atoms",
    "binpkg": "binary packages",
    "container": "limits of containers; without effect if isolation is none",
    "image": "the image of the machine, for `gentoomuch image`",
}
"""Tables of a profile -> one line for people."""

Schema = Mapping[str, Any]
"""A name -> its ``Key``, or the ``Schema`` of a table."""


def _nest(values: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Nest values by the tables in their dotted names."""
    nested: dict[str, Any] = {}
    for name, value in values:
        *tables, key = name.split(".")
        table = nested
        for part in tables:
            table = table.setdefault(part, {})
        table[key] = value
    return nested


PROFILE: Schema = _nest((key.name, key) for key in PROFILE_KEYS)
GENTOOMUCH: Schema = {**PROFILE, **_nest((key.name, key) for key in GENTOOMUCH_KEYS)}
ISOLATION: IsolationKinds = PROFILE["isolation"].type
DEFAULTS: Mapping[str, Any] = MappingProxyType(_nest((key.name, key.default) for key in PROFILE_KEYS))
"""The values of a profile that sets nothing."""
BINHOST_DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {key.name.rpartition(".")[2]: key.default for key in GENTOOMUCH_KEYS if key.name.startswith("binhost.")}
)
"""The values of a table ``[binhost."URL"]`` that sets nothing."""


def merge(*levels: Mapping[str, Any]) -> dict[str, Any]:
    """Merge the values of all keys of a profile; a later level overrides an earlier one. Lists become tuples."""
    merged: dict[str, Any] = {}
    for name, kind in PROFILE.items():
        values = [level[name] for level in (DEFAULTS, *levels) if name in level]
        if isinstance(kind, Key):
            merged[name] = _frozen(kind, values[-1])
        else:
            table = {key: value for values_of_level in values for key, value in values_of_level.items()}
            merged[name] = {key: _frozen(kind[key], value) for key, value in table.items()}
    return merged


def _frozen(key: Key, value: Any) -> Any:
    return tuple(value) if key.type == [str] else value


def template_lines() -> Iterator[str]:
    """Generate the lines of a new profile: every key, commented out, with its default or an example."""
    table = ""
    for key in PROFILE_KEYS:
        parent, _, name = key.name.rpartition(".")
        if parent != table:
            table = parent
            yield ""
            yield f"{f'# [{table}]':<26} # {_plain_text(TABLES.get(table, ''))}".rstrip(" #")
        value = key.default if key.default not in ("", ()) or key.example == "" else key.example
        text = _plain_text(key.help)
        if isinstance(key.type, tuple) and all(isinstance(choice, str) for choice in key.type):
            text = f"{', '.join(key.type)}: {text}"
        if value != key.default and key.default != "":
            text += f"; default: {toml_value(key.default)}"
        yield f"{f'# {name} = {toml_value(value)}':<26} # {text}"


def toml_value(value: Any) -> str:
    """Format a string, a boolean, a number or a list as TOML, which writes them as JSON does."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _plain_text(markdown: str) -> str:
    return markdown.replace("`", "")


def load(path: Path, schema: Schema, *, missing_ok: bool = False) -> dict[str, Any]:
    """Read a TOML file and check it against a schema.

    Raises:
        BadFile: it cannot be read, or is not valid TOML.
        BadFile[bad-setting]: a key is unknown, or a value is invalid.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        if missing_ok:
            return {}
        raise BadFile(path, 0, "file not found") from error
    except OSError as error:
        raise unreadable(path, error) from error
    text = _decode(path, content)
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        position = re.search(r" \(at (?:line (\d+), .*|end of document)\)$", str(error))
        reason, line = str(error)[: position.start() if position else None], position[1] if position else None
        what = f"not valid TOML: {reason[:1].lower()}{reason[1:]}"
        number = int(line or _last_statement(text))
        raise BadFile(path, number, what, hint=_correct_quotes(path, text, number)) from error
    check(path, text, values, schema)
    return values


def _correct_quotes(path: Path, text: str, line: int) -> str:
    """Return the command that quotes the string in a line; an instruction if that does not make the text valid."""
    lines = text.split("\n")
    statement = re.fullmatch(r"(\s*[\w.-]+\s*=\s*)([^\s\"'#\[\]{}]+)(\s*#.*)?", lines[line - 1])
    if statement is None:
        return "fix that line; strings need quotes"
    quoted = f'{statement[1]}"{statement[2]}"{statement[3] or ""}'
    if parse_lines([*lines[: line - 1], quoted, *lines[line:]]) is None:
        return "fix that line; strings need quotes"
    return _sed(path, f"{line}c {quoted}")


def line_of(text: str, table: tuple[str, ...], key: str, value: str = "") -> int:
    """Return the line, from 1, where the statement that sets a key begins; 0 if none does.

    Args:
        table: names of the tables around it, from the outermost.
        value: return the line of that statement which contains this string of a list.
    """
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if key in line and parse_lines(lines[:number]) is not None:
            end = next(
                (end for end in range(number + 1, len(lines) + 1) if parse_lines(lines[:end]) is not None), number
            )
            if has_key(parse_lines(lines[:end]), (*table, key)):
                named = (index for index in range(number, end) if _quotes(lines[index], value))
                return next(named, number) + 1 if value else number + 1
    return 0


def _quotes(line: str, value: str) -> bool:
    return f'"{value}"' in line or f"'{value}'" in line


def parse_lines(lines: list[str]) -> dict[str, Any] | None:
    """Parse the first lines of a file; None if they end within a statement."""
    try:
        return tomllib.loads("\n".join(lines) + "\n")
    except tomllib.TOMLDecodeError:
        return None


def has_key(values: Any, path: tuple[str, ...]) -> bool:
    """Return whether parsed TOML has a key, named with the tables around it."""
    for name in path:
        if not isinstance(values, dict) or name not in values:
            return False
        values = values[name]
    return True


def _decode(path: Path, content: bytes) -> str:
    try:
        return content.decode().replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise BadFile(path, line, "not valid UTF-8", hint="fix that line") from error


def _last_statement(text: str) -> int:
    """Return the line of the statement that the end of a file cuts off."""
    lines = text.rstrip().split("\n")
    return max(number for number in range(len(lines)) if parse_lines(lines[:number]) is not None) + 1


def check(
    path: Path,
    text: str,
    values: Mapping[str, Any],
    schema: Schema,
    table: tuple[str, ...] = (),
    *,
    outermost: Collection[str] = (),
) -> None:
    """Check the values of a TOML text against a schema.

    Args:
        path: of the file, for messages.
        table: names of the tables around it, from the outermost.
        outermost: keys outside of all tables.

    Raises:
        BadFile[bad-setting]: a key is unknown, or a value is invalid.
    """
    for name, value in values.items():
        key = schema.get(name, schema.get("*"))
        if key is None:
            where = f" in [{'.'.join(table)}]" if table else ""
            what = f"unknown key {name!r}{where} {listed(schema, most=20)}"
            if name in outermost:
                hint = f"move {name} above the first line with [...]"
            else:
                hint = _correction_of_key(path, text, line_of(text, table, name), name, nearest(name, schema))
            raise BadFile(path, line_of(text, table, name), what, code="bad-setting", hint=hint)
        if isinstance(key, dict) and isinstance(value, dict):
            check(path, text, value, key, (*table, name), outermost=outermost or schema)
        elif error := find_error(name, key, value):
            bad, what, hint = error
            line = line_of(text, table, name, bad if isinstance(bad, str) and bad != value else "")
            hint = _correction_of_line(path, text, line, name, hint)
            raise BadFile(path, line, f"{name} = {bad!r} is {what}", code="bad-setting", hint=hint)


def _correction_of_key(path: Path, text: str, line: int, name: str, near: str) -> str:
    """Return the command that renames an unknown key, or removes its line; an instruction if that would not do."""
    statement = text.split("\n")[line - 1] if line else ""
    if near and re.search(rf"\b{re.escape(name)}\b", statement) and re.fullmatch(r"[\w-]+", name):
        return _sed(path, f"{line}s/\\b{name}\\b/{near}/")
    if not near and _is_statement(text, line, name):
        return _sed(path, f"{line}d")
    return f"did you mean {near}?" if near else "remove it"


def _correction_of_line(path: Path, text: str, line: int, name: str, example: str) -> str:
    """Return the command that replaces the line of a wrong value by a valid statement; else the statement itself."""
    return _sed(path, f"{line}c {example}") if " = " in example and _is_statement(text, line, name) else example


def _is_statement(text: str, line: int, name: str) -> bool:
    """Return whether a line consists of one statement that sets a key."""
    statement = text.split("\n")[line - 1] if line else ""
    parsed = parse_lines([statement])
    return re.match(rf"\s*{re.escape(name)}\s*=", statement) is not None and parsed is not None and len(parsed) == 1


def _sed(path: Path, script: str) -> str:
    """Return the command that edits a file."""
    return shlex.join(("sed", "-i", script, str(path)))


def find_error(name: str, key: Key | Schema, value: Any) -> tuple[Any, str, str] | None:
    """Find what is wrong with the value of a key.

    Args:
        name: the key as in a statement, without its table.

    Returns:
        The wrong part of the value, what it is not (``not a string``), and a valid statement as a hint; None if the
        value is valid.
    """
    if not isinstance(key, Key) or not _fits(value, key.type):
        what = f"not {describe(key.type) if isinstance(key, Key) else 'a table'}"
        return value, what, _example(name, key, value)
    if violation := _find_violation(key, value):
        return *violation, _example(name, key, value)
    return None


def _find_violation(key: Key, value: Any) -> tuple[Any, str] | None:
    """Find a value of the right type that breaks a rule of its key."""
    if key.minimum is not None and value < key.minimum:
        return value, f"less than {key.minimum}"
    if key.pattern:
        for item in value if isinstance(value, list) else [value]:
            if not re.fullmatch(key.pattern, item, re.S):
                return item, f"not {key.rule}"
    return None


def _fits(value: object, kind: object) -> bool:
    match kind:
        case type():
            return type(value) is kind
        case [item]:
            return isinstance(value, list) and all(_fits(element, item) for element in value)
        case tuple():
            return value in kind or any(_fits(value, choice) for choice in kind if not isinstance(choice, str))
    return False


def describe(kind: object, *, quote: str = "") -> str:
    """Describe a type for people: ``a list of strings``, ``"host" or "none"``.

    Args:
        quote: placed around each choice, for Markdown.
    """
    match kind:
        case type():
            names: Mapping[object, str] = {
                str: "a string",
                bool: f"{quote}true{quote} or {quote}false{quote}",
                int: "a number",
            }
            return names[kind]
        case [_]:
            return "a list of strings"
        case tuple():
            choices = (
                f'{quote}"{choice}"{quote}' if isinstance(choice, str) else describe(choice, quote=quote)
                for choice in kind
            )
            return " or ".join(choices)
    raise TypeError(f"not a type of a schema: {kind!r}")


_EXAMPLES: Mapping[object, Any] = {str: "...", bool: True, int: 10}


def _example(name: str, key: Key | Schema, wrong: object) -> str:
    """Return a statement that is valid, as a hint; of several choices, never one that was not meant."""
    if not isinstance(key, Key):
        return f"[{name}]"
    match key:
        case Key(example=example) if example != "":
            value = example
        case Key(type=type() as kind, minimum=minimum):
            value = _EXAMPLES[kind] if minimum is None else minimum
        case Key(type=[_]):
            value = ["...", "..."]
        case Key(type=tuple() as choices):
            near = nearest(str(wrong), (choice for choice in choices if isinstance(choice, str)))
            if not near:
                return "use one of these values, or remove the line for the default"
            value = near
        case _:
            value = True
    return f"{name} = {toml_value(value)}"
