"""How programs of ours are started around a box and in it.

-P: nothing is imported from the folder that one happens to stand in, which may be an ebuild's. -S: most need nothing
but Python's own modules, and starting takes half as long without looking for others.
"""

import os
import sys
from pathlib import Path


def words(module: str, python: str = sys.executable, *, alone: bool = True) -> tuple[str, ...]:
    """The beginning of a command line.

    Args:
        module: below ``gentoomuch_portage``.
        python: the interpreter, by its path where it runs.
        alone: it needs no modules that are installed, as Portage's.
    """
    return (python, "-P", *(["-S"] if alone else []), "-m", f"gentoomuch_portage.{module}")


def environment() -> dict[str, str]:
    """Our own environment, for a program of ours outside of a box."""
    return {**os.environ, "PYTHONPATH": str(home())}


def home() -> Path:
    """The folder that we are imported from."""
    return Path(__file__).absolute().parents[2]
