# SPDX-License-Identifier: GPL-2.0-or-later
"""Root of a container cannot reach the host, with each isolation kind that works here."""

import os
from pathlib import Path

import pytest

from gentoomuch_portage.containers import detect, lifecycle

_WAYS = {
    "the first process's root": "ls /proc/1/root/",
    "the first process's program": "cat /proc/1/exe",
    "the first process's memory": "head -c 1 /proc/1/mem",
    "where the kernel sends cores": "echo '|/tmp/x' > /proc/sys/kernel/core_pattern",
    "what is read-only, made writable": "mount -o remount,rw,bind /proc/sys",
    "what is read-only, uncovered": "umount /proc/sys",
    "what is read-only, moved away": "mount --move /proc/sys /tmp",
    "another /proc": "mount -t proc proc /tmp && echo 1 > /tmp/sys/vm/drop_caches",
    "another /sys": "mount -t sysfs sysfs /tmp && ls /tmp/kernel/debug/",
    "cgroups": "mount -t cgroup2 cgroup2 /tmp && echo 1 > /tmp/cgroup.procs",
    "a read-only bind, remounted": "mount -o remount,rw,bind /usr && touch /usr/reached",
    "namespaces above": "nsenter --target 1 --mount true",
    "the kernel's modules": "mknod /tmp/mem c 1 1",
    "terminals of others": "test -e /dev/pts/0 && echo x > /dev/pts/0",
    "the kernel's messages": "dmesg",
}


@pytest.mark.parametrize("way", sorted(_WAYS))
def test_root_in_a_container_cannot_reach_the_host(kind: str, way: str, tmp_path: Path) -> None:
    with lifecycle.run_directory(tmp_path) as place:
        ran = lifecycle.start(
            kind, detect.smallest(place, ("sh", "-c", f"({_WAYS[way]}) && exit 99; exit 7")), keep=True
        )
    assert ran.status == 7, ran


def test_a_container_inherits_no_open_files(kind: str, tmp_path: Path) -> None:
    (tmp_path / "secret").touch()
    number = os.open(tmp_path / "secret", os.O_RDONLY)
    try:
        os.set_inheritable(number, True)
        with lifecycle.run_directory(tmp_path) as place:
            ran = lifecycle.start(kind, detect.smallest(place, ("sh", "-c", "ls /proc/$$/fd")), keep=True)
    finally:
        os.close(number)
    assert ran.status == 0, ran.err
    assert set(ran.out.split()) <= {"0", "1", "2"}


def test_other_users_can_enter_mounts_with_any_umask(kind: str, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        with lifecycle.run_directory(tmp_path) as place:
            ran = lifecycle.start(kind, detect.smallest(place, ("stat", "-c", "%a", "/run/gentoomuch")), keep=True)
    finally:
        os.umask(before)

    assert ran.out.split() == ["755"], ran.err
