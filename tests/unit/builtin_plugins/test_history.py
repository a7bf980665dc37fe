# SPDX-License-Identifier: GPL-2.0-or-later
"""What a run leaves in the state of its profile, where a build may have been at it before."""

from pathlib import Path

import pytest

from gentoomuch_portage import history as history_
from gentoomuch_portage.builtin_plugins import history as builtin_plugins_history
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import NoPrivilege
from gentoomuch_portage.plan.plan import Plan
from gentoomuch_portage.portage_adapter import paths
from gentoomuch_portage.unmask import ledger


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """With a state of its own, and a private file of the host beside."""
    (tmp_path / "private").mkdir()
    (tmp_path / "private/world").write_text("a secret")
    return Settings.load({"GM_STATE": str(tmp_path / "state")})


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """The world of a root."""
    file = Path(f"{tmp_path / 'root'}{paths.eprefix()}", "var/lib/portage/world")
    file.parent.mkdir(parents=True)
    file.write_text("app-misc/hello\n")
    return file


def _copied(settings: Settings, tmp_path: Path) -> Path:
    builtin_plugins_history.gm_after_run(
        plan=Plan(profile="lab", base="none", root=str(tmp_path / "root")), settings=settings
    )
    return settings.state / "lab/world"


def test_the_world_of_a_root_is_copied(settings: Settings, world: Path, tmp_path: Path):
    assert _copied(settings, tmp_path).read_text() == world.read_text()


@pytest.mark.parametrize("link", ["world", ".."])
def test_a_world_file_linked_out_of_the_root_is_not_read(settings: Settings, world: Path, tmp_path: Path, link: str):
    laid = world.parent if link == ".." else world
    laid.rename(tmp_path / "away")
    laid.symlink_to(tmp_path / "private" / ("" if link == ".." else "world"))

    assert not _copied(settings, tmp_path).exists()


@pytest.mark.parametrize("name", ["history.jsonl", "history.lock"])
def test_a_record_is_not_written_through_a_link(settings: Settings, tmp_path: Path, name: str):
    (settings.state / "lab").mkdir(parents=True)
    (settings.state / "lab" / name).symlink_to(tmp_path / "private/new")

    with pytest.raises(NoPrivilege, match=name) as refused:
        history_.append(settings.state, "lab", {"event": "ended"})
    assert str(settings.state / "lab" / name) in refused.value.hint
    assert not (tmp_path / "private/new").exists()


def test_a_ledger_is_not_locked_through_a_link(settings: Settings, tmp_path: Path):
    place = ledger.path(settings.state, "lab").with_suffix(".lock")
    place.parent.mkdir(parents=True)
    place.symlink_to(tmp_path / "private/new")

    with pytest.raises(NoPrivilege, match="lock"):
        ledger.change(settings.state, "lab", lambda before: before)
    assert not (tmp_path / "private/new").exists()
