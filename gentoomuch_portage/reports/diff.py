# SPDX-License-Identifier: GPL-2.0-or-later
"""Compare the composed configurations of two profiles."""

import difflib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from gentoomuch_portage.emerge.profile_view import View
from gentoomuch_portage.plan.plan import Layer, MakeProfile

_TURN = re.compile(r"/\d+-(?=[^/]+)")
"""Number of a layer in the name of a file: ``package.use/1-common``."""


def diff_profiles(left: View, right: View) -> Iterator[str]:
    """Yield the lines of a unified diff, without line ends: the settings of a run, then each file of etc/portage.

    A layer with another number is compared as the same file; the first part shows the order of layers.
    """
    yield from _diff("profile", "profile", _describe_run(left), _describe_run(right), left, right)
    mine, theirs = _read_files(left.etc_portage), _read_files(right.etc_portage)
    for key in sorted(mine.keys() | theirs.keys()):
        before, now = mine.get(key), theirs.get(key)
        yield from _diff(
            f"etc/portage/{before[0]}" if before else "", f"etc/portage/{now[0]}" if now else "",
            before[1] if before else [], now[1] if now else [], left, right,
        )  # fmt: skip


def _diff(before: str, now: str, first: list[str], second: list[str], left: View, right: View) -> Iterator[str]:
    names = [f"{view.profile.name}/{name}" if name else "/dev/null" for view, name in ((left, before), (right, now))]
    yield from difflib.unified_diff(first, second, names[0], names[1], lineterm="")


def _describe_run(view: View) -> list[str]:
    """Return the settings of a run that are not in etc/portage, one per line."""
    plan, profile = view.planned, view.profile
    layers = [part.name for _, part in plan.parts if isinstance(part, Layer)]
    make_profile = [part.name for _, part in plan.parts if isinstance(part, MakeProfile)]
    return [
        f"base {plan.base}",
        *(f"make_profile {name}" for name in make_profile),
        f"root {plan.root}",
        f"isolation {plan.isolation}",
        *(f"layer {name}" for name in layers),
        *(f"patches {name}" for name in profile.patches),
        *(f"option {word}" for word in plan.arguments),
        *(f"env {name}={value}" for name, value in sorted(plan.env.items())),
        *_format_table("unmask", profile.unmask),
        *_format_table("binpkg", profile.binpkg),
    ]


def _format_table(name: str, values: Mapping[str, object]) -> list[str]:
    return [f"{name}.{key} {value}" for key, value in sorted(values.items())]


def _read_files(folder: Path) -> dict[str, tuple[str, list[str]]]:
    """Read files: name without numbers -> name and lines; the line of a link is its target."""
    files = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            files[name] = (name, [f"link to {path.readlink()}"])
        elif path.is_file():
            files[_TURN.sub("/", name)] = (name, _read_lines(path))
    return files


def _read_lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        return [f"{path.stat().st_size} bytes of binary data"]
