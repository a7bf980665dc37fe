# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch plugins``, ``doctor``, ``demo`` and the door, on a host with real Portage."""

import json
import os
import sys
import time
from pathlib import Path

import pytest
from conftest import BIN
from helpers.dotgentoo import written

from gentoomuch_portage import __version__, version
from gentoomuch_portage.demo_host import Host

_PLUGIN = """
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.plugins.hookspec import hookimpl


@hookimpl
def gm_commands():
    yield Command("greet", "say hello", lambda parser: None, work)


def work(settings, args):
    print("hello from a plugin")
    return 3


@hookimpl
def gm_facts(settings):
    yield {"name": "greeting", "state": "bad", "text": "nobody answers", "hint": "say it louder"}
"""


@pytest.fixture
def joined(tmp_path: Path) -> str:
    """PYTHONPATH of a distribution with the plugin ``greet``."""
    folder = tmp_path / "site"
    about = folder / "gm_greet-1.5.dist-info"
    about.mkdir(parents=True)
    (folder / "gm_greet.py").write_text(_PLUGIN)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: gm-greet\nVersion: 1.5\n")
    (about / "entry_points.txt").write_text("[gentoomuch_portage]\ngreet = gm_greet\n")
    return str(folder)


def test_plugins_lists_builtin_plugins_with_their_hooks(host, on):
    found = {one["name"]: one for one in json.loads(on("gentoomuch", "plugins", "--json").out)}

    assert found["journal"]["hooks"] == ["gm_after_run", "gm_event"]
    assert found["profile"] == {
        "name": "profile", "from": f"gentoomuch-portage {__version__}", "hooks": ["gm_parts"], "left_out": "",
    }  # fmt: skip


def test_plugins_lists_one_of_another_distribution(host, on, joined):
    ended = on("gentoomuch", "plugins", PYTHONPATH=joined)

    assert [line.split() for line in ended.out.splitlines() if "greet" in line] == [
        ["greet", "gm-greet", "1.5", "gm_commands", "gm_facts"]
    ]


def test_plugins_reports_one_that_cannot_be_imported(host, on, joined):
    (Path(joined) / "gm_greet.py").write_text("import nothing_of_that_name\n")

    ended = on("gentoomuch", "plugins", "--json", PYTHONPATH=joined)

    assert [one["left_out"] for one in json.loads(ended.out) if one["name"] == "greet"] == ["it cannot be imported"]
    assert "nothing_of_that_name" in ended.err


def test_plugins_reports_a_disabled_one(host, on, joined):
    ended = on("gentoomuch", "plugins", "--json", PYTHONPATH=joined, GM_DEFAULT_OPTS="--gm-no=greet")

    assert [one["left_out"] for one in json.loads(ended.out) if one["name"] == "greet"] == ["left out by --gm-no"]


def test_a_command_of_a_plugin_is_one_of_gentoomuch(host, on, joined):
    ended = on("gentoomuch", "greet", PYTHONPATH=joined)

    assert (ended.status, ended.out) == (3, "hello from a plugin\n")
    assert "say hello" in on("gentoomuch", "--help", PYTHONPATH=joined).out


def test_doctor_finds_nothing_bad_on_a_good_host(host, on):
    ended = on("gentoomuch", "doctor", "--json")

    states = {one["name"]: one["state"] for one in json.loads(ended.out)}
    assert ended.status == 0, ended.out
    assert {"portage", "compiler", "tar", "state", "cache"} <= {
        name for name, state in states.items() if state == "good"
    }


def test_doctor_reports_facts_of_plugins(host, on, joined):
    ended = on("gentoomuch", "doctor", PYTHONPATH=joined)

    assert ended.status == 1
    assert "nobody answers" in ended.out
    assert "hint: say it louder" in ended.out


def test_doctor_reports_a_plugin_with_an_invalid_fact_as_bad(host, on, joined):
    plugin = Path(joined) / "gm_greet.py"
    plugin.write_text(_PLUGIN.replace('"state": "bad"', '"state": "so-so"'))

    ended = on("gentoomuch", "doctor", PYTHONPATH=joined)

    assert ended.status == 1
    assert "plugin 'greet' returned an invalid fact" in ended.out


def test_doctor_reports_an_invalid_profile_ledger_and_binhost(host, on):
    host.profile("lab", 'layers = ["gone"]\n')
    host.profile("server", "")
    ledger = host.eprefix / "var/lib/gentoomuch/server/unmask.json"
    ledger.parent.mkdir(parents=True)
    ledger.write_text("[{]")
    with (host.config / "gentoomuch.toml").open("a") as toml:
        toml.write(f'[binhost."http://joe:secret@tower"]\nkey = "{"A" * 40}"\n')

    ended = on("gentoomuch", "doctor", "--quiet")

    assert ended.status == 1
    assert "lab.toml:1: layer 'gone' not found" in ended.out
    assert f"{ledger}:1: not a ledger" in ended.out
    assert "hint: gentoomuch binhost client http://tower\n" in ended.out
    assert "secret" not in ended.out
    assert "good" not in ended.out


def test_doctor_reports_enabled_and_stale_hooks(host, on):
    assert on("gentoomuch", "hooks", "enable", "filter", "refresh").status == 0
    refresh = host.etc / "postsync.d/gentoomuch"
    well = on("gentoomuch", "doctor")
    refresh.write_text("mine\n")
    (host.eprefix / "var/lib/gentoomuch/hooks/filter.json").write_text("{")

    ended = on("gentoomuch", "doctor", "--quiet")

    assert (well.status, "enabled: filter, refresh" in well.out) == (0, True), well.out
    assert ended.status == 1
    assert f"refresh: {refresh} was edited" in ended.out
    assert f"hint: rm {refresh}, then: gentoomuch hooks enable refresh" in ended.out
    assert ended.out.count("not the record of a hook") == 1


def test_doctor_reports_a_missing_active_profile(host, on):
    host.profile("lab", "")
    on("gentoomuch", "profile", "set", "lab")
    (host.config / "profiles/lab.toml").unlink()

    ended = on("gentoomuch", "doctor")

    assert ended.status == 1
    assert "hint: gentoomuch profile set --unset" in ended.out


def test_doctor_misses_gtar(host, on):
    (host.bin / "gtar").unlink()

    ended = on("gentoomuch", "doctor")

    if any(os.access(f"{folder}/gtar", os.X_OK) for folder in host.env()["PATH"].split(":")):
        pytest.skip("this machine has a gtar of its own")
    assert ended.status == 1
    assert "gtar" in ended.out


def test_doctor_clean_removes_leftovers_of_killed_runs(host, on):
    cache = host.eprefix / "var/cache/gentoomuch"
    left = (cache / "configroots/.new-killed", cache / "configroots/0123456789abcdef01234567")
    half = cache / "recipes/.0123.json.a1b2c3d4"
    for folder in (*left, half.parent):
        folder.mkdir(parents=True)
    half.write_text("{")
    for path in (*left, half):
        os.utime(path, (time.time() - 3600,) * 2)

    told = on("gentoomuch", "doctor")
    assert told.out.count("hint: gentoomuch doctor --clean") == 2

    on("gentoomuch", "doctor", "--clean")
    assert [path for path in (*left, half) if path.exists()] == []


def test_doctor_clean_never_removes_the_configroot_of_a_run(host, on):
    host.profile("lab", "")
    cache = host.eprefix / "var/cache/gentoomuch"
    script = (
        f'rm -r {cache}/recipes; touch -d "2 hours ago" "$PORTAGE_CONFIGROOT"; '
        'gentoomuch doctor --clean >&2; ls "$PORTAGE_CONFIGROOT"'
    )

    ended = on("gentoomuch", "profile", "run", "lab", "--", "sh", "-c", script)

    assert ended.out == "etc\n", ended.err


@pytest.mark.slow
def test_demo_makes_a_host_with_two_profiles(tmp_path, on):
    ended = on("gentoomuch", "demo", tmp_path / "demo", "--quiet")

    assert ended.status == 0, ended.err
    assert len(list(Host(tmp_path / "demo").config.glob("profiles/*.toml"))) == 2


def test_demo_rejects_a_directory_with_other_files(tmp_path, on):
    (tmp_path / "mine").write_text("")

    ended = on("gentoomuch", "demo", tmp_path)

    assert ended.status >= 64
    assert "Traceback" not in ended.err


def test_version_does_not_import_portage(host, on):
    ended = on(sys.executable, "-X", "importtime", BIN / "gentoomuch", "--version")

    imported = [line.rpartition("|")[2].strip() for line in ended.err.splitlines()]
    assert ended.out == f"gentoomuch-portage {version.describe()}\n"
    assert "gentoomuch_portage.cli.main" in imported
    assert [name for name in imported if name.partition(".")[0] in {"portage", "_emerge", "snakeoil", "pluggy"}] == []


def test_bash_completes_the_profiles_of_this_host(host, on):
    host.profile("router", "")
    page = Path(__file__).parents[2] / "share/bash-completion/completions/gm-emerge"
    line = 'COMP_WORDS=(gm-emerge --gm-profile = r); COMP_CWORD=3; _gm_emerge; echo "${COMPREPLY[@]}"'

    ended = on("bash", "-c", f'source "{page}"; {line}')

    assert (ended.out, ended.err) == ("router\n", "")


@pytest.mark.parametrize(("version", "told"), [("5.2", "is not a valid atom"), ("5.3", "is not a valid atom: ")])
def test_dotgentoo_check_parses_atoms_with_pkgcore_if_it_starts(
    host: Host, on, tmp_path: Path, version: str, told: str
):
    folder = host.folder / f"bash-{version}"
    folder.mkdir()
    claim = f'#!/bin/sh\ncase "$*" in *BASH_VERSINFO*) printf {version} ;; *) exec /bin/bash "$@" ;; esac\n'
    (folder / "bash").write_text(claim)
    (folder / "bash").chmod(0o755)
    written(tmp_path, {"package.mask": "dev-libs/good\n>=dev-libs/bad\n", "package.use": "*/*::x a\n"})

    ended = on("gentoomuch", "dotgentoo", "check", tmp_path, PATH=f"{folder}:{host.env()['PATH']}")

    assert ended.status == 1
    assert [line for line in ended.out.splitlines() if told in line and "package.mask:2" in line], ended.out
    assert "package.use" not in ended.out


def test_dotgentoo_check_parses_atoms_with_portage_if_pkgcore_cannot(host: Host, on, tmp_path: Path):
    """As pkgcore 0.12.33 does with snakeoil 0.11.4 on Python 3.13."""
    pkgcore = tmp_path / "broken/pkgcore/ebuild"
    pkgcore.mkdir(parents=True)
    for package in (pkgcore.parent, pkgcore):
        (package / "__init__.py").touch()
    (pkgcore / "errors.py").write_text("class MalformedAtom(Exception): pass\n")
    (pkgcore / "atom.py").write_text(
        "def atom(text): raise AttributeError(text, 'object is locked against mutation')\n"
    )
    written(tmp_path / "tree", {"package.mask": "dev-libs/good\n>=dev-libs/bad\n"})

    words = (sys.executable, BIN / "gentoomuch", "dotgentoo", "check", tmp_path / "tree")
    ended = on(*words, PYTHONPATH=str(tmp_path / "broken"))

    assert ended.status == 1, ended.err
    assert [line for line in ended.out.splitlines() if "package.mask:2" in line], ended.out


def test_binhost_serve_without_aiohttp_is_no_server(host: Host, on, tmp_path: Path):
    """It was a traceback: our own server was imported before aiohttp was looked for."""
    (tmp_path / "aiohttp.py").write_text("raise ModuleNotFoundError(name='aiohttp')\n")

    ended = on("gentoomuch", "binhost", "serve", host.pkgdir, PYTHONPATH=str(tmp_path))

    assert ended.status == 69
    assert "[no-server]" in ended.err
