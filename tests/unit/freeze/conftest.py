# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine in a folder, with nothing configured on it."""

from pathlib import Path

import pytest

from gentoomuch_portage.config.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of an empty configuration, on a host with an empty etc/portage."""
    folders = {name: tmp_path / name for name in ("config", "state", "cache")}
    host = tmp_path / "host/etc/portage"
    host.mkdir(parents=True)
    return Settings(**folders, host=host)
