# SPDX-License-Identifier: GPL-2.0-or-later
"""A configuration in a folder, with nothing of this machine below it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gentoomuch_portage.config.settings import Settings

Write = Callable[[str, str], Path]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of an empty configuration, on a host without an etc/portage."""
    return Settings(
        config=tmp_path / "config",
        state=tmp_path / "state",
        cache=tmp_path / "cache",
        host=tmp_path / "host/etc/portage",
    )


@pytest.fixture
def two_layers(write: Write) -> None:
    """A profile ``lab`` of two layers, ``one`` and ``two``, over nothing."""
    write("profiles/lab.toml", 'base = "none"\nlayers = ["one", "two"]\n[binpkg]\nbuild = false\n')
    write("layers/one/.keep", "")
    write("layers/two/.keep", "")
