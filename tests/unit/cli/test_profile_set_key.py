# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch profile set-key`` and ``gentoomuch config``."""

import json
import shlex
import tomllib
from pathlib import Path

import pytest

from gentoomuch_portage.cli.commands import run_command_line

LAB = '# mine\nbase = "none"\nmake_profile = "a"\nroot = "/srv/roots/lab"  # why\n\n[binpkg]\nuse = true\n'


@pytest.fixture(autouse=True)
def lab(monkeypatch: pytest.MonkeyPatch, settings, write) -> Path:
    """The file of the profile ``lab``."""
    for name in ("config", "state", "cache"):
        monkeypatch.setenv(f"GM_{name.upper()}", str(getattr(settings, name)))
    monkeypatch.setenv("PORTAGE_CONFIGROOT", str(settings.host.parent.parent))
    return write("profiles/lab.toml", LAB)


@pytest.mark.parametrize(
    ("key", "typed", "value"),
    [
        ("cpu", "znver3", "znver3"),
        ("cpu", '"znver3"', "znver3"),
        ("cpu", "5", "5"),
        ("isolation", "auto", "auto"),
        ("packages", '["@a", "b/c"]', ["@a", "b/c"]),
        ("binpkg.use", "false", False),
        ("container.processes", "100", 100),
        ("unmask.live", '["a/b"]', ["a/b"]),
        ("unmask.live", "true", True),
    ],
)
def test_a_value_is_written_with_the_type_of_its_key(lab: Path, key: str, typed: str, value: object):
    run_command_line(["profile", "set-key", "lab", key, typed])

    *tables, name = key.split(".")
    values = tomllib.loads(lab.read_text())
    assert (values[tables[0]] if tables else values)[name] == value
    assert lab.read_text().startswith("# mine\n")
    assert "  # why\n" in lab.read_text()


@pytest.mark.parametrize(
    ("line", "status", "code"),
    [
        ("lab cpo x", 64, "unknown-key"),
        ("lab use true", 64, "unknown-key"),
        ("lab binpkg true", 64, "unknown-key"),
        ("lab binhost.x.cpu haswell", 64, "unknown-key"),
        ("lab binpkg.use yes", 64, "bad-value"),
        ("lab binpkg.use 1", 64, "bad-value"),
        ("lab isolation chroot", 64, "bad-value"),
        ("lab root srv", 64, "bad-value"),
        ("lab layers common", 64, "bad-value"),
        ("lab layers '[1]'", 64, "bad-value"),
        ("lab container.processes -1", 64, "bad-value"),
        ("lab container.disk 20X", 64, "bad-value"),
        ("lab packages '[\"vim\"]'", 64, "bad-value"),
        ("lab layers '[]\nroot = \"/\"'", 64, "bad-value"),
        ("lab container.show '[\"/\"]'", 78, "bad-setting"),
        ("lba cpu x", 64, "unknown-profile"),
        ("../x cpu x", 78, "bad-name"),
        ("lab cpu", 64, "usage"),
    ],
)
def test_a_wrong_argument_changes_nothing(lab: Path, line: str, status: int, code: str, capsys):
    assert run_command_line(["profile", "set-key", *shlex.split(line)]) == status

    assert f"[{code}]" in capsys.readouterr().err
    assert lab.read_text() == LAB


def test_the_profile_is_linted_afterwards(lab: Path, capsys):
    assert run_command_line(["profile", "set-key", "lab", "layers", '["ghost"]']) == 1

    output = capsys.readouterr().out
    assert "[bad-layer]" in output
    assert f"{lab}:5" in output


def test_an_invalid_profile_is_not_changed(lab: Path, capsys):
    lab.write_text("cpu = 1\n")

    assert run_command_line(["profile", "set-key", "lab", "root", "/srv/x"]) == 78
    assert (lab.read_text(), "[bad-setting]" in capsys.readouterr().err) == ("cpu = 1\n", True)


def read_config(capsys, *words: str) -> dict[str, dict[str, object]]:
    assert run_command_line(["config", "--json", *words]) == 0
    return json.loads(capsys.readouterr().out)


def test_config_reports_the_file_and_line_that_set_each_value(lab: Path, settings, write, capsys):
    top = write(
        "gentoomuch.toml", 'strict = true\nisolation = "auto"\n[binhost."http://me:secret@tower/x"]\ncpu = "i686"\n'
    )

    values = read_config(capsys, "--profile", "lab")["values"]

    assert values["root"] == {"value": "/srv/roots/lab", "where": f"{lab}:4"}
    assert values["binpkg.use"] == {"value": True, "where": f"{lab}:7"}
    assert values["isolation"] == {"value": "auto", "where": f"{top}:2"}
    assert values["strict"] == {"value": True, "where": f"{top}:1"}
    assert values["paths.state"] == {"value": str(settings.state), "where": "GM_STATE"}
    assert values["unmask.live"] == {"value": False, "where": "default"}
    assert values['binhost."http://tower/x".cpu'] == {"value": "i686", "where": f"{top}:4"}
    assert values['binhost."http://tower/x".max_age'] == {"value": 0, "where": "default"}
    assert "secret" not in str(values)


def test_config_reports_options_of_the_command_line(settings, tmp_path: Path, capsys):
    values = read_config(capsys, "--state", str(tmp_path / "other"))["values"]

    assert values["paths.state"] == {"value": str(tmp_path / "other"), "where": "--state"}


def test_config_uses_the_active_profile_and_defaults_without_one(settings, capsys):
    assert read_config(capsys)["profile"] is None
    assert run_command_line(["profile", "set", "lab"]) == 0
    capsys.readouterr()

    config = read_config(capsys, "root")
    assert (config["profile"], config["values"]["root"]["value"]) == ("lab", "/srv/roots/lab")


@pytest.mark.parametrize(
    ("key", "keys"), [("cpu", {"cpu"}), ("paths", {"paths.state", "paths.cache"}), ("binhost", set())]
)
def test_config_shows_one_key_or_the_keys_of_a_table(key: str, keys: set[str], capsys):
    assert read_config(capsys, key)["values"].keys() == keys


def test_config_suggests_the_nearest_key(capsys):
    assert run_command_line(["config", "binpkg.ues"]) == 64

    assert "hint: gentoomuch config binpkg.use\n" in capsys.readouterr().err
