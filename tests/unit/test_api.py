# SPDX-License-Identifier: GPL-2.0-or-later
"""The interface of plugins is stable: names of ``api``, hooks and their arguments, and fields of their values."""

import dataclasses
import inspect
import re
from pathlib import Path

import pytest

from gentoomuch_portage import api
from gentoomuch_portage.api import (
    Binpkg,
    Command,
    ContainerRequest,
    Merge,
    PackageResult,
    Plan,
    Profile,
    Request,
    RunListener,
    Settings,
)
from gentoomuch_portage.plugins import hookspec

TOP = Path(__file__).parents[2]
NAMES = {
    *("Binpkg", "Command", "ConfigError", "ContainerRequest", "Env", "File", "Follower", "GmError", "Layer", "Line"),
    *("MachineError", "MakeProfile", "Merge", "PackageResult", "Part", "Patches", "Plan", "Profile", "Reject"),
    *("Request", "RunError", "RunListener", "Settings", "Note", "UsageError", "EmergeOption", "hookimpl", "write_file"),
}
"""Only ever grows."""

HOOKS = {
    "gm_parts": "request settings profile",
    "gm_run_emerge": "plan settings reject listener",
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
    PackageResult: "status seconds phases resources",
    Request: "arguments options",
    Settings: "config state cache host",
    Binpkg: "cpv root build_id build_time use iuse chost path url size digests slot patches",
    Plan: "profile base root configroot arguments env isolation cpu parts",
    Profile: "name cpu layers patches root isolation emerge unmask binpkg",
    Command: "name help add work",
    ContainerRequest: "root program env hostname network",
}
PLUGIN_CODE = [*TOP.glob("examples/**/*.py"), *TOP.glob("tests/data/plugin/*.py"), *TOP.glob("docs/*.md")]
INTERNAL = re.compile(r"^\s*(?:from|import) gentoomuch_portage(?!\.api import)", re.MULTILINE)


@pytest.mark.parametrize(("name", "arguments"), HOOKS.items())
def test_a_hook_keeps_its_arguments(name: str, arguments: str):
    assert set(arguments.split()) <= inspect.signature(getattr(hookspec, name)).parameters.keys()


def test_each_hook_is_listed_here():
    assert {name for name in vars(hookspec) if name.startswith("gm_")} == HOOKS.keys()


@pytest.mark.parametrize(("kind", "names"), FIELDS.items())
def test_a_value_that_hooks_get_keeps_its_fields(kind: type, names: str):
    has = {field.name for field in dataclasses.fields(kind)} if dataclasses.is_dataclass(kind) else {*kind._fields}
    has |= {name for name, value in vars(kind).items() if isinstance(value, property)}

    assert set(names.split()) <= has


def test_the_api_keeps_its_names():
    assert set(api.__all__) >= NAMES
    assert all(hasattr(api, name) for name in api.__all__)


@pytest.mark.parametrize("file", PLUGIN_CODE, ids=lambda file: file.name)
def test_the_code_of_a_plugin_imports_only_the_api(file: Path):
    assert INTERNAL.findall(file.read_text(encoding="utf-8")) == []


def test_a_listener_is_notified_by_the_same_methods_in_a_container():
    from gentoomuch_portage.events.pipe import PipeWriter
    from gentoomuch_portage.events.reporter import RunReporter

    methods = {name for name in vars(RunListener) if name.startswith("on_")} | {"follow"}

    assert len(methods) > 5
    for kind in (PipeWriter, RunReporter):
        assert {name for name in methods if not callable(getattr(kind, name, None))} == set()
