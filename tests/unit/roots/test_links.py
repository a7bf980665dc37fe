# SPDX-License-Identifier: GPL-2.0-or-later
"""Roots in which a build has laid links to what is the host's."""

from pathlib import Path

import pytest
from helpers.errors import raises
from helpers.stages import a_root

from gentoomuch_portage.portage_adapter.config import Arrangement
from gentoomuch_portage.roots import bootstrap, export

ARRANGED = Arrangement(merged=True, libraries=("lib", "lib64"))


@pytest.mark.parametrize(("link", "target"), [("etc/passwd", "{host}/passwd"), ("etc", "{host}"), ("var", "../host")])
def test_a_root_is_laid_out_within_itself(tmp_path: Path, link: str, target: str) -> None:
    root, host = tmp_path / "root", tmp_path / "host"
    host.mkdir()
    (root / link).parent.mkdir(parents=True)
    (root / link).symlink_to(target.format(host=host))

    bootstrap.make_skeleton(root, ARRANGED)
    bootstrap.make_skeleton(root, ARRANGED)

    assert not list(host.iterdir())
    assert (root / "tmp").is_dir()


@pytest.mark.parametrize("link", ["LICENSE", "..", "../.."])
def test_a_linked_package_database_is_not_exported(tmp_path: Path, link: str) -> None:
    root = a_root(tmp_path / "root")
    package = root / "var/db/pkg/app-misc/hello-1"
    package.mkdir(parents=True)
    (package / "LICENSE").write_text("GPL-3\n")
    export.check_records(root, root)
    laid = {"LICENSE": package / "LICENSE", "..": package.parent, "../..": package.parent.parent}[link]
    laid.rename(tmp_path / "away")
    laid.symlink_to(tmp_path / "away")

    with raises("linked-record", match=laid.name) as refused:
        export.check_records(root, root)
    assert str(laid) in refused.value.hint
