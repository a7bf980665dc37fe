# SPDX-License-Identifier: GPL-2.0-or-later
"""The page of ``gentoomuch fleet --html`` in a browser, wide and narrow, held against stored pictures."""

import os
import time
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from gentoomuch_portage.portage_adapter.root_state import Advisory, Outdated
from gentoomuch_portage.reports import fleet_html
from gentoomuch_portage.reports.fleet import Member

HERE = Path(__file__).parent
AT = 1795262400
ANEW = os.environ.get("GM_TEST_PICTURES") == "anew"
"""Whether the pictures are to be stored anew; look at them before they are committed."""
FEW = 0.01
"""The share of pixels that may differ: browsers draw edges of letters anew from version to version."""
ALIKE = 48
"""By so much of 255 a pixel may differ and still count as the same."""
OLD = (
    Outdated(cpv="dev-libs/openssl-3.5.1", newest="dev-libs/openssl-3.5.4", behind=3),
    Outdated(cpv="net-dns/dnsmasq-2.91", newest="net-dns/dnsmasq-2.92", behind=1),
    Outdated(cpv="app-misc/gone-1.0", newest="", behind=0),
)
FLEET = (
    Member(
        profile="desktop", cpu="-march=znver4", root="/", installed=1214, outdated=OLD,
        binpkgs_available=1630, rejected=0,
        unmasked=12, built=212, from_binpkg=1002, last=AT - 86400,
    ),
    Member(
        profile="router", cpu="-march=x86-64-v2", root="/srv/router", installed=287, outdated=OLD[1:2],
        advisories=(Advisory("202611-07", "dnsmasq: cache poisoning"),),
        binpkgs_available=1630,
        rejected=1105, unmasked=2, built=102, from_binpkg=185, last=AT - 7 * 86400,
    ),
    Member(profile="new-laptop", cpu="-march=znver5", root="/srv/laptop", binpkgs_available=1630, rejected=4),
    Member(profile="broken", error="profiles/broken.toml:3: unknown key 'cpus' <cpu>"),
)  # fmt: skip


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    file = tmp_path / "fleet.html"
    file.write_text(fleet_html.format_page(FLEET, AT), encoding="utf-8")
    return file


@pytest.mark.parametrize("width", [1280, 400])
def test_the_page_equals_its_screenshots_and_has_no_overflow(page: Path, seen, width: int):
    picture, told = seen(page, width)

    assert told["width"] == width, "something sticks out"
    assert (told["loaded"], told["charts"], told["complaints"]) == (0, 3, [])
    stored = HERE / "pictures" / picture.name
    if ANEW:
        stored.parent.mkdir(exist_ok=True)
        Image.open(picture).convert("RGB").quantize(64).save(stored, optimize=True)
    assert different(picture, stored) < FEW


def test_another_fleet_is_another_picture(page: Path, seen):
    page.write_text(page.read_text().replace("desktop", "notebook"), encoding="utf-8")

    picture, _ = seen(page, 1280)

    assert different(picture, HERE / "pictures" / picture.name) > 0


def different(picture: Path, stored: Path) -> float:
    """The share of pixels that differ; all of them where the size does."""
    now, then = Image.open(picture).convert("L"), Image.open(stored).convert("L")
    if now.size != then.size:
        return 1.0
    counted = ImageChops.difference(now, then).histogram()
    return sum(counted[ALIKE:]) / sum(counted)
