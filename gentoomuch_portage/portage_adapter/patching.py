# SPDX-License-Identifier: GPL-2.0-or-later
"""Replace attributes and variables while a block runs.

unittest.mock does the same, but its import takes longer than the start of a run for a profile may take.
"""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def swapped(holder: Any, name: str, value: Any) -> Iterator[None]:
    """Set ``holder.name`` to ``value`` while the block runs."""
    own = name in vars(holder)
    before = vars(holder).get(name)
    setattr(holder, name, value)
    try:
        yield
    finally:
        if own:
            setattr(holder, name, before)
        else:
            delattr(holder, name)


@contextmanager
def environment(more: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables while the block runs; then restore all of them."""
    before = dict(os.environ)
    os.environ.update(more)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def query_environment(env: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
    """Set environment variables for queries; an empty directory replaces a ROOT that does not exist.

    Portage would create ROOT, even if it belongs to another machine.

    Returns:
        The variables with their new values.
    """
    root = env.get("ROOT") or "/"
    if Path(root).is_dir():
        with environment(env):
            yield env
        return
    with tempfile.TemporaryDirectory(prefix="gm-root-") as empty:
        changed = {
            name: empty if name in {"ROOT", "SYSROOT"} and value == root else value for name, value in env.items()
        }
        with environment(changed):
            yield changed
