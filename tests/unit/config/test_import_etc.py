# SPDX-License-Identifier: GPL-2.0-or-later
"""What of another machine's folder becomes a layer."""

from pathlib import Path

import pytest
from helpers.errors import raises

from gentoomuch_portage.config import import_etc


def fill(folder: Path, *names: str) -> Path:
    """Write files with a word in each."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("a word\n")
    return folder


def test_files_that_portage_does_not_read_are_skipped_and_listed_once(tmp_path: Path):
    etc = fill(tmp_path / "portage", "make.conf", "package.use/mine", "ssh/host_key", "ssh/host_key.pub", "shadow")

    adopted = import_etc.adopt(str(etc), tmp_path / "layers/router")

    assert sorted(path.name for path in (tmp_path / "layers/router").rglob("*")) == ["make.conf", "mine", "package.use"]
    assert [line.partition(":")[0] for line in adopted.skipped] == ["shadow", "ssh"]


def test_importing_etc_instead_of_etc_portage_is_rejected_with_a_hint(tmp_path: Path):
    etc = fill(tmp_path / "etc", "shadow", "ssh/host_key", "portage/make.conf")

    with raises("no-etc-portage") as caught:
        import_etc.adopt(str(etc), tmp_path / "layers/router")

    assert f"adopt {etc}/portage" in caught.value.hint
    assert not (tmp_path / "layers").exists()


def test_importing_another_directory_is_rejected_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "portage").mkdir()
    monkeypatch.setenv("PATH", "")  # there is no tar to read it

    with raises("no-etc-portage") as told:
        import_etc.adopt(str(tmp_path), tmp_path / "layer")

    assert told.value.hint == f"gentoomuch profile adopt {tmp_path}/portage new"


def test_files_that_the_machine_reads_and_that_cannot_be_taken_are_missing(tmp_path: Path):
    """FC09: a configuration of links into a directory of dotfiles; files that nobody reads are not missing."""
    etc = fill(tmp_path / "portage", "repos.conf/a.conf", "gnupg/key", "notes")
    (etc / "make.conf").symlink_to("../dotfiles/make.conf")
    (etc / "package.use").mkdir()
    (etc / "package.use/mine").symlink_to("/srv/dotfiles/mine")
    (etc / "bashrc").symlink_to("../dotfiles/bashrc")
    (etc / "package.mask").symlink_to("repos.conf/a.conf")

    adopted = import_etc.adopt(str(etc), tmp_path / "layers/router")

    assert [line.partition(":")[0] for line in adopted.missing] == ["bashrc", "make.conf", "package.use/mine"]
    assert [line.partition(":")[0] for line in adopted.skipped if line not in adopted.missing] == ["gnupg", "notes"]


@pytest.mark.parametrize("link", ["", "../../srv/own-profile"])
def test_a_make_profile_outside_of_a_repository_is_missing(tmp_path: Path, link: str):
    """FC08: a directory with its own files, or a link to one."""
    etc = fill(tmp_path / "portage", "make.conf", *([] if link else ["make.profile/parent"]))
    if link:
        (etc / "make.profile").symlink_to(link)

    adopted = import_etc.adopt(str(etc), tmp_path / "layers/router")

    assert (adopted.make_profile, [line.partition(":")[0] for line in adopted.missing]) == ("", ["make.profile"])


def test_a_machine_whose_files_are_all_taken_has_none_missing(tmp_path: Path):
    etc = fill(tmp_path / "portage", "make.conf", "package.use/mine")
    (etc / "make.profile").symlink_to("../../var/db/repos/gentoo/profiles/default/linux/amd64/23.0")

    adopted = import_etc.adopt(str(etc), tmp_path / "layers/router")

    assert (adopted.make_profile, adopted.missing) == ("default/linux/amd64/23.0", ())
