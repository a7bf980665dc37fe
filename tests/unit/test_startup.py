# SPDX-License-Identifier: GPL-2.0-or-later
"""Modules that are imported when they are first used."""

import sys
from pathlib import Path

import pytest

from gentoomuch_portage.startup import LazyModule


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package ``lazily`` that can be imported."""
    folder = tmp_path / "lazily"
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.partition(".")[0] == "lazily"]:
        monkeypatch.delitem(sys.modules, name)
    return folder


def test_a_lazy_module_is_imported_when_a_name_is_first_used(package: Path):
    (package / "one.py").write_text("value = 7\n")
    one = LazyModule("lazily.one")

    before = "lazily.one" in sys.modules

    assert (before, one.value, "lazily.one" in sys.modules) == (False, 7, True)


def test_a_lazy_module_shows_a_name_that_was_replaced_later(package: Path, monkeypatch: pytest.MonkeyPatch):
    (package / "two.py").write_text("value = 7\n")
    two = LazyModule("lazily.two")
    assert two.value == 7

    monkeypatch.setattr("lazily.two.value", 8)

    assert two.value == 8


def test_a_lazy_module_that_fails_raises_its_own_error(package: Path):
    (package / "three.py").write_text("raise LookupError('of the module')\n")

    with pytest.raises(LookupError, match="of the module"):
        LazyModule("lazily.three").value  # noqa: B018
    with pytest.raises(ModuleNotFoundError):
        LazyModule("lazily.missing").value  # noqa: B018
    with pytest.raises(AttributeError):
        LazyModule("lazily").value  # noqa: B018
