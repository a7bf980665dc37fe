# SPDX-License-Identifier: GPL-2.0-or-later
"""Who hears of a run: plugins that refuse, plugins that break, and a file that fills up."""

import json
from pathlib import Path

import pytest
from helpers.errors import raises

from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import ConfigError
from gentoomuch_portage.events.reporter import EventLog, RunReporter
from gentoomuch_portage.plan.merge import Merge
from gentoomuch_portage.plan.plan import Plan
from gentoomuch_portage.plugins import manager
from gentoomuch_portage.plugins.hookspec import hookimpl
from gentoomuch_portage.plugins.manager import Dispatcher

MERGE = Merge("a/foo-1", "0", "/", "ebuild", "gentoo", "/foo-1.ebuild", 0, (), "")


@pytest.fixture
def watch(tmp_path: Path):
    """A run that the given plugin hears of."""

    def make(plugin: object, file: Path | None = None) -> RunReporter:
        settings = Settings(config=tmp_path, state=tmp_path, cache=tmp_path, host=tmp_path)
        joined = manager.make_manager(tmp_path, without=frozenset({"journal"}), also=[("odd", plugin)])
        dispatcher = Dispatcher(joined, Plan(profile="a", base="none", root="/"), settings)
        return RunReporter(dispatcher, EventLog(file))

    return make


class Refuses:
    """Is against everything."""

    @hookimpl
    def gm_after_resolve(self):
        raise ConfigError("not this run")

    @hookimpl
    def gm_before_package(self, merge: Merge):
        raise ConfigError(f"not {merge.cpv}")

    @hookimpl
    def gm_before_merge(self):
        raise ValueError("oops")


class Breaks:
    """Hears one event, and no more."""

    def __init__(self) -> None:
        self.heard = 0

    @hookimpl
    def gm_event(self, event: dict):
        self.heard += 1
        raise OSError("broken")


def test_a_plugin_can_reject_a_run_a_package_and_a_merge(watch):
    refused = watch(Refuses())

    with pytest.raises(ConfigError, match="not this run"):
        refused.on_resolved((MERGE,), "merge", 1, True)
    assert refused.on_phase_start(MERGE, "task") == "not a/foo-1"
    assert refused.on_phase_start(MERGE, "merge") == "plugin 'odd' failed in gm_before_merge: ValueError: oops"
    assert refused.on_phase_start(MERGE, "compile") is None


def test_a_check_hook_that_returns_a_value_is_an_error(watch):
    class Answers:
        @hookimpl
        def gm_after_resolve(self):
            return ["no"]

    with raises("plugin-failed", match="to reject something it must raise"):
        watch(Answers()).on_resolved((MERGE,), "merge", 1, True)


def test_a_plugin_that_breaks_is_one_warning_and_hears_no_more(watch, capsys):
    plugin = Breaks()
    told = watch(plugin)

    for _ in range(3):
        told.on_phase_start(MERGE, "compile")

    assert plugin.heard == 1
    assert capsys.readouterr().err == "gentoomuch: plugin 'odd' did not record this run: broken\n"


def test_a_follower_that_breaks_is_one_warning_and_the_others_hear_on(watch, capsys):
    told, heard = watch(object()), []
    told.follow(lambda event: event["no such key"])
    told.follow(lambda event: heard.append(event["event"]))

    told.on_tick()
    told.on_tick()

    assert heard == ["tick", "tick"]
    assert capsys.readouterr().err == "gentoomuch: progress display disabled: KeyError: 'no such key'\n"


def test_a_package_event_sums_up_its_phases(watch, tmp_path: Path):
    told = watch(object(), tmp_path / "events")

    for phase, seconds in (("compile", 3.0), ("task", 5.0), ("merge", 1.0)):
        told.on_phase_end(MERGE, phase, 0, seconds)
    told.on_package_end(MERGE, 0, {"cpu_usec": 7})

    package = json.loads((tmp_path / "events").read_text().splitlines()[-1])
    assert (package["seconds"], package["phases"]) == (6.0, {"compile": 3.0, "merge": 1.0})
    assert (package["resources"], package["cpv"], package["status"]) == ({"cpu_usec": 7}, "a/foo-1", 0)


def test_a_full_disk_disables_the_event_log_with_one_warning(watch, capsys):
    told = watch(object(), Path("/dev/full"))

    told.on_phase_start(MERGE, "compile")
    told.on_phase_end(MERGE, "compile", 0, 1.0)

    assert capsys.readouterr().err.count("event log disabled: cannot write /dev/full") == 1
