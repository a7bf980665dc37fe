# SPDX-License-Identifier: GPL-2.0-or-later
"""The repositories of a configroot."""

from pathlib import Path

import pytest

from gentoomuch_portage.portage_adapter import config


@pytest.fixture
def configroot(tmp_path: Path) -> Path:
    """A configroot without repos.conf, and two repositories: ``gentoo`` and ``mine``."""
    for name in ("gentoo", "mine"):
        folder = tmp_path / "repositories" / name
        (folder / "profiles").mkdir(parents=True)
        (folder / "metadata").mkdir()
        (folder / "profiles/repo_name").write_text(f"{name}\n")
        (folder / "metadata/layout.conf").write_text("masters =\n")
    (tmp_path / "etc/portage").mkdir(parents=True)
    return tmp_path


def test_portdir_and_portdir_overlay_of_make_conf_name_repositories(configroot: Path):
    """FC11: old configurations have no repos.conf."""
    above = configroot / "repositories"
    lines = f'PORTDIR="{above}/gentoo"\nPORTDIR_OVERLAY="${{PORTDIR_OVERLAY}} {above}/mine"\n'
    (configroot / "etc/portage/make.conf").write_text(lines)

    repositories = config.repositories(configroot)

    assert list(repositories.items())[:1] == [("gentoo", above / "gentoo")]
    assert repositories["mine"] == above / "mine"


def test_a_repository_that_nothing_names_is_not_found(configroot: Path):
    (configroot / "etc/portage/make.conf").write_text("")

    locations = config.repositories(configroot).values()  # a Gentoo machine has its own ::gentoo among them
    assert not {configroot / "repositories/gentoo", configroot / "repositories/mine"} & {*locations}
