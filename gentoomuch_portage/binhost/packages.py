# SPDX-License-Identifier: GPL-2.0-or-later
"""Publish a directory of packages with an up-to-date index, signed by the key of this machine."""

import shutil
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage.binhost import keys, publish, reindex
from gentoomuch_portage.binhost.object_store import NotAsIndexed
from gentoomuch_portage.binhost.publish import Generation
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.portage_adapter.pkgdir import pkgdir

_AGAIN = 3
"""Attempts: builders may replace a package between reading the index and reading the file."""


class Retention(NamedTuple):
    """What is kept of earlier generations."""

    grace: float = 3600
    """Seconds for which packages that left the index can still be fetched."""
    keep: int = 5
    """Generations."""
    days: float = 0
    """Generations younger than this are kept as well."""


def publish_packages(
    settings: Settings,
    source: Path | None,
    top: Path,
    *,
    retention: Retention = Retention(),  # noqa: B008 - it is not mutable
    refresh: float = 1,
    show: reindex.Show = reindex.no_progress,
) -> tuple[Generation, list[int]]:
    """Update the index of a directory of packages, and publish it as a new generation if anything changed.

    Args:
        source: None for PKGDIR.
        top: the published directory.
        refresh: days after which an unchanged index is signed again.
        show: shows how many packages have been read.

    Returns:
        The current generation, and the numbers of the removed ones.

    Raises:
        NotAsIndexed: a package differs from the index, again and again.
    """
    shelf = pkgdir(source)
    with publish.locked(top):
        for left in reversed(range(_AGAIN)):
            reindex.update_index(source, show=show)
            try:
                made = publish.publish(
                    shelf.folder,
                    top,
                    grace=retention.grace,
                    finish=partial(sign_index, settings),
                    lock=shelf.locked,
                    stale=partial(_is_stale, settings, refresh),
                )
                break
            except NotAsIndexed:
                if not left:
                    raise
        gone = publish.prune(top, keep=max(1, retention.keep), days=retention.days, grace=retention.grace)
    return made, gone


def sign_index(settings: Settings, tree: Path) -> None:
    """Sign the index of a tree, if this machine has a binhost key."""
    if (key := keys.find_key(settings)) is not None:
        keys.sign(key, tree / "Packages", tree / "Packages.asc")
        shutil.copyfile(key.public, tree / "key.asc")
        if key.revoked.is_file():
            shutil.copyfile(key.revoked, tree / "revoked.asc")


def _is_stale(settings: Settings, days: float, tree: Path) -> bool:
    """Return whether to re-sign a tree: its signature is too old, or this machine's keys have changed."""
    key = keys.find_key(settings)
    if key is None:
        return False
    same = all(_content(tree / file.name) == _content(file) for file in (key.public, key.revoked))
    return not same or publish.read_timestamp(tree / "Packages") < time.time() - days * 86400


def _content(file: Path) -> bytes:
    return file.read_bytes() if file.is_file() else b""
