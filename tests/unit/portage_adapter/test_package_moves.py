# SPDX-License-Identifier: GPL-2.0-or-later
"""New names of moved packages."""

from pathlib import Path

import pytest

from gentoomuch_portage.portage_adapter import package_moves


class Repository:
    """A repository with ebuilds and package moves."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def ebuild(self, name: str, slot: str = "0") -> None:
        package = self.folder / name
        package.mkdir(parents=True, exist_ok=True)
        (package / f"{package.name}-1.ebuild").write_text(f'EAPI=8\nSLOT="{slot}"\n')

    def updates(self, name: str, *lines: str) -> None:
        file = self.folder / "profiles/updates" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{line}\n" for line in lines))

    def rename(self, *atoms: str) -> dict[str, str]:
        return package_moves.find_renames(atoms, [self.folder])


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "gentoo")


ATOMS = {
    "a/old": "b/new",
    "=a/old-1.2-r3": "=b/new-1.2-r3",
    ">=a/old-2:3/4::gentoo": ">=b/new-2:3/4::gentoo",
    "~a/old-1": "~b/new-1",
    "=a/old-1*": "=b/new-1*",
    "a/old[shout,-x]": "b/new[shout,-x]",
}


@pytest.mark.parametrize("atom", ATOMS)
def test_an_atom_of_a_moved_package_gets_its_new_name(repository: Repository, atom: str):
    repository.updates("1Q-2026", "move a/old b/new")
    repository.ebuild("b/new")

    assert repository.rename(atom) == {atom: ATOMS[atom]}


@pytest.mark.parametrize(
    "atom", ["a/older", "a/old-x", "aa/old", "*/*", "a/*", "old", "-*", "=a/older-1", "VIDEO_CARDS:"]
)
def test_other_names_are_not_moved(repository: Repository, atom: str):
    repository.updates("1Q-2026", "move a/old b/new")
    repository.ebuild("b/new")

    assert repository.rename(atom) == {}


def test_moves_of_several_years_follow_each_other(repository: Repository):
    repository.updates("1Q-2026", "move b/second c/third")
    repository.updates("4Q-2009", "move a/first b/second")
    repository.updates(
        "2Q-2027", "# a comment", "remove c/third", "move c/third d/fourth extra", "slotmove c/third 0 1"
    )
    repository.ebuild("c/third", slot="1")

    assert repository.rename("a/first:0", "b/second") == {"a/first:0": "c/third:1", "b/second": "c/third"}


def test_a_name_that_was_taken_back_is_not_moved(repository: Repository):
    repository.updates("1Q-2026", "move a/old b/new")
    repository.updates("2Q-2026", "move b/new a/old")
    repository.ebuild("a/old")

    assert repository.rename("a/old") == {}
    assert repository.rename("b/new") == {"b/new": "a/old"}


def test_a_package_whose_new_name_has_no_ebuild_is_not_moved(repository: Repository):
    repository.updates("1Q-2026", "move a/old b/new")

    assert repository.rename("a/old") == {}


@pytest.mark.parametrize(("slot", "renames"), [("2", {"a/pkg:1": "a/pkg:2"}), ("1", {}), ("${PV}", {})])
def test_a_slot_is_moved_only_if_no_ebuild_has_the_old_one(repository: Repository, slot: str, renames: dict[str, str]):
    repository.updates("1Q-2026", "slotmove a/pkg 1 2")
    repository.ebuild("a/pkg", slot=slot)

    assert repository.rename("a/pkg:1", "a/pkg", "a/pkg:3") == renames


def test_a_repository_without_updates_moves_nothing(repository: Repository):
    repository.ebuild("a/old")

    assert repository.rename("a/old") == {}
    assert [path.name for path in package_moves.list_inputs([repository.folder])] == ["updates"]
