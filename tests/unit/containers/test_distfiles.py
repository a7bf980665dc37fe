# SPDX-License-Identifier: GPL-2.0-or-later
"""S1: what a root that stands on its own has fetched, which its own emerge and any build in it may have written.

On dfeccc0 such a root wrote to the DISTDIR of the host, which everybody can enter.
"""

import os
import stat
from pathlib import Path

import pytest

from gentoomuch_portage.containers import artifacts, distfiles, host_overlay


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The directory of a container that has written to its DISTDIR; ``tmp_path / "distdir"`` is the host's."""
    (tmp_path / "distdir").mkdir()
    (tmp_path / "run" / distfiles.STAGED).mkdir(parents=True)
    return tmp_path / "run"


def taken(run: Path) -> dict[str, str]:
    """Take over; the files of the host then."""
    host = run.parent / "distdir"
    distfiles.take_over(run, host)
    return {path.name: path.read_text() for path in host.iterdir()}


def test_a_fetched_file_is_copied_without_its_mode(run: Path) -> None:
    file = run / distfiles.STAGED / "a-1.tar.gz"
    file.write_text("sources")
    file.chmod(0o6777)
    assert taken(run) == {"a-1.tar.gz": "sources"}
    assert stat.S_IMODE((run.parent / "distdir/a-1.tar.gz").stat().st_mode) == 0o664
    assert file.read_text() == "sources", "the build that follows has it still"


def test_only_plain_files_with_one_name_are_copied(run: Path) -> None:
    staged, secret = run / distfiles.STAGED, run.parent / "secret"
    secret.write_text("of the host")
    (staged / "link-1.tar").symlink_to(secret)
    (staged / "hard-1.tar").hardlink_to(secret)
    os.mkfifo(staged / "pipe-1.tar")
    (staged / "git3-src/evil.git/hooks").mkdir(parents=True)
    (staged / "git3-src/evil.git/hooks/post-checkout").write_text("#!/bin/sh\n")
    for name in (".hidden", "a-1.tar.__download__", "a-1.tar._checksum_failure_.x", "a\x1b[2J.tar", "empty-1.tar"):
        (staged / name).write_text("" if name.startswith("empty") else "x")
    assert taken(run) == {}


def test_an_existing_distfile_is_replaced_only_if_its_size_differs(run: Path) -> None:
    host, staged = run.parent / "distdir", run / distfiles.STAGED
    for name, before, fetched in (("a-1.tar", "old", "new"), ("b-1.tar", "part", "whole")):
        (host / name).write_text(before)
        (staged / name).write_text(fetched)
    assert taken(run) == {"a-1.tar": "old", "b-1.tar": "whole"}


def test_a_link_on_the_host_is_not_written_through(run: Path) -> None:
    precious = run.parent / "precious"
    precious.write_text("as it was")
    (run.parent / "distdir/a-1.tar").symlink_to(precious)
    (run / distfiles.STAGED / "a-1.tar").write_text("new and longer than a link")
    taken(run)
    assert precious.read_text() == "as it was"


def test_a_staging_directory_that_is_a_link_is_not_followed(run: Path) -> None:
    (run / distfiles.STAGED).rmdir()
    (run / distfiles.STAGED).symlink_to("/etc")
    with pytest.raises(OSError, match=r"Not a directory|levels of symbolic links"):
        distfiles.take_over(run, run.parent / "distdir")


def test_fetched_packages_are_not_admitted(run: Path) -> None:
    """Unless the build has written them anew; then they are judged as all others."""
    folder = run / host_overlay.PACKAGES / "app-misc/foo"
    folder.mkdir(parents=True)
    for name in ("foo-1-1", "foo-2-1"):
        (folder / f"{name}.gpkg.tar").write_text("fetched")
    fetched = artifacts.list_fetched(run)
    (folder / "foo-2-1.gpkg.tar").unlink()
    (folder / "foo-2-1.gpkg.tar").write_text("built")
    (folder / "foo-3-1.gpkg.tar").write_text("built")

    artifacts.remove_fetched(run, fetched)

    assert {path.name for path in folder.iterdir()} == {"foo-2-1.gpkg.tar", "foo-3-1.gpkg.tar"}
