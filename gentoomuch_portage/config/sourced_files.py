# SPDX-License-Identifier: GPL-2.0-or-later
"""Find the files that files of an /etc/portage source, and rewrite their paths for a copy.

make.conf sources files by a relative or an absolute path; a bashrc is bash and can name them in any form.
Source: make.conf(5), "source"; portage(5), bashrc and env/.
"""

import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

_TOP = "/etc/portage/"
_VALUE = r"""(?:\$\([^)\n]*\)|`[^`\n]*`|[^"'\s;|&#)])+"""
"""A path in a file, also with a command or variables in it."""
_CONF = re.compile(
    rf"""(?m)^(?P<before>(?:[^#"'\n]|"[^"]*"|'[^']*')*?\bsource[ \t]+(?P<quote>["']?))(?P<path>{_VALUE})"""
)
_BASH = re.compile(rf"""(?m)^(?P<before>(?:[^#\n])*?(?<![\w./-])(?:source|\.)[ \t]+["']?)(?P<path>{_VALUE})""")
_NAMED = re.compile(r"""(?<![\w}./-])(?<![\w}]["'])/etc/portage/([\w.+-]+)""")
"""An absolute path of the configuration anywhere in bash, but not after a variable."""
_ROOTS = re.compile(r"^\$(?:\{(?:EPREFIX|PORTAGE_CONFIGROOT)(?:%/)?\}|(?:EPREFIX|PORTAGE_CONFIGROOT)\b)/*")
_HERE = "${PORTAGE_CONFIGROOT%/}/etc/portage/"
_SET = re.compile(
    r"""(?m)^[ \t]*(?:(?:export|local|declare|readonly)[ \t]+)?(?P<name>[A-Za-z_]\w*)="""
    r"""(?:"(?P<double>[^"\n]*)"|'(?P<single>[^'\n]*)'|(?P<plain>[^\s"';#&|]*))"""
)
_LOOP = re.compile(r"(?m)\bfor[ \t]+(?P<name>[A-Za-z_]\w*)[ \t]+in[ \t]+(?P<words>[^;\n]*)")
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))")
_HOST = re.compile(
    r"\$\((?:hostname(?: -s)?|uname -n|(?:cat |< ?)/etc/hostname)\)|`(?:hostname(?: -s)?|uname -n)`"
    r"|\$HOSTNAME\b|\$\{HOSTNAME\}"
)
"""The name of the machine."""
_OF_BUILD = frozenset({
    "T", "S", "D", "ED", "WORKDIR", "FILESDIR", "DISTDIR", "HOME", "PORTDIR", "ECLASSDIR", "PORTAGE_BIN_PATH",
    "PORTAGE_BUILDDIR",
})  # fmt: skip
"""Variables of phases whose directories are not a part of the configuration. Source: ebuild(5)."""


class _Source(NamedTuple):
    """A ``source`` of a file."""

    line: int
    path: str
    """As in the file."""
    resolved: str
    """With the values of variables; a ``$`` or ````` remains for what is not known."""


class Sourced(NamedTuple):
    """The sourced files of an /etc/portage."""

    names: frozenset[str]
    """Top-level names that are sourced."""
    texts: Mapping[str, str]
    """Path below -> new text, which sources the copy instead of a file of another machine."""
    changed: tuple[str, ...]
    """The same changes for people, a line each."""
    outside: tuple[str, ...]
    """Sourced files that the copy lacks, or that cannot be determined, a line each."""


def find(texts: Mapping[str, str]) -> Sourced:
    """Find what the files that Portage reads source, recursively.

    Args:
        texts: path below etc/portage -> text.
    """
    waiting = [(name, _is_bash(name)) for name in texts if _is_read(name)]
    seen: dict[str, bool] = {}
    names: set[str] = set()
    while waiting:
        name, is_bash = waiting.pop()
        if name in seen:
            continue
        seen[name] = is_bash
        for top in {path.partition("/")[0] for path in _targets(name, texts, is_bash)}:
            names.add(top)
            waiting += [(path, is_bash) for path in texts if path == top or path.startswith(f"{top}/")]
    rewritten = {name: _rewrite(name, texts, is_bash) for name, is_bash in sorted(seen.items())}
    changed = {name: text for name, text in rewritten.items() if text != texts[name]}
    outside = tuple(line for name, is_bash in sorted(seen.items()) for line in _outside(name, texts, is_bash))
    return Sourced(
        frozenset(names), changed, tuple(f"{name}: {_TOP} refers to the layer now" for name in changed), outside
    )


def _is_read(name: str) -> bool:
    """Whether Portage, or bash in a phase, reads a file that may source others."""
    return name.partition("/")[0] in {"make.conf", "env"} or _is_bash(name)


def _is_bash(name: str) -> bool:
    first, _, below = name.partition("/")
    return first == "bashrc" or (first == "env" and "/" in below) or (first == "profile" and "bashrc" in below)


def _targets(name: str, texts: Mapping[str, str], is_bash: bool) -> Iterator[str]:
    """Find the paths below etc/portage that a file sources."""
    for source in _list_sources(name, texts, is_bash):
        plain = _ROOTS.sub("/", source.resolved)
        if plain.startswith(_TOP):
            yield plain.removeprefix(_TOP)
        elif not re.match(r"[/$`]", plain):
            path_below = posixpath.normpath(posixpath.join(posixpath.dirname(name), plain))
            if not path_below.startswith(".."):
                yield path_below
    if is_bash:
        yield from _NAMED.findall(texts[name])


def _list_sources(name: str, texts: Mapping[str, str], is_bash: bool) -> Iterator[_Source]:
    """Yield what a file sources; several times for a loop."""
    text = texts[name]
    for match in (_BASH if is_bash else _CONF).finditer(text):
        line = text.count("\n", 0, match.start("path")) + 1
        for resolved in _resolve(match["path"], text[: match.start("path")], texts):
            yield _Source(line, match["path"], resolved)


def _resolve(path: str, before: str, texts: Mapping[str, str]) -> list[str]:
    """Return the values of a path, from the variables that the text before it sets.

    The name of the machine is known if only one file has a name that fits.
    """
    if match := re.fullmatch(r"\$\{?(\w+)\}?", path):
        loops = [loop["words"].split() for loop in _LOOP.finditer(before) if loop["name"] == match[1]]
        if loops:
            return [_expand(re.sub("[\"']", "", word), before) for word in loops[-1]]
    resolved = _expand(path, before)
    if _HOST.search(resolved):
        pattern = "[^/]+".join(re.escape(part) for part in _HOST.split(_ROOTS.sub("/", resolved)))
        names = [name for name in texts if re.fullmatch(pattern, _TOP + name)]
        return [_TOP + names[0]] if len(names) == 1 else [resolved]
    return [resolved]


def _expand(path: str, before: str, depth: int = 8) -> str:
    """Return a path with the values of variables that a text sets, the last value of each; others remain."""
    if not depth or "$" not in path:
        return path
    values: dict[str, str] = {}
    for match in _SET.finditer(before):
        values[match["name"]] = match["double"] or match["single"] or match["plain"] or ""
    expanded = _VARIABLE.sub(lambda match: values.get(match[1] or match[2], match[0]), path)
    return path if expanded == path else _expand(expanded, before, depth - 1)


def _rewrite(name: str, texts: Mapping[str, str], is_bash: bool) -> str:
    """Return a text with absolute paths of the machine replaced by paths of the copy."""
    tops = {path.partition("/")[0] for path in texts}
    pattern = _BASH if is_bash else _CONF

    def relative(match: re.Match[str]) -> str:
        values = _resolve(match["path"], texts[name][: match.start("path")], texts)
        plain = _ROOTS.sub("/", values[0])
        below = plain.removeprefix(_TOP)
        if len(values) > 1 or not plain.startswith(_TOP) or re.search(r"[$`*?]", below):
            return match[0]
        if is_bash:
            direct = _ROOTS.sub("/", match["path"]).startswith(_TOP) and not _HOST.search(match["path"])
            return match[0] if direct or below.partition("/")[0] not in tops else f"{match['before']}{_HERE}{below}"
        if below not in texts:
            return match[0]
        return match["before"] + posixpath.relpath(below, posixpath.dirname(name) or ".")

    text = pattern.sub(relative, texts[name])
    if is_bash:
        return _NAMED.sub(lambda match: f"{_HERE}{match[1]}" if match[1] in tops else match[0], text)
    return text


def _outside(name: str, texts: Mapping[str, str], is_bash: bool) -> Iterator[str]:
    """Yield what a file sources that is not in the copy, or that cannot be determined, a line each."""
    tops = {path.partition("/")[0] for path in texts}
    seen = set()
    for source in _list_sources(name, texts, is_bash):
        plain = _ROOTS.sub("/", source.resolved)
        below = plain.removeprefix(_TOP) if plain.startswith(_TOP) else ""
        if source in seen or below.partition("/")[0] in tops:
            continue
        seen.add(source)
        if why := _find_unknown(plain, is_bash):
            what = f"cannot follow {source.path!r}: {why}"
            yield f"{name}:{source.line}: {what}: copy the file into the layer, and name it there"
        elif plain.startswith("/") and not (is_bash and re.match(r"/(usr/(?!local/)|lib(32|64)?/)", plain)):
            where = f"sourced by {name}:{source.line}"
            if plain.startswith(_TOP):
                yield f"{plain}: {where}, but missing in the directory"
            else:
                yield f"{plain}: {where}, but not below {_TOP.rstrip('/')}: copy it into the layer manually"


def _find_unknown(path: str, is_bash: bool) -> str:
    """Return why a path is not known; empty if it is, or if it is not a path of the configuration."""
    if _HOST.search(path):
        return "it depends on the name of the machine"
    if re.match(r"[^$`]*(?:\$\(|`)", path):
        return "it depends on the output of a command"
    name = match[1] or match[2] if (match := _VARIABLE.search(path)) else ""
    if not name:
        return "it depends on an argument" if "$" in path else ""
    return "" if is_bash and name in _OF_BUILD else f"{name} is not set before it"
