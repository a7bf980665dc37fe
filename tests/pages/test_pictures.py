# SPDX-License-Identifier: GPL-2.0-or-later
"""Our pages in a browser, wide and narrow, light and dark, held against stored pictures."""

import os
from pathlib import Path

import pytest
from PIL import Image, ImageChops

HERE = Path(__file__).parent
ANEW = os.environ.get("GM_TEST_PICTURES") == "anew"
"""Whether the pictures are to be stored anew; look at them before they are committed."""
FEW = 0.01
"""The share of pixels that may differ: browsers draw edges of letters anew from version to version."""
ALIKE = 48
"""By so much of 255 a pixel may differ and still count as the same."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_a_page_equals_its_screenshots_and_has_no_overflow(page: Path, seen, width: int, scheme: str):
    picture, told = seen(page, width, scheme)

    assert told["width"] == width, "something sticks out"
    assert (told["loaded"], told["complaints"]) == (0, [])
    assert len(page.read_bytes()) < 60_000
    stored = HERE / "pictures" / picture.name
    if ANEW:
        stored.parent.mkdir(exist_ok=True)
        Image.open(picture).convert("RGB").quantize(64).save(stored, optimize=True)
    assert different(picture, stored) < FEW


@pytest.mark.parametrize("page", ["fleet"], indirect=True)
def test_another_fleet_is_another_picture(page: Path, seen):
    page.write_text(page.read_text().replace("desktop", "notebook"), encoding="utf-8")

    picture, told = seen(page, 1280, "light")

    assert told["charts"] == 3
    assert different(picture, HERE / "pictures" / picture.name) > 0


def different(picture: Path, stored: Path) -> float:
    """The share of pixels that differ; all of them where the size does."""
    now, then = Image.open(picture).convert("L"), Image.open(stored).convert("L")
    if now.size != then.size:
        return 1.0
    counted = ImageChops.difference(now, then).histogram()
    return sum(counted[ALIKE:]) / sum(counted)
