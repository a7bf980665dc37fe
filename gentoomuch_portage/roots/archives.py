"""From archives to a root: all of it is looked at first, then unpacked beside, then put in place."""

from collections.abc import Callable, Sequence
from pathlib import Path

from gentoomuch_portage import console
from gentoomuch_portage.roots import entries, placing, unpacking
from gentoomuch_portage.roots.tape import Packed


def place(
    layers: Sequence[Packed], root: Path, *, still: Callable[[], None] = lambda: None, quiet: bool = False
) -> None:
    """Make a root out of one archive, or out of the layers of an image.

    Args:
        still: raises where what was proven holds no longer; called before the root is put in place.

    Raises:
        BadArchive: an archive is damaged or holds what must not be unpacked; the root is as it was.
        RootTaken: the root holds something already.
    """
    with console.progress("looking at", sum(one.size for one in layers), quiet=quiet) as show:
        for one in layers:
            entries.check(one, lambda read: show("", read))
    with placing.placed(root) as fresh:
        unpacking.unpack(layers, fresh, quiet=quiet)
        still()
