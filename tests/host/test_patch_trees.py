# SPDX-License-Identifier: GPL-2.0-or-later
"""Work trees: several at once, whose they are, and what each is for."""

import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from helpers.patches import APP, INSTALL, MAIN, MAKE, make_app, package, prepared, put

from gentoomuch_portage import demo_host
from gentoomuch_portage.demo_host import Host

BIN = Path(sys.executable).parent


@pytest.fixture
def app(host: Host) -> Host:
    return make_app(host)


def test_patch_ls_lists_work_trees_and_profiles(app: Host, on):
    put(app, f"hi/{APP}/hello.patch", "")
    app.profile("plain", 'patches = ["hi"]\n')

    found = json.loads(on("gentoomuch", "patch", "ls", "--json").out)

    assert found == [{"set": "hi", "packages": [APP], "patches": 1, "profiles": ["plain"], "trees": []}]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root works for somebody else")
def test_a_work_tree_belongs_to_the_user_of_sudo():
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        host = demo_host.make(Path(folder) / "host")
        host.profile("a", "")
        env = host.env(SUDO_USER="nobody")
        words = [str(BIN / "gentoomuch"), "patch", "prep", "s", "dev-demo/libgreet", "--profile=a"]
        tree = Path(subprocess.check_output(words, env=env, text=True).strip())
        (tree / "greet.c").write_text("int x;\n")
        words = [str(BIN / "gentoomuch"), "patch", "save", "s"]
        subprocess.run(words, env=env, check=True)
        nobody = pwd.getpwnam("nobody").pw_uid

        assert {one.lstat().st_uid for one in (tree, *tree.rglob("*"))} == {nobody}
        assert (host.config / "patches/s/dev-demo/libgreet/libgreet.patch").stat().st_uid == 0


def commit(tree: Path, old: str, new: str) -> None:
    """Replace a word of main.c, and commit it under that name."""
    (tree / "main.c").write_text((tree / "main.c").read_text().replace(old, new))
    subprocess.run(["git", "-C", tree, "commit", "-qam", f"Say {new}"], check=True)


@pytest.mark.slow
def test_a_series_of_two_packages_is_built_saved_and_reopened(app: Host, on):
    first = prepared(on("gentoomuch", "patch", "prep", "both", APP, "--profile=plain"))
    second = prepared(on("gentoomuch", "patch", "prep", "both", "dev-demo/libgreet", "--profile=plain"))
    commit(first, "plain", "fine")
    commit(first, "fine", "finest")
    (second / "greet.c").write_text((second / "greet.c").read_text().replace('"hello"', '"good day"'))

    tried = on("gentoomuch", "patch", "try", "both", "--profile=plain")
    early = on("gentoomuch", "patch", "save", "--series", "both")
    subprocess.run(["git", "-C", second, "commit", "-qam", "Be polite"], check=True)
    saved = on("gentoomuch", "patch", "save", "--series", "both")
    again = on("gentoomuch", "patch", "save", "--series", "both")

    assert tried.status == 0, tried.out
    assert tried.err.count(" builds\n") == 2
    assert (early.status, "[uncommitted]" in early.err, "greet.c" in early.err) == (70, True, True)
    patches = app.config / "patches/both/dev-demo"
    names = ["app/0001-Say-fine.patch", "app/0002-Say-finest.patch", "libgreet/0001-Be-polite.patch"]
    assert saved.out.split() == [str(patches / name) for name in names]
    assert (again.status, again.out) == (0, "")

    app.profile("plain", 'patches = ["both"]\n')
    shutil.rmtree(first)
    tree = prepared(on("gentoomuch", "patch", "prep", "both", APP, "--profile=plain"))
    log = subprocess.check_output(["git", "-C", tree, "log", "--format=%s"], text=True).splitlines()
    assert log[:2] == ["Say finest", "Say fine"]
    assert on("gm-emerge", "--gm-profile=plain", "-q", APP).status == 0
    assert subprocess.check_output([app.eprefix / "usr/bin/app"], text=True) == "finest\n"


def test_a_patch_of_a_range_of_versions_is_for_the_one_that_it_was_made_for(app: Host, on):
    tree = prepared(on("gentoomuch", "patch", "prep", "old", f"<{APP}-2", "--profile=plain"))
    (tree / "main.c").write_text(MAIN.replace("plain", "old"))

    saved = on("gentoomuch", "patch", "save", "old")

    assert saved.out.strip() == str(app.config / "patches/old/dev-demo/app-1.0/app.patch")


def test_two_work_trees_never_save_to_one_directory(app: Host, on):
    tree = prepared(on("gentoomuch", "patch", "prep", "hi", APP, "--profile=plain"))
    package(app, f"{APP}-3.0", {"main.c": MAIN, "Makefile": MAKE, "other.c": ""}, more=INSTALL)

    newer = on("gentoomuch", "patch", "prep", "hi", APP, "--profile=plain")
    other = on("gentoomuch", "patch", "prep", "hi", f"={APP}-3.0", "--profile=plain")

    assert (newer.status, "[work-tree-exists]" in newer.err) == (64, True)
    assert str(tree) in newer.err
    assert other.status == 0


def test_the_version_of_a_work_tree_may_be_an_argument_of_its_own(host: Host, on):
    host.profile("a", "")

    named = on("gentoomuch", "patch", "prep", "fix", "dev-demo/libgreet", "1.0", "--profile=a")
    unknown = on("gentoomuch", "patch", "prep", "fix", "dev-demo/libgreet", "7", "--profile=a")

    assert (prepared(named) / "greet.c").is_file()
    assert unknown.status == 64
    assert "[unknown-package]" in unknown.err
