# SPDX-License-Identifier: GPL-2.0-or-later
"""A browser without a screen: Debian's chromium with its driver, which selenium leads."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

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
    """Show a page at a width, all of it; the picture, and what the page says of itself."""

    def look(page: Path, width: int) -> tuple[Path, dict]:
        browser.get(page.as_uri())
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        measure = "const e = document.documentElement; return {height: e.scrollHeight, width: e.scrollWidth,"
        asked = (
            " loaded: performance.getEntriesByType('resource').length, charts: document.querySelectorAll('svg').length}"
        )
        told = browser.execute_script(measure + asked)
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {**size, "height": told["height"]})
        picture = tmp_path / f"{page.stem}-{width}.png"
        assert browser.save_screenshot(str(picture))
        return picture, {**told, "complaints": browser.get_log("browser")}

    return look
