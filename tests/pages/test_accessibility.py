# SPDX-License-Identifier: GPL-2.0-or-later
"""axe, a checker of accessibility, finds nothing in the pages that we write: wide and narrow, light and dark."""

from pathlib import Path

import pytest
from axe_core_python.selenium import Axe


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_a_page_has_no_fault_of_accessibility(page: Path, width: int, scheme: str, browser) -> None:
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.get(page.as_uri())

    found = Axe().run(browser)

    assert len(found["passes"]) > 10, "it looked at the page"
    assert [(fault["id"], [node["target"] for node in fault["nodes"]]) for fault in found["violations"]] == []
