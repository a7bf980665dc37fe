# SPDX-License-Identifier: GPL-2.0-or-later
"""Which stage3s fit a profile, by their names."""

from pathlib import Path

import pytest

from gentoomuch_portage.roots.at_hand import Kind, find_stage3s

PROFILES = Path("/var/db/repos/gentoo/profiles/default/linux")
NAMES = (
    "stage3-amd64-openrc-20260105T170000Z.tar.xz",
    "stage3-amd64-desktop-openrc-20260112T170000Z.tar.xz",
    "stage3-amd64-systemd-20260105T170000Z.tar.xz",
    "stage3-amd64-desktop-systemd-20260112T170000Z.tar.xz",
    "stage3-amd64-musl-llvm-20260105T170000Z.tar.xz",
    "stage3-amd64-nomultilib-openrc-20260105T170000Z.tar.xz",
    "stage3-amd64-hardened-selinux-openrc-20260105T170000Z.tar.xz",
    "stage3-i686-openrc-20260105T170000Z.tar.xz",
    "stage3-arm64-openrc-20260105T170000Z.tar.xz",
    "stage3-armv7a_hardfp-openrc-20260105T170000Z.tar.xz",
    "stage3-rv64_lp64d-openrc-20260105T170000Z.tar.xz",
    "stage3-ppc64le-openrc-20260105T170000Z.tar.xz",
)


@pytest.mark.parametrize(
    ("chost", "profile", "fits"),
    [
        ("x86_64-pc-linux-gnu", "amd64/23.0", (1, 0)),
        ("x86_64-pc-linux-gnu", "amd64/23.0/desktop/gnome/systemd", (3, 2)),
        ("x86_64-gentoo-linux-musl", "amd64/23.0/musl/llvm", (4,)),
        ("x86_64-gentoo-linux-musl", "amd64/23.0/musl", ()),
        ("x86_64-pc-linux-gnu", "amd64/23.0/no-multilib", (5,)),
        ("x86_64-pc-linux-gnu", "amd64/23.0/hardened/selinux", (6,)),
        ("i686-pc-linux-gnu", "x86/23.0/i686", (7,)),
        ("aarch64-unknown-linux-gnu", "arm64/23.0", (8,)),
        ("armv7a-unknown-linux-gnueabihf", "arm/23.0/armv7a_hf", (9,)),
        ("riscv64-unknown-linux-gnu", "riscv/23.0/rv64/lp64d", (10,)),
        ("powerpc64le-unknown-linux-gnu", "ppc64le/23.0", (11,)),
        ("", "amd64/23.0", ()),
    ],
)
def test_a_stage3_fits_by_architecture_and_variants(chost: str, profile: str, fits: tuple[int, ...], tmp_path: Path):
    for name in NAMES:
        (tmp_path / name).touch()

    found = find_stage3s(tmp_path, Kind.of_profile(chost, PROFILES / profile))

    assert [path.name for path in found] == [NAMES[number] for number in fits]


def test_signatures_directories_and_other_files_are_no_stage3s(tmp_path: Path):
    kind = Kind.of_profile("x86_64-pc-linux-gnu", PROFILES / "amd64/23.0")
    (tmp_path / f"{NAMES[0]}.asc").touch()
    (tmp_path / NAMES[1]).mkdir()
    (tmp_path / "stage3-amd64-openrc.tar.xz").touch()

    assert find_stage3s(tmp_path, kind) == ()
    assert find_stage3s(tmp_path / "missing", kind) == ()
