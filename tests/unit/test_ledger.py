"""A ledger that cannot be read is told with its place, once, in words."""

from pathlib import Path

import pytest

from gentoomuch_portage.errors import BadFile
from gentoomuch_portage.unmask import ledger


def test_a_ledger_that_is_none_is_told_with_its_line(tmp_path: Path):
    place = ledger.path(tmp_path, "lab")
    place.parent.mkdir()
    place.write_text("[\n{},\n{\n")

    with pytest.raises(BadFile, match=r"unmask\.json:4: this is no ledger") as caught:
        ledger.read(tmp_path, "lab")

    assert caught.value.remedy == f"restore it, or start anew: rm {place}"


def test_a_folder_in_the_place_of_a_ledger_is_not_to_be_removed(tmp_path: Path):
    ledger.path(tmp_path, "lab").mkdir(parents=True)

    with pytest.raises(BadFile, match=r"unmask\.json: it cannot be read: Is a directory") as caught:
        ledger.read(tmp_path, "lab")

    assert caught.value.remedy == ""
