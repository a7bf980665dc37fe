# SPDX-License-Identifier: GPL-2.0-or-later
"""A plugin of another distribution, installed by pip: it joins, is left out, breaks, and is gone again."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gentoomuch_portage.demo_host import Host

LAMP = Path(__file__).parents[1] / "data/plugin"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder into which pip has installed the plugin ``lamp``; on PYTHONPATH it counts."""
    source = shutil.copytree(LAMP, tmp_path / "gm-lamp")
    words = [
        "install",
        "--quiet",
        "--no-index",
        "--no-deps",
        "--no-build-isolation",
        "--target",
        tmp_path / "site",
        source,
    ]
    subprocess.run([sys.executable, "-m", "pip", "--disable-pip-version-check", *words], check=True)
    return tmp_path / "site"


@pytest.fixture
def lit(host: Host, on, site: Path):
    """Run gm-emerge for a profile ``a``, with the plugin in reach."""
    host.profile("a", "")
    return lambda *words, **env: on("gm-emerge", "--gm-profile=a", *words, **{"PYTHONPATH": str(site), **env})


def parts(ended) -> dict[str, list[str]]:
    """Plugin -> texts of its parts."""
    assert ended.status == 0, ended.err
    found: dict[str, list[str]] = {}
    for part in json.loads(ended.out)["parts"]:
        found.setdefault(part["plugin"], []).append(part["text"])
    return found


def test_a_plugin_adds_a_line_a_variable_and_an_option_and_is_notified_at_the_end(host: Host, lit):
    explained = lit("--gm-explain=json", "libgreet")
    ended = lit("-p", "libgreet")

    assert parts(explained)["lamp"] == ["package.use: dev-demo/libgreet shout", "LAMP=lit", "--verbose"]
    plan = json.loads(explained.out)
    assert plan["env"]["LAMP"] == "lit"
    assert plan["arguments"] == ["--usepkg", "--verbose", "libgreet"]
    assert ended.status == 0
    assert 'USE="shout"' in ended.out
    assert (host.eprefix / "var/lib/gentoomuch/a/lamp").read_text() == "0 out\n"


def test_a_disabled_plugin_is_not_called(host: Host, lit):
    explained = lit("--gm-explain=json", "--gm-no=lamp", "libgreet")
    ended = lit("-pv", "--gm-no=lamp", "libgreet", GM_LAMP="gm_parts")

    assert "lamp" not in parts(explained)
    assert 'USE="-shout"' in ended.out
    assert not (host.eprefix / "var/lib/gentoomuch/a/lamp").exists()


def test_an_uninstalled_plugin_is_not_listed(lit, site: Path):
    assert "lamp" in parts(lit("--gm-explain=json", "libgreet"))

    shutil.rmtree(site)

    assert "lamp" not in parts(lit("--gm-explain=json", "libgreet"))
    assert lit("-pq", "--gm-no=lamp", "libgreet").status == 64


@pytest.mark.parametrize("hook", ["gm_parts", "gm_run_emerge"])
def test_a_plugin_that_raises_is_one_error_with_its_name(lit, hook: str):
    ended = lit("-pq", "libgreet", GM_LAMP=hook)

    assert ended.status == 70
    assert ended.out == ""
    assert ended.err.splitlines() == [
        f"gentoomuch: plugin 'lamp' failed in {hook}: ValueError: broken in gm_lamp.py  [plugin-failed]",
        "gentoomuch:     hint: --gm-no=lamp disables it",
    ]


def test_a_plugin_that_raises_when_all_is_over_is_one_warning(lit):
    ended = lit("-pq", "libgreet", GM_LAMP="gm_after_run")

    assert ended.status == 0
    assert "libgreet-1.0" in ended.out
    assert ended.err == "gentoomuch: plugin 'lamp' did not record this run: broken in gm_lamp.py\n"


def test_plugins_are_not_called_without_a_profile(host: Host, on, site: Path):
    ended = on("gm-emerge", "-pv", "libgreet", PYTHONPATH=str(site))

    assert ended.status == 0
    assert 'USE="-shout"' in ended.out


def test_a_plugin_that_cannot_be_imported_is_skipped_unless_strict(lit, site: Path):
    (site / "gm_lamp.py").write_text("import there_is_no_such_module\n")

    lenient, strict = lit("-pq", "libgreet"), lit("-pq", "libgreet", GM_STRICT="1")

    assert lenient.status == 0
    assert lenient.err.startswith("gentoomuch: plugin 'lamp' skipped: ModuleNotFoundError")
    assert strict.status == 70
    assert "[plugin-failed]" in strict.err
