# SPDX-License-Identifier: GPL-2.0-or-later
"""Configroots that stay, go, are made by many at once, or by one that is killed."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from helpers.waiting import HANG

from gentoomuch_portage import fs
from gentoomuch_portage.configroot import cache


def aged(path: Path, seconds: int = 1_000_000_000) -> None:
    os.utime(path, (time.time() - seconds,) * 2)


def test_only_old_configroots_without_recipe_and_lock_are_removed(world):
    kept = world.lay().path
    stands = world.cache / "configroots"
    for name in ("old", "held", "young", ".new-x", ".old-x"):
        (stands / name / "etc").mkdir(parents=True)
    for name in (kept.name, "old", "held", ".new-x", ".old-x"):
        aged(stands / name)
    lock = fs.lock_shared(stands / "held")

    gone = cache.collect(world.cache)

    assert sorted(path.name for path in gone) == [".new-x", ".old-x", "old"]
    assert world.stand == {kept.name, "held", "young"}
    os.close(lock)


def test_an_unused_recipe_expires_with_its_configroot(world):
    kept = world.lay().path
    (recipe,) = (world.cache / "recipes").iterdir()
    aged(recipe)
    aged(kept)

    assert cache.collect(world.cache) == [kept]
    assert list((world.cache / "recipes").iterdir()) == []


def test_using_a_configroot_keeps_its_recipe_young(world):
    world.lay()
    (recipe,) = (world.cache / "recipes").iterdir()
    aged(recipe, 2 * 86_400)

    world.lay()

    assert time.time() - recipe.stat().st_mtime < 3_600


MAKER = """
import sys
from pathlib import Path
from gentoomuch_portage.configroot import cache as configroot
from gentoomuch_portage.configroot.key import Recipe
from gentoomuch_portage.plan.plan import Layer
host, config, cache = map(Path, sys.argv[1:4])
layers = tuple(("profile", Layer(name, config / "layers" / name)) for name in ("one", "two"))
print(configroot.find_or_build(Recipe(host=host, base="host", config=config, parts=layers), cache).path, flush=True)
"""


def maker(world) -> subprocess.Popen:
    """Another process that lays the same recipe."""
    words = [sys.executable, "-c", MAKER, world.host.etc, world.host.config, world.cache]
    return subprocess.Popen(words, env=world.host.env(), stdout=subprocess.PIPE, text=True)


def test_processes_that_make_the_same_at_once_agree(world):
    makers = [maker(world) for _ in range(4)]

    said = {one.communicate(timeout=HANG)[0] for one in makers}

    assert [one.returncode for one in makers] == [0, 0, 0, 0]
    assert len(said) == 1
    assert world.stand == {Path(said.pop().strip()).name}


def test_kill_9_while_making_leaves_nothing_half_and_the_next_works(world):
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

    cache.collect(world.cache)

    assert world.stand == {laid.path.name}
