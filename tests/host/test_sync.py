# SPDX-License-Identifier: GPL-2.0-or-later
"""Portage's own sync, and the snapshot that it leaves."""

import json
import subprocess
from pathlib import Path

import pytest
from conftest import Run
from helpers.sync import Upstream, upstream

from gentoomuch_portage.demo_host import Host
from gentoomuch_portage.demo_host.host import write


@pytest.fixture
def origin(host: Host) -> Upstream:
    """Where the host's repository comes from."""
    return upstream(host)


def _snapshots(host: Host) -> list[str]:
    return sorted(one.stem for one in origin_folder(host).glob("*.squashfs"))


def origin_folder(host: Host) -> Path:
    return host.eprefix / "var/cache/gentoomuch/snapshots/gm-demo"


def _current(host: Host) -> str:
    return str(json.loads((origin_folder(host) / "current").read_text())["revision"])


def test_a_sync_leaves_a_snapshot_and_old_ones_go(host: Host, on: Run, origin: Upstream) -> None:
    revisions = [origin.revision]
    first = on("gentoomuch", "sync")
    for number in range(2):
        revisions.append(origin.commit(f"note-{number}"))
        assert on("gentoomuch", "sync", "gm-demo").status == 0

    assert first.status == 0, first.err
    assert (host.repository / "note-1").exists(), "Portage has synced it"
    assert _current(host) == revisions[-1]
    assert _snapshots(host) == sorted(revisions[-2:])
    listed = subprocess.run(
        ["unsquashfs", "-l", origin_folder(host) / f"{revisions[-1]}.squashfs"], capture_output=True, text=True
    ).stdout
    assert "squashfs-root/note-1" in listed
    assert ".git" not in listed


def test_a_sync_that_fails_leaves_the_last_good_snapshot(host: Host, on: Run, origin: Upstream) -> None:
    good = origin.revision
    assert on("gentoomuch", "sync").status == 0
    origin.folder.rename(origin.folder.with_name("away"))

    failed = on("gentoomuch", "sync")

    assert failed.status == 1
    assert "last good snapshot" in failed.err
    assert (_current(host), _snapshots(host)) == (good, [good])
    assert (origin_folder(host) / "syncing").exists()


def test_sync_of_an_unknown_repository_names_the_available_ones(host: Host, on: Run, origin: Upstream) -> None:
    ended = on("gentoomuch", "sync", "gentoo")

    assert ended.status == 64
    assert "gm-demo" in ended.err


def test_init_configures_and_syncs_the_first_repository(host: Host, on: Run, origin: Upstream) -> None:
    write(origin.folder / "profiles/repo_name", "gentoo\n")
    origin.commit("NEWS")
    (host.etc / "repos.conf/gm-demo.conf").unlink()

    nothing = on("gentoomuch", "sync")
    made = on("gentoomuch", "sync", "--init", f"file://{origin.folder}")
    again = on("gentoomuch", "sync", "--init")

    assert (nothing.status, "hint: gentoomuch sync --init" in nothing.err) == (0, True), nothing.err
    assert made.status == 0, made.err
    assert (host.eprefix / "var/db/repos/gentoo/NEWS").exists()
    assert "main-repo = gentoo" in (host.etc / "repos.conf/gentoo.conf").read_text()
    assert (again.status, "[repository-exists]" in again.err) == (64, True), again.err


def test_init_verifies_what_it_fetches_from_the_servers_of_gentoo(host: Host, on: Run) -> None:
    absent = on("gentoomuch", "sync", "--init", "--only-snapshot")

    text = (host.etc / "repos.conf/gentoo.conf").read_text()
    assert absent.status == 0, absent.err
    assert "sync-rsync-verify-metamanifest = yes\n" in text
    assert "main-repo" not in text, "the host has one already"


def test_update_syncs_a_repository_that_does_not_exist_yet(host: Host, on: Run, origin: Upstream) -> None:
    more = Upstream(host.folder / "more")
    subprocess.run(["git", "clone", "--quiet", origin.folder, more.folder], check=True)
    write(more.folder / "profiles/repo_name", "more\n")
    more.commit("NEWS")
    location = host.folder / "new/more"
    section = f"[more]\nlocation = {location}\nsync-type = git\nsync-uri = file://{more.folder}\nauto-sync = yes\n"
    host.write("repos.conf/more.conf", section)
    host.profile("here", "")

    ended = on("gentoomuch", "update", "here")

    assert ended.status == 0, ended.err + ended.out
    assert (location / "NEWS").exists()
