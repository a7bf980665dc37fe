# SPDX-License-Identifier: GPL-2.0-or-later
"""Changes of the root of an image: no link leads out of it."""

from pathlib import Path

import pytest
from helpers.errors import raises

from gentoomuch_portage.images import tree


def change(root: Path, action: str, *words: str | Path) -> None:
    """In this process, as a user, too."""
    tree._apply(root, action, [str(word) for word in words])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with a link that leads out of it."""
    (tmp_path / "root/usr/share/doc/a").mkdir(parents=True)
    (tmp_path / "root/usr/share/doc/a/x").write_text("x")
    (tmp_path / "root/usr/share/y").write_text("y")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/letter").write_text("dear")
    (tmp_path / "root/away").symlink_to(tmp_path / "outside")
    return tmp_path / "root"


def test_files_are_copied_with_their_modes_and_links(root: Path, tmp_path: Path) -> None:
    (tmp_path / "files/etc").mkdir(parents=True)
    (tmp_path / "files/etc/secret").write_text("secret")
    (tmp_path / "files/etc/secret").chmod(0o600)
    (tmp_path / "files/etc/link").symlink_to("secret")
    (tmp_path / "files/usr/share").mkdir(parents=True)
    (tmp_path / "files/usr/share/y").write_text("new")

    change(root, "copy", tmp_path / "files")

    assert (root / "etc/secret").stat().st_mode & 0o777 == 0o600
    assert (root / "etc/link").readlink() == Path("secret")
    assert (root / "usr/share/y").read_text() == "new"


def test_files_are_not_copied_through_a_link_out_of_the_root(root: Path, tmp_path: Path) -> None:
    (tmp_path / "files/away").mkdir(parents=True)
    (tmp_path / "files/away/letter").write_text("new")

    change(root, "copy", tmp_path / "files")

    assert (tmp_path / "outside/letter").read_text() == "dear"
    assert (root / str(tmp_path / "outside")[1:] / "letter").read_text() == "new"


def test_a_file_in_the_path_of_a_directory_is_an_error(root: Path, tmp_path: Path) -> None:
    (tmp_path / "files/usr/share").mkdir(parents=True)
    (tmp_path / "files/usr/share/doc").write_text("a file")

    with raises("image-path-conflict", match="/usr/share/doc"):
        change(root, "copy", tmp_path / "files")


def test_matching_paths_are_removed_and_links_are_not_followed(root: Path, tmp_path: Path) -> None:
    change(root, "remove", "/usr/share/doc/", "/away/*", "*/y")

    assert [path.name for path in (root / "usr/share").iterdir()] == []
    assert (tmp_path / "outside/letter").exists()

    change(root, "remove", "/away")

    assert not (root / "away").is_symlink()
    assert (tmp_path / "outside/letter").exists()


def test_later_times_in_the_package_database_are_replaced(root: Path) -> None:
    contents = root / "var/db/pkg/a/b-1/CONTENTS"
    contents.parent.mkdir(parents=True)
    contents.write_text("dir /usr\nobj /usr/a b 0123 90\nsym /usr/c d -> a 110\nobj /usr/e 45 111\n")

    change(root, "normalize", "/var/db/pkg", "100")

    assert contents.read_text() == "dir /usr\nobj /usr/a b 0123 90\nsym /usr/c d -> a 100\nobj /usr/e 45 100\n"
