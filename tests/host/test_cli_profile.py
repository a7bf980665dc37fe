# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch profile ls | show | set | add`` on a host with real Portage."""

import json
from pathlib import Path

import pytest
from helpers.dotgentoo import written

from gentoomuch_portage.demo_host import Host

BOTH = {
    "common/make.conf": 'USE="nls"\nCFLAGS="-O2"\n',
    "small/make.conf": 'USE="-nls"\nCFLAGS="-Os"\n',
}

EXITS = 'raise SystemExit("bash is too old")\n'
WARNS = """\
import logging, pathlib
logging.basicConfig()
logging.getLogger("pkgcore").warning("bash is too old")
pathlib.Path(__file__).with_name("imported").touch()
class RepoConfig:
    profiles = ()
    def __init__(self, place): pass
def atom(text): pass
class MalformedAtom(Exception): pass
"""


@pytest.fixture
def router(host: Host) -> Host:
    """A profile ``router`` of two layers that contradict each other, and ``desktop`` of the first alone."""
    host.profile("router", 'cpu = "x86-64"\nlayers = ["common", "small"]\n', BOTH)
    host.profile("desktop", 'layers = ["common"]\nroot = "/mnt/desktop"\nisolation = "none"\n')
    return host


def test_ls_json_has_exactly_the_documented_keys(router, on):
    on("gentoomuch", "profile", "set", "router")

    ended = on("gentoomuch", "profile", "ls", "--json")

    plain = {"make_profile": "", "isolation": "none"}
    assert json.loads(ended.out) == [
        {"name": "desktop", "cpu": "", "root": "/mnt/desktop", "set": False, **plain},
        {"name": "router", "cpu": "x86-64", "root": "/", "set": True, **plain},
    ]


def test_ls_shows_a_broken_profile_with_its_error_and_the_others(router, on):
    router.profile("broken", "cpu = \n")

    ended = on("gentoomuch", "profile", "ls")

    assert ended.status == 0
    assert "broken.toml:1: not valid TOML" in ended.out
    assert "desktop" in ended.out
    assert [one.get("error", "")[:1] for one in json.loads(on("gentoomuch", "profile", "ls", "--json").out)] == [
        "/",
        "",
        "",
    ]


def test_ls_marks_the_profile_that_is_set(router, on):
    on("gentoomuch", "profile", "set", "desktop")

    marked = [line for line in on("gentoomuch", "profile", "ls").out.splitlines() if line.startswith("*")]

    assert [line.split()[1] for line in marked] == ["desktop"]


def test_ls_gentoo_lists_the_make_profiles_of_the_repositories(host, on):
    ended = on("gentoomuch", "profile", "ls", "--gentoo", "--json")

    (found,) = json.loads(ended.out)
    assert (found["repository"], found["path"], found["status"]) == ("gm-demo", "machine", "stable")


def test_ls_gentoo_prints_the_same_with_pkgcore_and_portage(host, on):
    (host.repository / "profiles/machine/deprecated").write_text("gm-demo:other\n")
    command = ("gentoomuch", "profile", "ls", "--gentoo", "--json")

    by_portage = on(*command, PYTHONPATH=write_pkgcore(host, EXITS))
    by_pkgcore = on(*command, PATH=f"{_bash(host, '5.3')}:{host.env()['PATH']}")

    assert json.loads(by_portage.out)[0]["deprecated"] is True
    assert by_pkgcore.out == by_portage.out


def test_doctor_names_pkgcore_as_the_reader_of_make_profiles(host, on):
    ended = on("gentoomuch", "doctor", PATH=f"{_bash(host, '5.3')}:{host.env()['PATH']}")

    assert "profile ls --gentoo uses pkgcore" in ended.out


@pytest.mark.parametrize(("source", "reason"), [(EXITS, "bash is too old"), ("import missing\n", "'missing'")])
def test_doctor_names_portage_as_the_reader_if_pkgcore_cannot_be_imported(host, on, source, reason):
    ended = on("gentoomuch", "doctor", PYTHONPATH=write_pkgcore(host, source))

    (line,) = [line for line in ended.out.splitlines() if "profile ls --gentoo uses Portage" in line]
    assert reason in line


@pytest.mark.parametrize("command", [("profile", "ls", "--gentoo"), ("dotgentoo", "check", ".")])
def test_warnings_of_pkgcore_are_not_printed(host, on, tmp_path, command):
    """pkgcore 0.12.48 warns of any bash before 5.3, whatever the EAPIs that are used."""
    written(tmp_path / "project", {"package.mask": "dev-libs/bad\n"})
    python = write_pkgcore(host, WARNS)

    ended = on("gentoomuch", *command, cwd=tmp_path / "project", PYTHONPATH=python)

    assert Path(python, "pkgcore/ebuild/imported").exists()
    assert "bash is too old" not in ended.err + ended.out


def write_pkgcore(host: Host, source: str) -> str:
    """Write a pkgcore whose modules have this source; return the directory for PYTHONPATH."""
    package = host.folder / "python/pkgcore/ebuild"
    package.mkdir(parents=True)
    for folder in (package.parent, package):
        (folder / "__init__.py").touch()
    for name in ("repo_objs", "atom", "errors"):
        (package / f"{name}.py").write_text(source)
    return str(package.parents[1])


def _bash(host: Host, version: str) -> str:
    """A folder with a bash that claims to be of a version."""
    folder = host.folder / f"bash-{version}"
    folder.mkdir()
    (folder / "bash").write_text(
        f'#!/bin/sh\ncase "$*" in *BASH_VERSINFO*) printf {version} ;; *) exec /bin/bash "$@" ;; esac\n'
    )
    (folder / "bash").chmod(0o755)
    return str(folder)


def test_a_make_profile_of_a_repository_is_found_by_its_name(host, on):
    host.profile("lab", 'base = "host"\nmake_profile = "gm-demo:machine"\n')

    ended = on("gentoomuch", "profile", "run", "lab", "--", "portageq", "envvar", "ARCH")

    assert ended.status == 0, ended.err
    assert ended.out.strip()


def test_show_prints_each_value_with_its_place(router, on):
    (router.config / "gentoomuch.toml").write_text('\nisolation = "auto"\n')

    ended = on("gentoomuch", "profile", "show", "router", "--json")

    values = json.loads(ended.out)["values"]
    assert values["cpu"] == {"value": "x86-64", "where": f"{router.config}/profiles/router.toml:1"}
    assert values["isolation"] == {"value": "auto", "where": f"{router.config}/gentoomuch.toml:2"}
    assert values["binpkg.unknown"] == {"value": "reject", "where": "default"}


def test_show_prints_layers_and_contradictions_of_the_active_profile(router, on):
    on("gentoomuch", "profile", "set", "router")

    ended = on("gentoomuch", "profile", "show")

    assert ended.status == 0, ended.err
    assert f"{router.config}/layers/small" in ended.out
    assert (
        f"USE: nls is on in layer 'common' and off in 'small'  [flag]\n    {router.config}/layers/common/make.conf:1"
        in ended.out
    )


def test_show_without_a_profile_has_a_hint(router, on):
    ended = on("gentoomuch", "profile", "show")

    assert ended.status == 64
    assert "[no-profile]" in ended.err
    assert "desktop, router" in ended.err


def test_gm_emerge_uses_the_active_profile(router, on):
    on("gentoomuch", "profile", "set", "router")

    assert "profile router" in on("gm-emerge", "--info").out

    on("gentoomuch", "profile", "set", "--unset")
    assert "profile router" not in on("gm-emerge", "--info").out


def test_a_profile_that_is_not_there_cannot_be_set(router, on):
    ended = on("gentoomuch", "profile", "set", "ruter")

    assert ended.status == 64
    assert "hint: gentoomuch profile set router" in ended.err
    assert not (router.eprefix / "var/lib/gentoomuch/profile").exists()


def test_add_makes_a_profile_that_can_be_used_at_once(host, on):
    made = on("gentoomuch", "profile", "add", "box", "--here")

    assert made.status == 0, made.err
    assert (host.config / "layers").is_dir()
    assert on("gentoomuch", "profile", "run", "box", "--", "true").status == 0


def test_add_never_overwrites(router, on):
    before = (router.config / "profiles/router.toml").read_text()

    ended = on("gentoomuch", "profile", "add", "router", "--from", "desktop", "--here")

    assert ended.status == 64
    assert (router.config / "profiles/router.toml").read_text() == before


def test_add_from_another_copies_it(router, on):
    on("gentoomuch", "profile", "add", "twin", "--from", "router", "--here")

    assert on("gentoomuch", "profile", "diff", "router", "twin").out == ""


@pytest.mark.parametrize("name", ["../x", ".x", "a/b", ""])
def test_add_rejects_a_name_outside_of_its_directory(host, on, name):
    ended = on("gentoomuch", "profile", "add", name, "--here")

    assert ended.status == 78
    assert not (host.config / "x.toml").exists()
