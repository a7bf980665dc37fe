"""What differs between two profiles once they are composed."""

import difflib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from gentoomuch_portage.emerge.profile_view import View
from gentoomuch_portage.plan.plan import Layer, MakeProfile

_TURN = re.compile(r"/\d+-(?=[^/]+)")
"""The turn of a layer among the pieces of a file: ``package.use/1-common``."""


def between(left: View, right: View) -> Iterator[str]:
    """The lines of a unified diff, without line ends: how each runs, then each file of etc/portage.

    The same layer in another turn is the same file; that the turn differs, the layers of the first part say.
    """
    yield from _unified("profile", "profile", _runs(left), _runs(right), left, right)
    mine, theirs = _shown(left.shown), _shown(right.shown)
    for key in sorted(mine.keys() | theirs.keys()):
        before, now = mine.get(key), theirs.get(key)
        yield from _unified(
            f"etc/portage/{before[0]}" if before else "", f"etc/portage/{now[0]}" if now else "",
            before[1] if before else [], now[1] if now else [], left, right,
        )  # fmt: skip


def _unified(before: str, now: str, first: list[str], second: list[str], left: View, right: View) -> Iterator[str]:
    names = [f"{view.profile.name}/{name}" if name else "/dev/null" for view, name in ((left, before), (right, now))]
    yield from difflib.unified_diff(first, second, names[0], names[1], lineterm="")


def _runs(view: View) -> list[str]:
    """How a profile runs, a line each: what no file of etc/portage says."""
    plan, profile = view.asked, view.profile
    layers = [part.name for _, part in plan.parts if isinstance(part, Layer)]
    make_profile = [part.name for _, part in plan.parts if isinstance(part, MakeProfile)]
    return [
        f"base {plan.base}",
        *(f"make_profile {name}" for name in make_profile),
        f"root {plan.root}",
        f"isolation {plan.isolation}",
        *(f"layer {name}" for name in layers),
        *(f"patches {name}" for name in profile.patches),
        *(f"word {word}" for word in plan.words),
        *(f"env {name}={value}" for name, value in sorted(plan.env.items())),
        *_table("unmask", profile.unmask),
        *_table("binpkg", profile.binpkg),
    ]


def _table(name: str, said: Mapping[str, object]) -> list[str]:
    return [f"{name}.{key} {value}" for key, value in sorted(said.items())]


def _shown(folder: Path) -> dict[str, tuple[str, list[str]]]:
    """Name without turns -> name and lines of each file; a link is the line that says where it leads."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = (name, [f"link to {path.readlink()}"])
        elif path.is_file():
            found[_TURN.sub("/", name)] = (name, _lines(path))
    return found


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        return [f"{path.stat().st_size} bytes that are no text"]
