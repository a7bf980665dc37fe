"""Who hears of a run: plugins that refuse, plugins that break, and a file that fills up."""

import json
from pathlib import Path

import pytest

from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import ConfigError, PluginFailed
from gentoomuch_portage.events.log import Events
from gentoomuch_portage.events.reporter import Watch
from gentoomuch_portage.plan.merge import Merge
from gentoomuch_portage.plan.plan import Plan
from gentoomuch_portage.plugins import manager
from gentoomuch_portage.plugins.hookspec import hookimpl

MERGE = Merge("a/foo-1", "0", "/", "ebuild", "gentoo", "/foo-1.ebuild", 0, (), "")


@pytest.fixture
def watch(tmp_path: Path):
    """A run that the given plugin hears of."""

    def make(plugin: object, file: Path | None = None) -> Watch:
        settings = Settings(config=tmp_path, state=tmp_path, cache=tmp_path, host=tmp_path)
        joined = manager.make_manager(tmp_path, without=frozenset({"journal"}), also=[("odd", plugin)])
        return Watch(Plan(profile="a", base="none", root="/"), settings, joined, Events(file))

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


def test_a_plugin_may_refuse_the_run_a_package_and_its_merge(watch):
    refused = watch(Refuses())

    with pytest.raises(ConfigError, match="not this run"):
        refused.resolved((MERGE,), "merge", 1, True)
    assert refused.entered(MERGE, "task") == "not a/foo-1"
    assert refused.entered(MERGE, "merge") == "plugin 'odd' failed in gm_before_merge: ValueError: oops"
    assert refused.entered(MERGE, "compile") is None


def test_a_plugin_that_answers_where_it_should_raise_is_told_so(watch):
    class Answers:
        @hookimpl
        def gm_after_resolve(self):
            return ["no"]

    with pytest.raises(PluginFailed, match="to refuse is to raise"):
        watch(Answers()).resolved((MERGE,), "merge", 1, True)


def test_a_plugin_that_breaks_is_one_warning_and_hears_no_more(watch, capsys):
    plugin = Breaks()
    told = watch(plugin)

    for _ in range(3):
        told.entered(MERGE, "compile")

    assert plugin.heard == 1
    assert capsys.readouterr().err == "gentoomuch: plugin 'odd' did not record this run: broken\n"


def test_a_follower_that_breaks_is_one_warning_and_the_others_hear_on(watch, capsys):
    told, heard = watch(object()), []
    told.follow(lambda event: event["no such key"])
    told.follow(lambda event: heard.append(event["event"]))

    told.tick()
    told.tick()

    assert heard == ["tick", "tick"]
    assert capsys.readouterr().err == "gentoomuch: this run is followed no longer: KeyError: 'no such key'\n"


def test_a_package_comes_together_from_its_phases(watch, tmp_path: Path):
    told = watch(object(), tmp_path / "events")

    for phase, seconds in (("compile", 3.0), ("task", 5.0), ("merge", 1.0)):
        told.left(MERGE, phase, 0, seconds)
    told.done(MERGE, 0, {"cpu_usec": 7})

    package = json.loads((tmp_path / "events").read_text().splitlines()[-1])
    assert (package["seconds"], package["phases"]) == (6.0, {"compile": 3.0, "merge": 1.0})
    assert (package["resources"], package["cpv"], package["status"]) == ({"cpu_usec": 7}, "a/foo-1", 0)


def test_a_file_that_fills_up_is_one_warning_and_the_run_goes_on(watch, capsys):
    told = watch(object(), Path("/dev/full"))

    told.entered(MERGE, "compile")
    told.left(MERGE, "compile", 0, 1.0)

    assert capsys.readouterr().err.count("events are told no longer: /dev/full cannot be written") == 1
