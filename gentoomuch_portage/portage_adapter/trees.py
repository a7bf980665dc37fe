"""What is recorded in a package that is built from a work tree, and what an installed one tells of it."""

import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gentoomuch_portage.portage_adapter.swap import swapped

NAME = "GM_DOTGENTOO"
"""The file of metadata: the ID of the .gentoo folder, and the digest of the work tree."""


@contextmanager
def told(trees: Mapping[str, str]) -> Iterator[None]:
    """As long as the block runs, each package that is built from a work tree carries which one that was.

    Args:
        trees: cpv -> what its file says.
    """
    from portage.package.ebuild import doebuild

    plain = doebuild._post_src_install_write_metadata

    @functools.wraps(plain)
    def written(settings: Any) -> None:
        plain(settings)
        if text := trees.get(str(settings.mycpv)):
            (Path(settings["PORTAGE_BUILDDIR"]) / "build-info" / NAME).write_text(f"{text}\n", encoding="utf-8")

    with swapped(doebuild, "_post_src_install_write_metadata", written):
        yield


def installed(cpv: str, root: str) -> str:
    """What the installed package tells; empty where there is none, or it was not built from a work tree."""
    from portage.const import EPREFIX, VDB_PATH

    file = Path(f"{root.rstrip('/')}{EPREFIX}") / VDB_PATH / cpv / NAME
    return file.read_text(encoding="utf-8").strip() if file.is_file() else ""
