"""Whether a folder is a root, and which steps of its bootstrap are done.

Those stand in a file in the root itself, as long as it is not finished.
"""

import json
from pathlib import Path

from gentoomuch_portage import files
from gentoomuch_portage.containers.standing import UNFINISHED
from gentoomuch_portage.portage_adapter import front


def done(root: Path) -> tuple[str, ...]:
    """The steps that are done, in their order; none where nothing was begun."""
    try:
        told = json.loads((root / UNFINISHED).read_text(encoding="utf-8"))
        return tuple(str(one) for one in told["done"])
    except (OSError, ValueError, KeyError, TypeError):
        return ()


def begun(root: Path) -> bool:
    """Whether a bootstrap was begun and not finished."""
    return (root / UNFINISHED).exists()


def is_root(root: Path) -> bool:
    """Whether a folder is a root, begun or done: whatever else is in it, it is not somebody's data alone."""
    tops = {root, Path(f"{root}{front.eprefix()}")}
    return begun(root) or any((top / "var/db/pkg").is_dir() for top in tops)


def note(root: Path, steps: tuple[str, ...]) -> None:
    """Write down what is done so far."""
    files.write(root / UNFINISHED, json.dumps({"done": list(steps)}) + "\n")


def finish(root: Path) -> None:
    """The root is what was asked for: it may stand on its own."""
    (root / UNFINISHED).unlink(missing_ok=True)
