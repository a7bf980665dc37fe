# SPDX-License-Identifier: GPL-2.0-or-later
"""What of a machine goes into an archive."""

from pathlib import Path

import pytest

from gentoomuch_portage.errors import BadFile
from gentoomuch_portage.freeze import collect


def test_a_world_file_that_is_not_utf8_is_reported(tmp_path: Path):
    (tmp_path / "world").write_bytes(b"app-misc/hello\n\xff\n")

    with pytest.raises(BadFile, match=r"world: not valid UTF-8"):
        collect._read_world(Path("/"), tmp_path / "world")
