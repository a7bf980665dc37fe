"""Roots that are no roots of profiles are left alone."""

from pathlib import Path

from conftest import Run

from gentoomuch_portage.embedded import Host
from gentoomuch_portage.embedded.host import write


def test_a_root_that_is_the_host_is_refused(host: Host, on: Run) -> None:
    host.profile("router", "")

    ended = on("gentoomuch", "bootstrap", "router", "--from-host")

    assert ended.status == 78
    assert "[root-is-host]" in ended.err


def test_a_folder_of_something_else_is_not_filled(host: Host, on: Run, tmp_path: Path) -> None:
    write(tmp_path / "home/letter", "dear")
    host.profile("router", f'root = "{tmp_path / "home"}"\n')

    ended = on("gentoomuch", "bootstrap", "router", "--from-host")

    assert ended.status == 70
    assert [one.name for one in (tmp_path / "home").iterdir()] == ["letter"]
