"""What is wrong with a patch by its own look, whatever it is applied to."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gentoomuch_portage.patches import parse
from gentoomuch_portage.patches.patch_set import Saved


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that is wrong with a patch."""

    kind: str
    text: str
    line: int = 0
    stops: bool = False
    """Whether it needs no trying on sources any more."""


def remarks(one: Saved, config: Path) -> Iterator[Remark]:
    """What is wrong with a file of a set.

    Args:
        config: the configuration directory; no link may lead out of it.
    """
    real = Path(os.path.realpath(one.file))
    if not real.is_relative_to(Path(os.path.realpath(config))):
        yield Remark("link", f"is a link that leads out of {config}, to {real}", stops=True)
    elif not real.is_file():
        yield Remark("link", f"is a broken link to {real}", stops=True)
    elif not one.category:
        if ".patch" in one.file.name or ".diff" in one.file.name:
            told = "Portage reads CAT/PACKAGE/NAME.patch or NAME.diff of a set alone"
            yield Remark("place", f"is never applied: {told}", stops=True)
    elif content := one.file.read_bytes():
        yield from _of_content(content)


def _of_content(content: bytes) -> Iterator[Remark]:
    files = parse.touched(content)
    if not any(file.hunks or file.binary or file.git for file in files):
        yield Remark("no-patch", "has nothing that patch(1) takes for a change", 1, stops=True)
    for file in files:
        name = file.names[0] if file.names else "a file"
        if file.binary:
            yield Remark("binary", f"changes {name} as a binary, which patch(1) cannot", file.line, stops=True)
        if outside := next((one for one in file.names if _leads_out(one)), ""):
            yield Remark("outside", f"touches {outside}, outside of the sources", file.line, stops=True)


def _leads_out(name: str) -> bool:
    return name.startswith("/") or ".." in name.split("/")
