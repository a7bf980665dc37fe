"""One file of metadata as text that can be believed to be a variable."""

from collections.abc import Callable

from gentoomuch_portage.binpkgs.source import MOST_VALUE, Source


def value(source: Source, key: str, size: int, take: Callable[[int], bytes]) -> str:
    """A file of metadata, stripped.

    Args:
        take: gives its bytes; not called where they are too many.

    Raises:
        BadBinpkg: it is too long, or has characters that no variable has: they could reach a terminal.
    """
    if size > MOST_VALUE:
        raise source.bad(f"its {key} has {size} bytes")
    text = take(size).decode("utf-8", "replace").strip()
    if not text.replace("\n", " ").replace("\t", " ").isprintable():
        raise source.bad(f"its {key} holds control characters")
    return text
