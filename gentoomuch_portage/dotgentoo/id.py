"""IDs as others computed them: by the words of the specification, and by its reference implementation.

They are lenient where those were; where the reference hashes nothing because a helper of it crashed, we refuse.
Source: the .gentoo specification; IBT-FMI/gebuilder, utils/functions.sh, normalize_overlays.py and
normalize_packagefiles.py.

The ID of a .gentoo folder: SHA-512 over what it says, in a form that only its meaning decides.

docs/dotgentoo.md has every rule. No line of a section begins with ``#``, so the last ``#overlays`` of the stream ends
the ebuild, whatever the ebuild says: two folders with one stream mean the same.
"""

import configparser
import hashlib
from collections.abc import Iterable, Iterator

from gentoomuch_portage.dotgentoo.layout import Layout
from gentoomuch_portage.dotgentoo.load import VERSION, Folder
from gentoomuch_portage.dotgentoo.overlays import Overlay, overlays
from gentoomuch_portage.dotgentoo.safe_read import Raw, lines, words

_SEED = ("keywords", "mask", "unmask", "use")
"""Sections that always stand. Source: the .gentoo specification."""
_OURS = ("license", "env")
"""Sections that stand where they say something, so that a folder without them keeps the ID it always had."""


def identity(folder: Folder) -> str:
    """The normative ID, in 128 hexadecimal digits."""
    return hashlib.sha512(stream(folder).encode("utf-8")).hexdigest()


def stream(folder: Folder) -> str:
    """What the normative ID is the digest of."""
    ebuild = folder.ebuild if folder.ebuild.endswith("\n") else f"{folder.ebuild}\n"
    said = {kind: [entry.text for entry in found] for kind, found in folder.entries.items()}
    parts = ["#ebuild\n", ebuild, "#overlays\n", *map(section, folder.overlays)]
    for kind in _SEED:
        parts += _headed(kind, said[kind])
    more = {
        **{kind: said[kind] for kind in _OURS},
        "envfiles": [f"{name} {_digest(text.encode('utf-8'))}" for name, text in folder.env],
        "manifest": list(folder.manifest),
        "files": [f"{raw.name} {_digest(raw.content)}" for raw in folder.files],
    }
    for kind, found in more.items():
        parts += _headed(kind, found) if found else ()
    return "".join(parts)


def section(overlay: Overlay) -> str:
    """A section of repos.conf in the form of the specification."""
    return f"[{overlay.name}]\n" + "".join(f"{key} = {value}\n" for key, value in overlay.options)


def _headed(kind: str, found: list[str]) -> Iterator[str]:
    yield f"#{kind}\n"
    yield from (f"{line}\n" for line in found)


def _digest(content: bytes) -> str:
    return hashlib.sha512(content).hexdigest()


def spec(layout: Layout) -> str:
    """SHA-512 by the letter: package.keywords alone, values as they stand, entries in lexical order.

    Raises:
        BadFolder: it has no 99999-ebuild, or several; or its text is not to be understood.
    """
    told = [section(one) for one in overlays(layout.below("overlays"), layout.path)]
    parts = ["#overlays\n", *told]
    for kind in ("keywords", "mask", "unmask", "use"):
        named = (line for raw in layout.below(f"package.{kind}") for line in lines(layout.place(raw), raw.content))
        parts += [f"#{kind}\n", *(f"{text}\n" for text in sorted(" ".join(words(line)) for line in named))]
    ebuild = _one(layout, [raw for raw in layout.ebuilds if raw.name.endswith(f"-{VERSION}.ebuild")])
    return hashlib.sha512(b"#ebuild\n" + ebuild + "".join(parts).encode("utf-8")).hexdigest()


def gebuilder(layout: Layout) -> str:
    """SHA-256 as gebuilder computes it: accept_keywords, a blank line between overlays, three spaces behind an atom.

    Raises:
        BadFolder: it has no ebuild, or several; or a helper of gebuilder crashes on it.
    """
    parts = ["#overlays\n", _overlays(layout)]
    for kind in ("accept_keywords", "mask", "unmask", "use"):
        parts += [f"#{kind}\n", *_listed(layout, kind)]
    ebuild = _one(layout, layout.ebuilds)
    return hashlib.sha256(b"#ebuild\n" + ebuild + "".join(parts).encode("utf-8")).hexdigest()


def _one(layout: Layout, ebuilds: list[Raw]) -> bytes:
    """The one ebuild; of several, gebuilder takes the one that the file system lists first."""
    match ebuilds:
        case [one]:
            return one.content
        case found:
            told = ", ".join(raw.name for raw in found) or "none"
            raise layout.refuse("", f"there has to be one ebuild in it, and there is {told}")


def _taken(layout: Layout, name: str) -> list[Raw]:
    """The files of ``NAME/*`` in a shell; none where NAME is a file, or the first below it a directory."""
    found = [raw for raw in layout.below(name) if raw.name != name]
    return found if found and found[0].name.count("/") == 1 else []


def _overlays(layout: Layout) -> str:
    parser = configparser.ConfigParser()
    for raw in _taken(layout, "overlays"):
        try:
            parser.read_string(raw.content.decode("utf-8", "replace"))
        except configparser.Error as error:
            raise layout.refuse(raw.name, _crash(error)) from error
    try:
        told = [(name, sorted(parser.items(name))) for name in sorted(parser.sections())]
    except configparser.Error as error:
        raise layout.refuse("overlays", _crash(error)) from error
    return "\n".join(f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in found) for name, found in told)


def _crash(error: Exception) -> str:
    return f"gebuilder crashes on this, and hashes nothing: {' '.join(str(error).split())}"


def _listed(layout: Layout, kind: str) -> Iterable[str]:
    """One line an atom; a comment behind the values is a value."""
    found: dict[str, set[str]] = {}
    for raw in _taken(layout, f"package.{kind}"):
        seen: set[str] = set()
        for line in lines(layout.place(raw), raw.content):
            atom, *values = line.text.split()
            if kind in {"mask", "unmask"}:
                values = []
            elif atom in seen:
                raise line.refuse("gebuilder crashes where an atom stands twice in a file, and hashes nothing")
            seen.add(atom)
            found.setdefault(atom, set()).update(values)
    return [f"{atom}   {' '.join(sorted(values))}\n" for atom, values in sorted(found.items())]
