# SPDX-License-Identifier: GPL-2.0-or-later
"""Configroots by content: the same for the same, another when anything changes, whole or not there."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.errors import raises

from gentoomuch_portage.configroot import cache
from gentoomuch_portage.errors import BadFile, NoPrivilege
from gentoomuch_portage.plan.plan import File, Line, MakeProfile

AS_ROOT = pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")


def test_a_configroot_is_made_once_and_found_again(world):
    first, second = world.lay(), world.lay()

    assert (first.built, second.built) == (True, False)
    assert (first.path, first.facts) == (second.path, second.facts)
    assert first.facts["PKGDIR"] == str(world.host.pkgdir)


def test_the_portage_user_gets_into_a_configroot_whatever_the_umask(world):
    before = os.umask(0o077)
    try:
        laid = world.lay()
    finally:
        os.umask(before)

    folders = [world.cache, *(path for path in world.cache.rglob("*") if path.is_dir() and not path.is_symlink())]
    assert (laid.path / "etc/portage/package.use") in folders
    assert {path.stat().st_mode & 0o777 for path in folders} == {0o755}


def test_equal_content_has_an_equal_name(world, tmp_path: Path):
    first = world.lay().path.name
    other = world.lay(world.recipe._replace(parts=(*world.recipe.parts, ("x", Line("package.mask", "a/a"))))).path.name
    world.cache = tmp_path / "other"

    assert world.lay().path.name == first
    assert other != first


def test_two_recipes_of_equal_content_share_one_configroot(world):
    with_more = world.recipe._replace(parts=(*world.recipe.parts, ("x", File("bashrc", "true"))))
    first = world.lay(with_more)
    (world.layers / "two/bashrc").write_text("true\n")

    assert world.lay().path == first.path
    assert len(world.stand) == 1


def test_a_configroot_that_another_recipe_rebuilt_counts_as_unchanged(world):
    with_more = world.recipe._replace(parts=(*world.recipe.parts, ("x", File("bashrc", "true"))))
    first = world.lay(with_more).path
    (world.layers / "two/bashrc").write_text("true\n")
    world.lay()

    for recipe in (with_more, world.recipe):
        shutil.rmtree(first)
        assert cache.find_changed(world.lay(recipe).path) == []
    (first / "etc/portage/bashrc").write_text("false\n")
    assert cache.find_changed(first) == [first / "etc/portage/bashrc"]


CHANGES: dict[str, Callable[..., object]] = {
    "a file of a layer": lambda w: (w.layers / "two/package.use/x").write_text("a/a y\n"),
    "a file added": lambda w: (w.layers / "two/package.use/z").write_text("a/b y\n"),
    "a folder added": lambda w: (w.layers / "one/env").mkdir(),
    "a file removed": lambda w: (w.layers / "two/package.use/x").unlink(),
    "a file renamed": lambda w: (w.layers / "two/package.use/x").rename(w.layers / "two/package.use/y"),
    "the target of a link": lambda w: (w.layers / "one/more").write_text("A=2\n"),
    "a link to elsewhere": lambda w: relinked(w.layers / "one/linked", "make.conf"),
    "a layer that became a link": lambda w: relinked(w.layers / "two", "one"),
    "the mode of a file": lambda w: (w.layers / "two/package.use/x").chmod(0o600),
    "the make.conf of the host": lambda w: appended(w.host.etc / "make.conf"),
    "a new file of the host": lambda w: w.host.write("package.mask", "a/a\n"),
    "the old make.conf of the host": lambda w: (w.host.etc.parent / "make.conf").write_text("B=1\n"),
    "the make.profile of the host": lambda w: relinked(w.host.etc / "make.profile", w.host.repository / "profiles"),
    "make.defaults": lambda w: appended(w.host.repository / "profiles/machine/make.defaults"),
    "a parent of the make_profile": lambda w: with_parent(w.host.repository / "profiles"),
    "a file of the same size in the same second": lambda w: rewritten(w.layers / "two/package.use/x", "a/a y\n"),
}


def relinked(link: Path, target: str | Path) -> None:
    if link.is_dir() and not link.is_symlink():
        shutil.rmtree(link)
    else:
        link.unlink()
    link.symlink_to(target)


def appended(file: Path) -> None:
    file.write_text(file.read_text() + "# more\n")


def with_parent(profiles: Path) -> None:
    (profiles / "base").mkdir()
    (profiles / "machine/parent").write_text("../base\n")


def rewritten(file: Path, text: str) -> None:
    seen = file.stat()
    assert len(text) == seen.st_size
    file.write_text(text)
    os.utime(file, ns=(seen.st_atime_ns, seen.st_mtime_ns))


@pytest.mark.parametrize("change", CHANGES)
def test_a_configroot_is_rebuilt_if_its_sources_change(world, change: str):
    world.lay()
    assert not world.lay().built

    CHANGES[change](world)

    assert world.lay().built
    assert not world.lay().built


def test_files_in_a_configroot_have_no_more_read_permissions_than_their_sources(world):
    (world.host.etc / "make.conf").chmod(0o640)
    (world.layers / "one/make.conf").chmod(0o604)

    made = world.lay().path / "etc/portage/make.conf"

    assert made.stat().st_mode & 0o777 == 0o600


def test_a_file_with_a_password_of_a_plugin_has_mode_0600(world):
    def mode(url: str) -> int:
        part = File("binrepos.conf", f"[x]\nsync-uri = {url}\n")
        shown = world.lay(world.recipe._replace(parts=(*world.recipe.parts, ("x", part)))).path / "etc/portage"
        (made,) = (one for one in shown.rglob("binrepos.conf/*") if one.is_file())
        return made.stat().st_mode & 0o777

    assert (mode("http://joe:secret@tower/x"), mode("http://tower/x")) == (0o600, 0o644)


def test_make_globals_is_one_of_the_things_that_it_depends_on(world):
    world.lay()

    (recipe,) = (world.cache / "recipes").iterdir()

    looked_at = [name for name in json.loads(recipe.read_text())["value"]["inputs"] if name.endswith("/make.globals")]
    assert [Path(name).is_file() for name in looked_at] == [True]


def test_a_new_repository_that_precedes_the_one_of_make_profile_is_noticed(world):
    (world.host.folder / "second/profiles/machine").mkdir(parents=True)
    (world.host.folder / "second/profiles/repo_name").write_text("second\n")
    (world.host.folder / "second/profiles/other").mkdir()
    world.host.write("repos.conf/second.conf", f"[second]\nlocation = {world.host.folder / 'second'}\n")
    recipe = world.recipe._replace(parts=(("p", MakeProfile("other", "f:1")),))
    before = (world.lay(recipe).path / "etc/portage/make.profile").resolve()

    (world.host.repository / "profiles/other").mkdir()
    laid = world.lay(recipe)

    assert laid.built
    assert before == world.host.folder / "second/profiles/other"
    assert (laid.path / "etc/portage/make.profile").resolve() == world.host.repository / "profiles/other"


def test_a_file_changed_as_short_before_as_the_clock_is_coarse_is_not_trusted(world, monkeypatch):
    monkeypatch.setattr(cache, "_RACY", 2_000_000_000)
    world.lay()

    assert world.lay().built


@pytest.mark.parametrize("how", ["changed", "added", "removed", "replaced"])
def test_an_altered_configroot_is_not_used_again(world, how: str):
    laid = world.lay()
    file = laid.path / "etc/portage/package.use/2-two/x"
    match how:
        case "changed":
            file.write_text("a/a -x\n")
        case "added":
            (file.parent / "zz").write_text("a/a -x\n")
        case "removed":
            file.unlink()
        case "replaced":
            relinked(file, "/dev/null")

    again = world.lay()

    assert again.built
    assert again.path == laid.path
    assert (again.path / "etc/portage/package.use/2-two/x").read_text() == "a/a x\n"
    assert not (again.path / "etc/portage/package.use/2-two/zz").exists()


def test_an_altered_configroot_that_a_run_holds_is_left_to_it(world):
    held = cache.find_or_build(world.recipe, world.cache)
    (held.path / "etc/portage/package.use/2-two/x").write_text("a/a -x\n")

    again = world.lay()

    assert again.path != held.path
    assert (held.path / "etc/portage/package.use/2-two/x").read_text() == "a/a -x\n"
    assert (again.path / "etc/portage/package.use/2-two/x").read_text() == "a/a x\n"
    os.close(held.lock)


def test_changed_files_of_a_configroot_are_listed(world):
    laid = world.lay()
    assert cache.find_changed(laid.path) == []

    (laid.path / "etc/portage/package.use/2-two/x").write_text("a/a -x\n")
    (laid.path / "etc/portage/package.mask").write_text("a/a\n")

    names = [str(path.relative_to(laid.path / "etc/portage")) for path in cache.find_changed(laid.path)]
    assert names == ["package.mask", "package.use/2-two/x"]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"id": 3}', "null"])
def test_a_recipe_that_holds_something_else_is_made_again(world, text: str):
    world.lay()
    (recipe,) = (world.cache / "recipes").iterdir()
    recipe.write_text(text)

    assert world.lay().built
    assert not world.lay().built


def test_an_error_leaves_nothing_behind(world):
    (world.layers / "one/make.conf").write_text('A="')

    with pytest.raises(BadFile):
        world.lay()

    assert not (world.cache / "configroots").exists() or world.stand == set()


def test_an_unknown_make_profile_names_the_nearest(world):
    with raises("unknown-make-profile") as caught:
        world.lay(world.recipe._replace(parts=(("p", MakeProfile("machin", "a.toml:3")),)))

    assert caught.value.message.startswith("a.toml:3: ")
    assert caught.value.hint == 'make_profile = "machine" ?'
    assert world.stand == set()


@pytest.mark.parametrize("name", ["../../escape", "gm-demo:../../escape", "nobody:machine", "", "gm-demo:"])
def test_a_make_profile_outside_of_its_repository_is_unknown(world, name: str):
    (world.host.folder / "escape").mkdir()

    with raises("unknown-make-profile"):
        world.lay(world.recipe._replace(parts=(("p", MakeProfile(name, "a.toml:3")),)))


def test_a_host_without_configuration_is_an_error(world, tmp_path: Path):
    with pytest.raises(BadFile, match="not found, but the profile"):
        world.lay(world.recipe._replace(host=tmp_path / "none"))


@AS_ROOT
def test_an_unwritable_cache_is_an_error(world):
    (world.cache / "configroots").mkdir(parents=True)
    (world.cache / "configroots").chmod(0o555)

    with pytest.raises(NoPrivilege, match="configroots"):
        world.lay()


def test_another_version_of_gentoomuch_makes_its_own(world, monkeypatch):
    world.lay()
    monkeypatch.setattr("gentoomuch_portage.configroot.key.__version__", "other")

    assert world.lay().built
