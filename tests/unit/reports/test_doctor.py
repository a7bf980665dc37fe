# SPDX-License-Identifier: GPL-2.0-or-later
"""What doctor says of this host."""

import os
from pathlib import Path

import pytest

from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.portage_adapter import private_api
from gentoomuch_portage.reports import doctor


@pytest.mark.parametrize(("mode", "told"), [(0o1777, []), (0o555, ["note" if os.geteuid() == 0 else "bad"])])
def test_doctor_reports_a_tmp_with_a_wrong_mode(tmp_path: Path, mode: int, told: list[str]):
    tmp_path.chmod(mode)

    found = list(doctor._tmp(tmp_path))

    assert [one.state for one in found] == told
    assert all(one.hint == f"chmod 1777 {tmp_path}" for one in found)


def test_an_os_error_is_one_bad_fact_of_doctor(tmp_path: Path):
    settings = Settings.load({"GM_STATE": str(tmp_path / ("a" * 300)), "GM_CONFIG": str(tmp_path)})

    found = list(doctor.collect_facts(settings, frozenset()))

    assert {one.name for one in found if one.state == "good"} >= {"portage", "compiler"}
    assert [one.text.endswith("File name too long") for one in found if one.name == "places"] == [True]
    assert found[-1].name != "places"


@pytest.mark.parametrize(
    ("version", "atom"),
    [
        ("3.0.77", f">=sys-apps/portage-{private_api.RESOURCES.since}"),
        ("99.0", f"=sys-apps/portage-{private_api.NEWEST}*"),
    ],
)
def test_the_hint_for_a_lost_capability_names_a_version_that_has_it(
    version: str, atom: str, monkeypatch: pytest.MonkeyPatch
):
    """Seen failing before for 3.0.77: the hint named 3.0.83 for what 3.0.81 has as well."""
    monkeypatch.setattr(private_api, "version", lambda: version)
    monkeypatch.setattr(private_api, "find_lost", lambda: (private_api.Lost(private_api.RESOURCES, ()),))

    hints = [fact.hint for fact in doctor._portage() if fact.state in {"bad", "note"}]

    assert hints == [f"emerge '{atom}'"]
