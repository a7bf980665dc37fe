"""The ID of a .gentoo folder: SHA-512 over what it says, in a form that only its meaning decides.

docs/dotgentoo.md has every rule. No line of a section begins with ``#``, so the last ``#overlays`` of the stream ends
the ebuild, whatever the ebuild says: two folders with one stream mean the same.
"""

import hashlib
from collections.abc import Iterator

from gentoomuch_portage.dotgentoo.folder import Folder
from gentoomuch_portage.dotgentoo.overlays import Overlay

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
