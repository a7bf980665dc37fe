"""What doctor says of this host."""

import os
from pathlib import Path

import pytest

from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.reports import doctor


@pytest.mark.parametrize(("mode", "told"), [(0o1777, []), (0o555, ["note" if os.geteuid() == 0 else "bad"])])
def test_a_tmp_in_which_make_would_crash_is_told(tmp_path: Path, mode: int, told: list[str]):
    tmp_path.chmod(mode)

    found = list(doctor._for_all(tmp_path))

    assert [one.state for one in found] == told
    assert all(one.remedy == f"chmod 1777 {tmp_path}" for one in found)


def test_what_the_system_does_not_let_doctor_see_is_one_fact_and_the_others_are_told(tmp_path: Path):
    settings = Settings.of({"GM_STATE": str(tmp_path / ("a" * 300)), "GM_CONFIG": str(tmp_path)})

    found = list(doctor.facts(settings, frozenset()))

    assert {one.name for one in found if one.state == "good"} >= {"portage", "compiler"}
    assert [one.text.endswith("File name too long") for one in found if one.name == "places"] == [True]
    assert found[-1].name != "places"
