# SPDX-License-Identifier: GPL-2.0-or-later
"""Find problems of a patch itself, independent of any sources."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gentoomuch_portage.patches import parse
from gentoomuch_portage.patches.patch_set import SetFile


@dataclass(frozen=True, slots=True)
class Remark:
    """A problem of a patch."""

    kind: str
    text: str
    line: int = 0
    stops: bool = False
    """Whether it is useless to apply the patch to sources."""


def find_remarks(patch: SetFile, config: Path) -> Iterator[Remark]:
    """Find problems of a file of a set.

    Args:
        config: the configuration directory; a link must not lead out of it.
    """
    real = Path(os.path.realpath(patch.file))
    if not real.is_relative_to(Path(os.path.realpath(config))):
        yield Remark("link", f"is a link to {real}, outside of {config}", stops=True)
    elif not real.is_file():
        yield Remark("link", f"is a broken link to {real}", stops=True)
    elif not patch.category:
        if ".patch" in patch.file.name or ".diff" in patch.file.name:
            text = "is never applied: Portage reads only CAT/PACKAGE/NAME.patch and NAME.diff of a set"
            yield Remark("place", text, stops=True)
    elif content := patch.file.read_bytes():
        yield from _check_content(content)


def _check_content(content: bytes) -> Iterator[Remark]:
    files = parse.find_touched(content)
    if not any(file.hunks or file.binary or file.git for file in files):
        yield Remark("no-patch", "contains no change that patch(1) recognises", 1, stops=True)
    for file in files:
        name = file.names[0] if file.names else "a file"
        if file.binary:
            yield Remark("binary", f"changes the binary file {name}, which patch(1) cannot do", file.line, stops=True)
        if outside := next((path for path in file.names if _leads_out(path)), ""):
            yield Remark("outside", f"changes {outside}, outside of the sources", file.line, stops=True)


def _leads_out(name: str) -> bool:
    return name.startswith("/") or ".." in name.split("/")
