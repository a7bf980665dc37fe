# SPDX-License-Identifier: GPL-2.0-or-later
"""Worlds for unit tests: layers to compose, and a host with a cache of configroots."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest

from gentoomuch_portage import demo_host
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.configroot import cache as configroot_cache
from gentoomuch_portage.configroot.cache import Configroot
from gentoomuch_portage.configroot.key import Recipe
from gentoomuch_portage.configroot.layers import Composed, Source, compose
from gentoomuch_portage.plan.plan import Layer, Part

hypothesis.settings.register_profile("unhurried", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("unhurried")


Write = Callable[[str, str], Path]


@pytest.fixture
def write(settings: Settings) -> Write:
    """Write a file of the configuration: ``write("layers/small/make.conf", text)``; its path."""

    def wrote(name: str, text: str) -> Path:
        path = settings.config / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return wrote


class Layers:
    """A configuration directory, whose layers are written file by file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names: list[str] = []

    def write(self, path: str, text: str | bytes = "") -> Path:
        """Write ``LAYER/FILE``; a layer takes its turn when it is first written to."""
        name = path.split("/", 1)[0]
        if name not in self.names:
            self.names.append(name)
        file = self.folder / "layers" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file

    def link(self, path: str, target: str | Path) -> Path:
        """Make ``LAYER/LINK``."""
        link = self.write(path)
        link.unlink()
        link.symlink_to(target)
        return link

    def composed(self, *parts: Part, host: Path | None = None, building: bool = False) -> Composed:
        below = [Source("host", host)] if host else []
        layers = [Source(name, self.folder / "layers" / name, self.folder) for name in self.names]
        return compose([*below, *layers], [("plugin", part) for part in parts], building=building)

    def shown(self, *parts: Part, host: Path | None = None, building: bool = False) -> dict[str, str]:
        """Path below etc/portage -> text, in the order in which Portage reads directories."""
        files = self.composed(*parts, host=host, building=building).files
        return {name: files[name][0].decode() for name in sorted(files)}


@pytest.fixture
def layers(tmp_path: Path) -> Layers:
    """A configuration directory without layers."""
    (tmp_path / "config/layers").mkdir(parents=True)
    return Layers(tmp_path / "config")


@dataclass
class World:
    """A host, a configuration with two layers, and a cache."""

    host: demo_host.Host
    recipe: Recipe
    cache: Path

    @property
    def layers(self) -> Path:
        return self.host.config / "layers"

    def lay(self, recipe: Recipe | None = None) -> Configroot:
        """Lay, and let go at once."""
        laid = configroot_cache.find_or_build(recipe or self.recipe, self.cache)
        os.close(laid.lock)
        return laid

    @property
    def stand(self) -> set[str]:
        """The names of all that stands in the cache's configroots."""
        return {path.name for path in (self.cache / "configroots").iterdir()}


@pytest.fixture
def world(host: demo_host.Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A host with two layers; and a clock so fine that files just written may be trusted."""
    monkeypatch.setattr(configroot_cache, "_RACY", 0)
    host.profile(
        "a", "", {"one/make.conf": 'USE="a"\nsource more\n', "one/more": "A=1\n", "two/package.use/x": "a/a x\n"}
    )
    (host.config / "layers/one/linked").symlink_to("more")
    layers = tuple(("profile", Layer(name, host.config / "layers" / name)) for name in ("one", "two"))
    recipe = Recipe(host=host.etc, base="host", config=host.config, parts=layers)
    return World(host, recipe, tmp_path / "cache")
