# SPDX-License-Identifier: GPL-2.0-or-later
"""Hooks for plain emerge are written and removed to the byte; emaint's module stands on its own."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.errors import raises

from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import NoPrivilege
from gentoomuch_portage.portage_hooks import install
from gentoomuch_portage.portage_hooks.catalog import ALL, Places

COMMAND = Path("/opt/with space/bin/gentoomuch")


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """A host of empty folders."""
    found = Places(tmp_path / "etc/portage", tmp_path, tmp_path / "modules")
    for folder in (found.etc, found.emaint):
        folder.mkdir(parents=True)
    return found


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings whose state is in the folder of the test."""
    return Settings.load({"GM_STATE": str(tmp_path / "state"), "GM_CONFIG": str(tmp_path / "config")})


@pytest.mark.parametrize("hook", ALL, ids=lambda hook: hook.name)
def test_every_hook_is_removed_completely_with_spaces_in_its_path(settings: Settings, places: Places, hook):
    before = sorted(places.eprefix.rglob("*"))

    wrote = install.enable(settings, hook, places, command=COMMAND, profile="here")
    texts = [path.read_text() for path in wrote]
    states = {one.hook.name for one in install.load_states(settings, places) if one.state == "enabled"}
    install.disable(settings, hook)

    assert states == {hook.name}
    assert not [text for text in texts if "@GENTOOMUCH@" in text or "PROFILE@" in text]
    assert all("/opt/with space" not in text or "'/opt/with space/bin/gentoomuch'" in text for text in texts)
    assert [path for path in sorted(places.eprefix.rglob("*")) if "state" not in path.parts] == before


def test_a_link_in_the_place_of_a_hook_is_the_users_own(settings: Settings, places: Places, tmp_path: Path):
    (places.etc / "bashrc").symlink_to(tmp_path / "elsewhere")

    with raises("hook-taken"):
        install.enable(settings, install.find_hook("bashrc"), places, command=COMMAND)

    assert not (tmp_path / "elsewhere").exists()


def test_a_hook_that_is_enabled_again_is_written_anew(settings: Settings, places: Places):
    (place,) = install.enable(settings, install.find_hook("record"), places, command=COMMAND, profile="old")

    install.enable(settings, install.find_hook("record"), places, command=COMMAND, profile="new")

    assert " new ||" in place.read_text()
    assert " old ||" not in place.read_text()


def test_a_broken_hook_is_reported_with_a_working_hint(settings: Settings, places: Places, tmp_path: Path):
    hook = install.find_hook("record")
    command = tmp_path / "gentoomuch"
    command.touch(mode=0o755)
    (place,) = install.enable(settings, hook, places, command=command, profile="here")
    text = place.read_text()

    def ailing(*profiles: str) -> tuple[str, str]:
        return install.find_problem(settings, hook, places, profiles)

    well, unknown = ailing("here"), ailing("there")
    moved = install.find_problem(settings, hook, replace(places, eprefix=tmp_path / "new"), ["here"])
    place.write_text(f"{text}# mine\n")
    edited = ailing("here")
    place.unlink()
    removed = ailing("here")
    place.write_text(text)
    command.unlink()
    gone = ailing("here")

    again = "gentoomuch hooks enable record"
    assert well == ("", "")
    assert unknown == ("its profile 'here' does not exist", again)
    assert moved == (
        "it was enabled by another version",
        f"gentoomuch hooks disable record, then: {again} --profile here",
    )
    assert edited == (f"{place} was edited", f"rm {place}, then: {again}")
    assert removed == (f"{place} was removed", again)
    assert gone == (f"its program {command} does not exist", f"{again} --profile here")


def test_a_record_of_before_programs_were_noted_down_is_read(settings: Settings, places: Places):
    hook = install.find_hook("filter")
    install.enable(settings, hook, places, command=Path("/bin/true"))
    record = settings.state / "hooks/filter.json"
    old = {key: told for key, told in json.loads(record.read_text()).items() if key in {"files", "folders"}}
    record.write_text(json.dumps(old))

    assert install.find_problem(settings, hook, places, []) == ("", "")


def test_an_unknown_hook_is_answered_with_the_nearest():
    with raises("unknown-hook", match="hook 'filtre' not found") as told:
        install.find_hook("filtre")

    assert told.value.correction == ("filtre", ("filter",), 1)


def test_the_emaint_module_reports_a_missing_gentoomuch(settings: Settings, places: Places):
    install.enable(settings, install.find_hook("emaint"), places, command=COMMAND)

    code = "from gentoomuch import module_spec; from gentoomuch.hooks import Hooks; print(Hooks().check())"
    argv = [sys.executable, "-S", "-B", "-c", code]
    ended = subprocess.run(argv, cwd=places.emaint, env={}, capture_output=True, text=True, check=True)

    assert ended.stdout.startswith("(False, ['gentoomuch is not installed")


@pytest.mark.parametrize("hook", ALL, ids=lambda hook: hook.name)
def test_without_write_permission_no_record_of_a_hook_is_written(settings: Settings, places: Places, monkeypatch, hook):
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere

    with pytest.raises(NoPrivilege):
        install.enable(settings, hook, places, command=COMMAND)

    assert not settings.state.exists()
