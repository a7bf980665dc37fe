# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of ``gentoomuch history`` names the packages of each run, as genlop and qlop do."""

import pytest

from gentoomuch_portage import history
from gentoomuch_portage.cli.commands import run_command_line


@pytest.fixture(autouse=True)
def lab(monkeypatch: pytest.MonkeyPatch, settings, write) -> None:
    """A profile ``lab``."""
    for name in ("config", "state", "cache"):
        monkeypatch.setenv(f"GM_{name.upper()}", str(getattr(settings, name)))
    write("profiles/lab.toml", "")


def record(settings, *cpvs: str, merged: int) -> None:
    run = {"run": "1", "at": 1}
    merges = [{"cpv": cpv} for cpv in cpvs]
    resolved = {
        "goal": "merge",
        "process": 1,
        "merges": merges,
        "rejected": {},
        "unmasked": [],
        "arguments": ["@world"],
    }
    history.append(settings.state, "lab", {"event": "resolved", **run, **resolved})
    package = {"status": 0, "seconds": 1, "source": "ebuild", "build_id": "", "phases": {}}
    for cpv in cpvs[:merged]:
        history.append(settings.state, "lab", {"event": "package", "cpv": cpv, **run, **package})


@pytest.mark.parametrize(
    ("cpvs", "merged", "shown", "hidden"),
    [
        (("app-misc/hello-2.12", "dev-libs/a-1"), 1, ["app-misc/hello-2.12"], ["dev-libs/a-1"]),
        (("app-misc/hello-2.12", "dev-libs/a-1"), 0, ["app-misc/hello-2.12 dev-libs/a-1"], []),
        ([f"dev-libs/long-name-{number}" for number in range(9)], 9, ["dev-libs/long-name-0", "..."], ["name-8"]),
    ],
    ids=["merged", "planned", "many"],
)
def test_a_run_is_shown_with_its_packages(settings, cpvs, merged: int, shown: list[str], hidden: list[str], capsys):
    """The table only counted them."""
    record(settings, *cpvs, merged=merged)

    assert run_command_line(["history"]) == 0

    table = capsys.readouterr().out
    assert [text for text in shown if text not in table] == []
    assert [text for text in hidden if text in table] == []
