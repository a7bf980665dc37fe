"""Configroots by content: the same for the same, another when anything changes, whole or not there."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from gentoomuch_portage import configroot, embedded
from gentoomuch_portage.configroot import Laid, Recipe
from gentoomuch_portage.errors import BadFile, NoPrivilege, UnknownMakeProfile
from gentoomuch_portage.plan import File, Layer, Line, MakeProfile

AS_ROOT = pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")


@dataclass
class World:
    """A host, a configuration with two layers, and a cache."""

    host: embedded.Host
    recipe: Recipe
    cache: Path

    @property
    def layers(self) -> Path:
        return self.host.config / "layers"

    def lay(self, recipe: Recipe | None = None) -> Laid:
        """Lay, and let go at once."""
        laid = configroot.lay(recipe or self.recipe, self.cache)
        os.close(laid.lock)
        return laid

    @property
    def stand(self) -> set[str]:
        """The names of all that stands in the cache's configroots."""
        return {path.name for path in (self.cache / "configroots").iterdir()}


@pytest.fixture
def world(host: embedded.Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A host with two layers; and a clock so fine that files just written may be trusted."""
    monkeypatch.setattr(configroot, "_RACY", 0)
    host.profile(
        "a", "", {"one/make.conf": 'USE="a"\nsource more\n', "one/more": "A=1\n", "two/package.use/x": "a/a x\n"}
    )
    (host.config / "layers/one/linked").symlink_to("more")
    layers = tuple(("profile", Layer(name, host.config / "layers" / name)) for name in ("one", "two"))
    recipe = Recipe(host=host.etc, base="host", config=host.config, parts=layers)
    return World(host, recipe, tmp_path / "cache")


def test_a_configroot_is_made_once_and_found_again(world: World):
    first, second = world.lay(), world.lay()

    assert (first.made, second.made) == (True, False)
    assert (first.path, first.facts) == (second.path, second.facts)
    assert first.facts["PKGDIR"] == str(world.host.pkgdir)


def test_equal_content_has_an_equal_name(world: World, tmp_path: Path):
    first = world.lay().path.name
    other = world.lay(replace(world.recipe, parts=(*world.recipe.parts, ("x", Line("package.mask", "a/a"))))).path.name
    world.cache = tmp_path / "other"

    assert world.lay().path.name == first
    assert other != first


def test_two_recipes_of_equal_content_share_one_configroot(world: World):
    with_more = replace(world.recipe, parts=(*world.recipe.parts, ("x", File("bashrc", "true"))))
    first = world.lay(with_more)
    (world.layers / "two/bashrc").write_text("true\n")

    assert world.lay().path == first.path
    assert len(world.stand) == 1


CHANGES: dict[str, Callable[[World], object]] = {
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
def test_a_configroot_is_made_again_when_what_it_shows_changed(world: World, change: str):
    world.lay()
    assert not world.lay().made

    CHANGES[change](world)

    assert world.lay().made
    assert not world.lay().made


def test_make_globals_is_one_of_the_things_that_it_depends_on(world: World):
    world.lay()

    (recipe,) = (world.cache / "recipes").iterdir()

    looked_at = [name for name in json.loads(recipe.read_text())["inputs"] if name.endswith("/make.globals")]
    assert [Path(name).is_file() for name in looked_at] == [True]


def test_a_folder_that_is_new_before_the_one_that_had_the_make_profile_is_seen(world: World):
    (world.host.folder / "second/profiles/machine").mkdir(parents=True)
    (world.host.folder / "second/profiles/repo_name").write_text("second\n")
    (world.host.folder / "second/profiles/other").mkdir()
    world.host.write("repos.conf/second.conf", f"[second]\nlocation = {world.host.folder / 'second'}\n")
    recipe = replace(world.recipe, parts=(("p", MakeProfile("other", "f:1")),))
    before = (world.lay(recipe).path / "etc/portage/make.profile").resolve()

    (world.host.repository / "profiles/other").mkdir()
    laid = world.lay(recipe)

    assert laid.made
    assert before == world.host.folder / "second/profiles/other"
    assert (laid.path / "etc/portage/make.profile").resolve() == world.host.repository / "profiles/other"


def test_a_file_changed_as_short_before_as_the_clock_is_coarse_is_not_trusted(world: World, monkeypatch):
    monkeypatch.setattr(configroot, "_RACY", 2_000_000_000)
    world.lay()

    assert world.lay().made


@pytest.mark.parametrize("how", ["changed", "added", "removed", "replaced"])
def test_an_altered_configroot_is_not_used_again(world: World, how: str):
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

    assert again.made
    assert again.path == laid.path
    assert (again.path / "etc/portage/package.use/2-two/x").read_text() == "a/a x\n"
    assert not (again.path / "etc/portage/package.use/2-two/zz").exists()


def test_an_altered_configroot_that_a_run_holds_is_left_to_it(world: World):
    held = configroot.lay(world.recipe, world.cache)
    (held.path / "etc/portage/package.use/2-two/x").write_text("a/a -x\n")

    again = world.lay()

    assert again.path != held.path
    assert (held.path / "etc/portage/package.use/2-two/x").read_text() == "a/a -x\n"
    assert (again.path / "etc/portage/package.use/2-two/x").read_text() == "a/a x\n"
    os.close(held.lock)


def test_what_was_altered_is_named(world: World):
    laid = world.lay()
    assert configroot.altered(laid.path) == []

    (laid.path / "etc/portage/package.use/2-two/x").write_text("a/a -x\n")
    (laid.path / "etc/portage/package.mask").write_text("a/a\n")

    names = [str(path.relative_to(laid.path / "etc/portage")) for path in configroot.altered(laid.path)]
    assert names == ["package.mask", "package.use/2-two/x"]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"id": 3}', "null"])
def test_a_recipe_that_holds_something_else_is_made_again(world: World, text: str):
    world.lay()
    (recipe,) = (world.cache / "recipes").iterdir()
    recipe.write_text(text)

    assert world.lay().made
    assert not world.lay().made


def test_an_error_leaves_nothing_behind(world: World):
    (world.layers / "one/make.conf").write_text('A="')

    with pytest.raises(BadFile):
        world.lay()

    assert not (world.cache / "configroots").exists() or world.stand == set()


def test_an_unknown_make_profile_names_the_nearest(world: World):
    with pytest.raises(UnknownMakeProfile) as caught:
        world.lay(replace(world.recipe, parts=(("p", MakeProfile("machin", "a.toml:3")),)))

    assert caught.value.message.startswith("a.toml:3: ")
    assert caught.value.remedy == 'make_profile = "machine" ?'
    assert world.stand == set()


@pytest.mark.parametrize("name", ["../../escape", "gm-demo:../../escape", "nobody:machine", "", "gm-demo:"])
def test_a_make_profile_outside_of_its_repository_is_unknown(world: World, name: str):
    (world.host.folder / "escape").mkdir()

    with pytest.raises(UnknownMakeProfile):
        world.lay(replace(world.recipe, parts=(("p", MakeProfile(name, "a.toml:3")),)))


def test_a_host_without_configuration_is_told(world: World, tmp_path: Path):
    with pytest.raises(BadFile, match="no configuration to start from"):
        world.lay(replace(world.recipe, host=tmp_path / "none"))


@AS_ROOT
def test_a_cache_that_cannot_be_written_is_told(world: World):
    (world.cache / "configroots").mkdir(parents=True)
    (world.cache / "configroots").chmod(0o555)

    with pytest.raises(NoPrivilege, match="configroots"):
        world.lay()


def aged(path: Path, seconds: int = 1_000_000_000) -> None:
    os.utime(path, (time.time() - seconds,) * 2)


def test_only_what_is_old_and_meant_by_no_recipe_and_held_by_nobody_is_removed(world: World):
    kept = world.lay().path
    stands = world.cache / "configroots"
    for name in ("old", "held", "young", ".new-x", ".old-x"):
        (stands / name / "etc").mkdir(parents=True)
    for name in (kept.name, "old", "held", ".new-x", ".old-x"):
        aged(stands / name)
    lock = files_hold(stands / "held")

    gone = configroot.collect(world.cache)

    assert sorted(path.name for path in gone) == [".new-x", ".old-x", "old"]
    assert world.stand == {kept.name, "held", "young"}
    os.close(lock)


def files_hold(folder: Path) -> int:
    from gentoomuch_portage import files

    return files.hold(folder)


def test_a_recipe_that_nobody_used_for_long_is_forgotten_with_its_configroot(world: World):
    kept = world.lay().path
    (recipe,) = (world.cache / "recipes").iterdir()
    aged(recipe)
    aged(kept)

    assert configroot.collect(world.cache) == [kept]
    assert list((world.cache / "recipes").iterdir()) == []


def test_using_a_configroot_keeps_its_recipe_young(world: World):
    world.lay()
    (recipe,) = (world.cache / "recipes").iterdir()
    aged(recipe, 2 * 86_400)

    world.lay()

    assert time.time() - recipe.stat().st_mtime < 3_600


def test_another_version_of_gentoomuch_makes_its_own(world: World, monkeypatch):
    world.lay()
    monkeypatch.setattr(configroot, "__version__", "other")

    assert world.lay().made


MAKER = """
import sys
from pathlib import Path
from gentoomuch_portage import configroot
from gentoomuch_portage.configroot import Recipe
from gentoomuch_portage.plan import Layer
host, config, cache = map(Path, sys.argv[1:4])
layers = tuple(("profile", Layer(name, config / "layers" / name)) for name in ("one", "two"))
print(configroot.lay(Recipe(host=host, base="host", config=config, parts=layers), cache).path, flush=True)
"""


def maker(world: World) -> subprocess.Popen:
    """Another process that lays the same recipe."""
    words = [sys.executable, "-c", MAKER, world.host.etc, world.host.config, world.cache]
    return subprocess.Popen(words, env=world.host.env(), stdout=subprocess.PIPE, text=True)


def test_processes_that_make_the_same_at_once_agree(world: World):
    makers = [maker(world) for _ in range(4)]

    said = {one.communicate(timeout=120)[0] for one in makers}

    assert [one.returncode for one in makers] == [0, 0, 0, 0]
    assert len(said) == 1
    assert world.stand == {Path(said.pop().strip()).name}


def test_kill_9_while_making_leaves_nothing_half_and_the_next_works(world: World):
    seed = random.SystemRandom().randrange(10**6)
    print("seed", seed)
    chance = random.Random(seed)
    for _ in range(8):
        one = maker(world)
        time.sleep(chance.uniform(0.1, 0.5))
        one.send_signal(signal.SIGKILL)
        one.communicate()
        for named in [name for name in world.stand if not name.startswith(".")] if world.cache.exists() else []:
            shown = world.cache / "configroots" / named / "etc/portage"
            assert (shown / "make.conf").is_file()
            assert (shown / "package.use/2-two/x").read_text() == "a/a x\n"
        for recipe in (world.cache / "recipes").glob("[!.]*"):
            json.loads(recipe.read_text())
    laid = world.lay()
    for left in (world.cache / "configroots").glob(".*"):
        aged(left)

    configroot.collect(world.cache)

    assert world.stand == {laid.path.name}
