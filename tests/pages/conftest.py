# SPDX-License-Identifier: GPL-2.0-or-later
"""A browser without a screen: Debian's chromium with its driver, which selenium leads; and the pages it shows."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gentoomuch_portage.binhost.server.page import Page, Recipe
from gentoomuch_portage.portage_adapter.root_state import Advisory, Outdated
from gentoomuch_portage.reports import fleet_html
from gentoomuch_portage.reports.fleet import Member

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
    "--font-render-hinting=none",
)

AT = 1795262400
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


@pytest.fixture(params=["fleet", "binhost"])
def page(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each of our pages, in a file of its name."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    if request.param == "fleet":
        text = fleet_html.format_page(FLEET, AT).encode()
    else:
        (tmp_path / "Packages").write_text("PACKAGES: 106\n\n" + "".join(map(stanza, range(106))))
        recipe = Recipe(
            url="http://tower:8811", name="packages", fingerprint="76EB849719753F9C8D28971A4911265147628FE5"
        )
        text = Page(tmp_path, recipe).format("q=dev&page=2")
    file = tmp_path / f"{request.param}.html"
    file.write_bytes(text)
    return file


def stanza(number: int) -> str:
    """An entry of an index."""
    cpv = f"dev-libs/package-{number:03}"
    lines = (f"BUILD_ID: {number % 7 + 1}", f"BUILD_TIME: {AT - number * 86400}", f"CPV: {cpv}-1.{number}")
    return "\n".join((*lines, f"PATH: {cpv}/{cpv}-1.gpkg.tar", f"SIZE: {number**3 + 999}", "", ""))


@pytest.fixture(scope="session")
def browser(tmp_path_factory) -> Iterator[object]:
    """A browser that knows nobody and has the font that the pictures were taken with."""
    driver, chromium = shutil.which("chromedriver"), shutil.which("chromium")
    if not (driver and chromium):
        pytest.skip("needs chromium and chromedriver: apt install chromium chromium-driver")
    fonts = subprocess.run(["fc-list", ":family=DejaVu Sans"], capture_output=True, text=True, check=False)
    if not fonts.stdout:
        pytest.skip("needs the font of the stored pictures: apt install fonts-dejavu-core")
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    options = ChromeOptions()
    options.binary_location = chromium
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('user')}"):
        options.add_argument(flag)
    with Chrome(options=options, service=Service(driver)) as started:
        yield started


@pytest.fixture
def seen(browser, tmp_path: Path):
    """Show a page at a width, all of it, light or dark; the picture, and what the page says of itself."""

    def look(page: Path, width: int, scheme: str) -> tuple[Path, dict]:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        browser.get(page.as_uri())
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        measure = "const e = document.documentElement; return {height: e.scrollHeight, width: e.scrollWidth,"
        asked = (
            " loaded: performance.getEntriesByType('resource').length, charts: document.querySelectorAll('svg').length}"
        )
        told = browser.execute_script(measure + asked)
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {**size, "height": told["height"]})
        picture = tmp_path / f"{page.stem}-{width}-{scheme}.png"
        assert browser.save_screenshot(str(picture))
        return picture, {**told, "complaints": browser.get_log("browser")}

    return look
