# SPDX-License-Identifier: GPL-2.0-or-later
"""The ID of a .gentoo directory: SHA-512 of its normalised content, and two IDs of other implementations.

docs/dotgentoo.md has the rules. No line of a section begins with ``#``, so the last ``#overlays`` of the stream ends
the ebuild: two directories with the same stream have the same meaning.

The other IDs follow the specification literally, or its reference implementation; where a helper of the latter crashes,
we report an error. Source: the .gentoo specification; IBT-FMI/gebuilder, utils/functions.sh, normalize_overlays.py and
normalize_packagefiles.py.
"""

import configparser
import hashlib
from collections.abc import Iterable, Iterator

from gentoomuch_portage.dotgentoo.layout import Layout
from gentoomuch_portage.dotgentoo.load import VERSION, Folder
from gentoomuch_portage.dotgentoo.overlays import Overlay, parse_overlays
from gentoomuch_portage.dotgentoo.safe_read import Raw, parse_lines, split_words

_ALWAYS = ("keywords", "mask", "unmask", "use")
"""Sections that are always present. Source: the .gentoo specification."""
_OPTIONAL = ("license", "env")
"""Sections that are present only if not empty, so that IDs of directories without them do not change."""


def compute_id(folder: Folder) -> str:
    """Compute the normative ID: 128 hexadecimal digits."""
    return hashlib.sha512(build_stream(folder).encode("utf-8")).hexdigest()


def build_stream(folder: Folder) -> str:
    """Build the text whose digest is the normative ID."""
    ebuild = folder.ebuild if folder.ebuild.endswith("\n") else f"{folder.ebuild}\n"
    texts = {kind: [entry.text for entry in entries] for kind, entries in folder.entries.items()}
    parts = ["#ebuild\n", ebuild, "#overlays\n", *map(format_section, folder.overlays)]
    for kind in _ALWAYS:
        parts += _format_part(kind, texts[kind])
    more = {
        **{kind: texts[kind] for kind in _OPTIONAL},
        "envfiles": [f"{name} {_digest(text.encode('utf-8'))}" for name, text in folder.env],
        "manifest": list(folder.manifest),
        "files": [f"{raw.name} {_digest(raw.content)}" for raw in folder.files],
    }
    for kind, lines in more.items():
        parts += _format_part(kind, lines) if lines else ()
    return "".join(parts)


def format_section(overlay: Overlay) -> str:
    """Format a section of repos.conf as in the specification."""
    return f"[{overlay.name}]\n" + "".join(f"{key} = {value}\n" for key, value in overlay.options)


def _format_part(kind: str, lines: list[str]) -> Iterator[str]:
    yield f"#{kind}\n"
    yield from (f"{line}\n" for line in lines)


def _digest(content: bytes) -> str:
    return hashlib.sha512(content).hexdigest()


def compute_spec_id(layout: Layout) -> str:
    """Compute the SHA-512 of the literal specification: only package.keywords, values unchanged, entries sorted.

    Raises:
        BadFile[bad-dotgentoo]: it has not exactly one 99999-ebuild, or a file is invalid.
    """
    sections = [format_section(overlay) for overlay in parse_overlays(layout.below("overlays"), layout.path)]
    parts = ["#overlays\n", *sections]
    for kind in ("keywords", "mask", "unmask", "use"):
        named = (
            line for raw in layout.below(f"package.{kind}") for line in parse_lines(layout.place(raw), raw.content)
        )
        parts += [f"#{kind}\n", *(f"{text}\n" for text in sorted(" ".join(split_words(line)) for line in named))]
    ebuild = _single_ebuild(layout, [raw for raw in layout.ebuilds if raw.name.endswith(f"-{VERSION}.ebuild")])
    return hashlib.sha512(b"#ebuild\n" + ebuild + "".join(parts).encode("utf-8")).hexdigest()


def compute_gebuilder_id(layout: Layout) -> str:
    """Compute gebuilder's SHA-256: accept_keywords, a blank line between overlays, three spaces after an atom.

    Raises:
        BadFile[bad-dotgentoo]: it has not exactly one ebuild, or a helper of gebuilder crashes.
    """
    parts = ["#overlays\n", _format_overlays(layout)]
    for kind in ("accept_keywords", "mask", "unmask", "use"):
        parts += [f"#{kind}\n", *_format_entries(layout, kind)]
    ebuild = _single_ebuild(layout, layout.ebuilds)
    return hashlib.sha256(b"#ebuild\n" + ebuild + "".join(parts).encode("utf-8")).hexdigest()


def _single_ebuild(layout: Layout, ebuilds: list[Raw]) -> bytes:
    """Return the only ebuild; of several, gebuilder would use the first in file system order."""
    match ebuilds:
        case [ebuild]:
            return ebuild.content
        case files:
            names = ", ".join(raw.name for raw in files) or "none"
            raise layout.error("", f"exactly one ebuild is required (found: {names})")


def _list_files(layout: Layout, name: str) -> list[Raw]:
    """Return the files of ``NAME/*`` in a shell; none if NAME is a file, or if the first entry is a directory."""
    files = [raw for raw in layout.below(name) if raw.name != name]
    return files if files and files[0].name.count("/") == 1 else []


def _format_overlays(layout: Layout) -> str:
    parser = configparser.ConfigParser()
    for raw in _list_files(layout, "overlays"):
        try:
            parser.read_string(raw.content.decode("utf-8", "replace"))
        except configparser.Error as error:
            raise layout.error(raw.name, _crash_message(error)) from error
    try:
        sections = [(name, sorted(parser.items(name))) for name in sorted(parser.sections())]
    except configparser.Error as error:
        raise layout.error("overlays", _crash_message(error)) from error
    return "\n".join(f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in items) for name, items in sections)


def _crash_message(error: Exception) -> str:
    return f"gebuilder crashes: {' '.join(str(error).split())}"


def _format_entries(layout: Layout, kind: str) -> Iterable[str]:
    """Format a line per atom; comments after values are values."""
    by_atom: dict[str, set[str]] = {}
    for raw in _list_files(layout, f"package.{kind}"):
        seen: set[str] = set()
        for line in parse_lines(layout.place(raw), raw.content):
            atom, *values = line.text.split()
            if kind in {"mask", "unmask"}:
                values = []
            elif atom in seen:
                raise line.error("gebuilder crashes if an atom is twice in a file")
            seen.add(atom)
            by_atom.setdefault(atom, set()).update(values)
    return [f"{atom}   {' '.join(sorted(values))}\n" for atom, values in sorted(by_atom.items())]
