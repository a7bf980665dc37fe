# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch patch use``: patch sets in the TOML of a profile."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from gentoomuch_portage.cli.commands import run_command_line
from gentoomuch_portage.config import profile


@pytest.fixture(autouse=True)
def config(monkeypatch: pytest.MonkeyPatch, settings, write) -> Path:
    """A configuration with the patch sets ``friendly`` and ``musl``, and a new profile ``lab``."""
    for name in ("config", "state", "cache"):
        monkeypatch.setenv(f"GM_{name.upper()}", str(getattr(settings, name)))
    monkeypatch.setenv("PORTAGE_CONFIGROOT", str(settings.host.parent.parent))
    for name in ("friendly", "musl"):
        write(f"patches/{name}/app-misc/hello/a.patch", "")
    write("profiles/lab.toml", profile.text("lab"))
    return settings.config


def use(*arguments: str) -> int:
    return run_command_line(["patch", "use", *arguments])


def test_a_set_is_added_once_and_removed(config: Path):
    file = config / "profiles/lab.toml"

    for arguments, sets in [
        (["musl"], ["musl"]),
        (["friendly"], ["musl", "friendly"]),
        (["musl"], ["musl", "friendly"]),
        (["musl", "--remove"], ["friendly"]),
        (["musl", "--remove"], ["friendly"]),
        (["friendly", "--remove"], []),
    ]:
        assert use(*arguments, "--profile", "lab") == 0
        assert tomllib.loads(file.read_text())["patches"] == sets


def test_a_profile_keeps_the_sets_of_gentoomuch_toml(config: Path, write):
    write("gentoomuch.toml", 'patches = ["friendly"]\n')

    use("musl", "--profile", "lab")

    assert tomllib.loads((config / "profiles/lab.toml").read_text())["patches"] == ["friendly", "musl"]


def test_all_changes_the_list_for_profiles_that_have_none(config: Path, capsys):
    assert use("musl", "--all") == 0

    assert (config / "gentoomuch.toml").read_text() == 'patches = ["musl"]\n'
    run_command_line(["patch", "ls", "--json"])
    assert {row["set"]: row["profiles"] for row in json.loads(capsys.readouterr().out)} == {
        "friendly": [], "musl": ["lab"]
    }  # fmt: skip


def test_a_set_stays_outside_of_tables_that_are_uncommented_later(config: Path):
    """``echo 'patches = [...]' >> FILE`` put the key into the last table."""
    file = config / "profiles/lab.toml"

    use("musl", "--profile", "lab")

    tables = re.sub(r"^# (\[.+\])", r"\1", file.read_text(), flags=re.MULTILINE)
    assert len(parsed := tomllib.loads(tables)) > 1
    assert parsed["patches"] == ["musl"]


@pytest.mark.parametrize(
    "before",
    [
        "patches = []\n[binpkg]\nbuild = false\n",
        'patches = [\n    "friendly",\n    "musl2"\n]\n[binpkg]\nbuild = false\n',
        '# patches = ["x"]  # example\n\n# [binpkg]\n',
        "[binpkg]\nbuild = false\n",
        'cpu = "x86-64-v3"  # patches = []\n[unmask]\nkeywords = true\n',
        "",
    ],
)
def test_all_other_keys_and_tables_stay(config: Path, before: str):
    file = config / "profiles/lab.toml"
    file.write_text(before)
    old = tomllib.loads(before)

    assert use("musl", "--profile", "lab") == 0

    assert tomllib.loads(file.read_text()) == {**old, "patches": [*old.get("patches", []), "musl"]}


def test_a_comment_behind_a_value_stays(config: Path):
    file = config / "profiles/lab.toml"
    file.write_text('patches = ["friendly"]  # for the old disk\n')

    use("musl", "--profile", "lab")

    assert file.read_text() == 'patches = ["friendly", "musl"]  # for the old disk\n'


@pytest.mark.parametrize(
    "text",
    [
        'patches = [\n    # for the old disk\n    "friendly",\n]\n',
        'patches = [  # for the old disk\n    "friendly",\n]\n',
        'patches = [\n    "friendly",\n]  # for the old disk\n',
    ],
)
def test_comments_between_the_lines_of_a_list_are_never_lost(config: Path, text: str, capsys):
    file = config / "profiles/lab.toml"
    file.write_text(text)

    assert use("musl", "--profile", "lab") == 64
    assert "[comments-in-value]" in capsys.readouterr().err
    assert file.read_text() == text


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["muls", "--profile", "lab"], "unknown-patch-set"),
        (["musl", "--profile", "lba"], "unknown-profile"),
        (["musl"], "no-profile"),
        (["../musl", "--profile", "lab"], "bad-name"),
        (["musl", "--profile", "lab", "--all"], "usage"),
    ],
)
def test_patch_use_rejects_an_unusable_set_with_one_error(config: Path, arguments: list[str], code: str, capsys):
    before = (config / "profiles/lab.toml").read_text()

    assert use(*arguments) in {64, 78}

    error = capsys.readouterr().err
    assert f"[{code}]" in error
    assert (config / "profiles/lab.toml").read_text() == before


def test_an_invalid_profile_is_not_changed(config: Path, capsys):
    (config / "profiles/lab.toml").write_text("patches = [\n")

    assert use("musl", "--profile", "lab") == 78
    assert (config / "profiles/lab.toml").read_text() == "patches = [\n"
