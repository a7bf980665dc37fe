# SPDX-License-Identifier: GPL-2.0-or-later
"""A key of a profile is one row of ``config/schema.py``: everything else is derived from it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import gentoomuch_portage

TOP = Path(__file__).parents[3]
ROWS = """
    Key("motto", str, "plain", "a line that is printed", example="onwards", pattern="[a-z]+", rule="a word"),
    Key("binpkg.speed", int, 7, "how fast packages are", unit="knots", minimum=3),
"""
SCRIPT = """
import json, sys
from pathlib import Path
import manual
from manual import config_keys
from gentoomuch_portage.config import isolation_kinds, profile, schema
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.freeze import profile as freeze_profile
from gentoomuch_portage.reports import lint

config = Path(sys.argv[1])
def lint_profile(text):
    (config / "profiles/bad.toml").write_text(text)
    [finding] = lint.lint_profiles(settings, ["bad"])
    return [finding.kind, finding.text]

(config / "profiles").mkdir()
(config / "profiles/lab.toml").write_text('base = "none"\\nmotto = "onwards"\\n')
settings = Settings.load({"GM_CONFIG": str(config)})
lab = profile.read(settings, "lab")
print(json.dumps({
    "file": schema.__file__,
    "values": [lab.values["motto"], lab.binpkg["speed"]],
    "line": lab.where("motto"),
    "template": profile.text("new"),
    "page": list(config_keys.rows(schema.PROFILE_KEYS)),
    "frozen": freeze_profile.format_profile(lab, None, ""),
    "lint": [lint_profile("moto = 'x'\\n"), lint_profile("motto = 'A b'\\n"), lint_profile("[binpkg]\\nspeed = 2\\n")],
    "completion": sum("jail" in text for text in manual.made().values()),
}))
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """What a copy of the package reports that has two more rows and one more kind of container."""
    top = tmp_path_factory.mktemp("top")
    package = shutil.copytree(Path(gentoomuch_portage.__file__).parent, top / "gentoomuch_portage")
    for name, before, after in (
        ("schema", "PROFILE_KEYS = (", f"PROFILE_KEYS = ({ROWS}"),
        ("isolation_kinds", "(BWRAP, ", '(IsolationKind("jail"), BWRAP, '),
    ):
        file = package / f"config/{name}.py"
        text = file.read_text()
        assert before in text
        file.write_text(text.replace(before, after))
    argv = [sys.executable, "-c", SCRIPT, str(tmp_path_factory.mktemp("config"))]
    environ = {**os.environ, "PYTHONPATH": f"{top}{os.pathsep}{TOP / 'tools'}"}
    ended = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=top, env=environ)
    assert ended.returncode == 0, ended.stderr
    report = json.loads(ended.stdout)
    assert Path(report["file"]).is_relative_to(top)
    return report


def test_a_new_key_has_its_default_and_its_value(seen):
    assert seen["values"] == ["onwards", 7]
    assert seen["line"].endswith("profiles/lab.toml:2")


def test_a_new_key_is_in_the_template_of_a_profile(seen):
    assert '# motto = "plain"' in seen["template"]
    assert "# speed = 7" in seen["template"]


def test_a_new_key_is_on_the_page_of_keys(seen):
    assert '| `motto` | a string | `"plain"` | a line that is printed |' in seen["page"]
    assert "| `binpkg.speed` | a number (knots) | `7` | how fast packages are |" in seen["page"]


def test_a_new_key_is_in_a_frozen_profile(seen):
    assert 'motto = "onwards"' in seen["frozen"]
    assert "speed = 7" in seen["frozen"]


def test_lint_checks_the_rules_of_a_new_key(seen):
    unknown, no_word, too_small = seen["lint"]

    assert [code for code, _ in seen["lint"]] == ["bad-setting"] * 3
    assert "moto" in unknown[1]
    assert "not a word" in no_word[1]
    assert "less than 3" in too_small[1]


def test_a_new_kind_of_container_is_completed_and_documented(seen):
    assert seen["completion"] == 6  # of both programs, in three shells
    assert any('"jail"' in row for row in seen["page"])
    assert "jail" in seen["template"]
