"""What of a machine goes into an archive."""

from pathlib import Path

import pytest

from gentoomuch_portage.errors import BadFile
from gentoomuch_portage.freeze import collect


def test_a_world_that_is_no_text_is_told_by_its_name(tmp_path: Path):
    (tmp_path / "world").write_bytes(b"app-misc/hello\n\xff\n")

    with pytest.raises(BadFile, match=r"world: this is no UTF-8"):
        collect._selected(Path("/"), tmp_path / "world")
