"""A machine in a folder, with nothing configured on it."""

from collections.abc import Callable
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


@pytest.fixture
def write(settings: Settings) -> Callable[[str, str], Path]:
    """Write a file of the configuration: ``write("layers/small/make.conf", text)``; its path."""

    def wrote(name: str, text: str) -> Path:
        path = settings.config / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return wrote
