# SPDX-License-Identifier: GPL-2.0-or-later
"""Patch sets in a composed etc/portage, in a plan, and against each other."""

from pathlib import Path

import pytest

from gentoomuch_portage.errors import BadLayer
from gentoomuch_portage.patches import check
from gentoomuch_portage.plan.plan import Patches, Plan

DIFF = "--- a/x.c\n+++ b/x.c\n@@ -1 +1 @@\n-a\n+b\n"


@pytest.fixture
def config(layers) -> Path:
    """A configuration with two sets, ``one`` and ``two``, that have a patch of one name for one package."""
    for name in ("one", "two"):
        write(layers.folder, f"{name}/app-misc/hello/fix.patch", DIFF)
    return layers.folder


def write(config: Path, name: str, text: str) -> Path:
    file = config / "patches" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def sets(config: Path, *names: str) -> list[Patches]:
    return [Patches(name, config / "patches" / name) for name in names]


def test_sets_keep_their_order_and_hide_nothing_of_each_other(layers, config: Path):
    assert list(layers.shown(*sets(config, "two", "one"))) == [
        "patches/app-misc/hello/00-two-fix.patch",
        "patches/app-misc/hello/01-one-fix.patch",
    ]


def test_of_a_hundred_sets_the_order_holds(layers, config: Path):
    for number in range(101):
        write(config, f"s{number}/a/b/x.patch", DIFF)

    shown = list(layers.shown(*sets(config, *(f"s{number}" for number in range(101)))))

    assert shown == [f"patches/a/b/{number:03}-s{number}-x.patch" for number in range(101)]


def test_only_patch_files_are_copied(layers, config: Path):
    write(config, "one/README", "")
    write(config, "one/app-misc/hello/fix.patch~", "")
    write(config, "one/app-misc/hello/notes.txt", "")
    write(config, "one/app-misc/hello/deep/fix.patch", "")

    assert list(layers.shown(*sets(config, "one"))) == ["patches/app-misc/hello/00-one-fix.patch"]


def test_build_dependencies_get_patches_too(layers, config: Path):
    assert list(layers.shown(*sets(config, "one"), building=True)) == ["patches/app-misc/hello/00-one-fix.patch"]


def test_a_link_out_of_the_configuration_is_rejected(layers, config: Path, tmp_path: Path):
    (config / "patches/one/app-misc/hello/out.patch").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(BadLayer, match=r"hello/out\.patch: link to .*, outside of"):
        layers.shown(*sets(config, "one"))


def test_a_printed_plan_has_its_sets(config: Path, tmp_path: Path):
    plan = Plan(profile="a", base="host", root="/", parts=(("patches", sets(config, "one")[0]),))
    file = tmp_path / "plan.json"
    file.write_text(plan.to_json())

    assert Plan.from_json(file) == plan


def test_two_sets_that_touch_one_file_are_found_with_both_places(config: Path):
    [found] = check.find_overlaps(sets(config, "two", "one"))

    assert (found.package, found.name, found.sets) == ("app-misc/hello", "x.c", ("two", "one"))
    assert found.places == (
        (config / "patches/two/app-misc/hello/fix.patch", 1),
        (config / "patches/one/app-misc/hello/fix.patch", 1),
    )


@pytest.mark.parametrize("folder", ["hello-2.10", "hello-2.10-r1:0", "hello:0", "hello-1.0_rc1"])
def test_folders_of_one_package_overlap_whatever_version_they_name(config: Path, folder: str):
    (config / "patches/two/app-misc/hello").rename(config / "patches/two/app-misc" / folder)

    assert [one.package for one in check.find_overlaps(sets(config, "one", "two"))] == ["app-misc/hello"]


def test_one_set_does_not_overlap_with_itself(config: Path):
    write(config, "one/app-misc/hello/second.patch", DIFF)

    assert list(check.find_overlaps(sets(config, "one"))) == []
