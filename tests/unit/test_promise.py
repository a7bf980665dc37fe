"""What plugins may rely on: hooks keep their arguments, and what is handed to them keeps its fields."""

import dataclasses
import inspect

import pytest

from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.config.isolation_kinds import Asked
from gentoomuch_portage.config.profile import Profile
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.plan.merge import Done, Merge
from gentoomuch_portage.plan.plan import Plan
from gentoomuch_portage.plan.request import Request
from gentoomuch_portage.plugins import hookspec
from gentoomuch_portage.portage_adapter.binpkg import Binpkg

HOOKS = {
    "gm_parts": "request settings profile",
    "gm_run_emerge": "plan settings reject watch",
    "gm_after_resolve": "merges goal plan settings",
    "gm_before_package": "merge plan settings",
    "gm_before_merge": "merge plan settings",
    "gm_after_package": "merge done plan settings",
    "gm_event": "event plan settings",
    "gm_reject_binpkg": "binpkg plan settings",
    "gm_again": "plan settings status",
    "gm_after_run": "plan settings status seconds",
    "gm_commands": "",
    "gm_facts": "settings",
}
"""Hook -> its arguments; both only ever grow."""
FIELDS = {
    Merge: "cpv slot root source repository where build_id use patches",
    Done: "status seconds phases resources",
    Request: "words said",
    Settings: "config state cache host",
    Binpkg: "cpv root build_id build_time use iuse chost path url size digests slot patches",
    Plan: "profile base root configroot words env isolation cpu parts",
    Profile: "name cpu layers patches root isolation emerge unmask binpkg",
    Command: "name help add work",
    Asked: "root program env hostname network",
}


@pytest.mark.parametrize(("name", "arguments"), HOOKS.items())
def test_a_hook_keeps_its_arguments(name: str, arguments: str):
    assert set(arguments.split()) <= inspect.signature(getattr(hookspec, name)).parameters.keys()


def test_every_hook_is_promised():
    assert {name for name in vars(hookspec) if name.startswith("gm_")} == HOOKS.keys()


@pytest.mark.parametrize(("kind", "names"), FIELDS.items())
def test_what_plugins_are_handed_keeps_its_fields(kind: type, names: str):
    has = {one.name for one in dataclasses.fields(kind)} if dataclasses.is_dataclass(kind) else {*kind._fields}

    assert set(names.split()) <= has
