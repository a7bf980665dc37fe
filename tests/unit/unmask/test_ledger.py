# SPDX-License-Identifier: GPL-2.0-or-later
"""A ledger that cannot be read is told with its place, once, in words."""

from pathlib import Path

import pytest

from gentoomuch_portage.errors import BadFile
from gentoomuch_portage.unmask import ledger


def test_an_invalid_ledger_is_reported_with_its_line(tmp_path: Path):
    place = ledger.path(tmp_path, "lab")
    place.parent.mkdir()
    place.write_text("[\n{},\n{\n")

    with pytest.raises(BadFile, match=r"unmask\.json:4: not a ledger") as caught:
        ledger.read(tmp_path, "lab")

    assert caught.value.hint == f"restore it, or remove it: rm {place}"


def test_the_hint_for_a_directory_as_ledger_renames_it(tmp_path: Path):
    ledger.path(tmp_path, "lab").mkdir(parents=True)

    with pytest.raises(BadFile, match=r"unmask\.json: cannot read a ledger") as caught:
        ledger.read(tmp_path, "lab")

    assert caught.value.hint.endswith(f"mv {ledger.path(tmp_path, 'lab')} {ledger.path(tmp_path, 'lab')}.bad")
