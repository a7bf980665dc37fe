# SPDX-License-Identifier: GPL-2.0-or-later
"""S11: the directory with the key of this machine is missing, or something else is in its place."""

import shutil
from pathlib import Path

import pytest
from helpers.errors import raises

from gentoomuch_portage.binhost import keys
from gentoomuch_portage.config.settings import Settings

pytestmark = pytest.mark.skipif(not shutil.which("gpg"), reason="needs gpg")


@pytest.mark.parametrize("target", ["", "gnupg", "nowhere"])
def test_a_missing_key_directory_is_an_error_that_names_it_and_a_way_to_another_key(tmp_path: Path, target: str):
    """It was ``[system]`` with ``ls -ld`` for a hint."""
    folders = {name: tmp_path / name for name in ("config", "state", "cache", "host")}
    settings = Settings(**folders)
    home = keys.ensure_key(settings).home
    shutil.rmtree(home)
    if target:
        home.symlink_to(target)

    with raises("bad-file") as caught:
        keys.ensure_key(settings)

    assert caught.value.path == str(home)
    assert "gentoomuch binhost key" in caught.value.hint
