"""Put something in the place of a name for a while.

unittest.mock does that too, and takes longer to import than a whole run for a profile may add.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def swapped(holder: Any, name: str, value: Any) -> Iterator[None]:
    """As long as the block runs, ``holder.name`` is ``value``."""
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
    """As long as the block runs, these variables are set besides the others; afterwards all are as before."""
    before = dict(os.environ)
    os.environ.update(more)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def looking(env: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
    """As ``environment``, for who only looks: an empty folder stands for a ROOT that is not there.

    Portage makes the ROOT that it is told, be it that of another machine.

    Returns:
        The variables as they are set.
    """
    root = env.get("ROOT") or "/"
    if Path(root).is_dir():
        with environment(env):
            yield env
        return
    import tempfile  # only for such a root

    with tempfile.TemporaryDirectory(prefix="gm-root-") as empty:
        told = {name: empty if name in {"ROOT", "SYSROOT"} and value == root else value for name, value in env.items()}
        with environment(told):
            yield told
