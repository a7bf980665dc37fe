# SPDX-License-Identifier: GPL-2.0-or-later
"""Patch sets of profiles: applied by Portage, and no binary package with other patches."""

import json
import os
import re
from pathlib import Path

import pytest
from helpers.http_server import serving
from helpers.patches import greeting, put

from gentoomuch_portage.demo_host import Host
from gentoomuch_portage.portage_adapter import private_api

LIB = "dev-demo/libgreet"
COMPARED_BY_PORTAGE = pytest.mark.skipif(
    private_api.is_older(private_api.PATCHES), reason="Portage compares user patches since 3.0.83"
)


@pytest.fixture
def three(host: Host) -> Host:
    """A set ``polite``; the profiles ``with`` and ``also`` have it, ``without`` has it not."""
    put(host, f"polite/{LIB}/good-day.patch", greeting("hello", "good day"))
    host.profile("with", 'patches = ["polite"]\n')
    host.profile("also", 'patches = ["polite"]\n')
    host.profile("without", "")
    return host


def said(host: Host) -> bytes:
    """What the installed library says."""
    [library] = host.eprefix.glob("usr/lib*/libgreet.so.1")
    return b"good day" if b"good day" in library.read_bytes() else b"hello"


def binpkg(ended) -> str:
    """Which instance emerge shows, empty where it would build."""
    found = re.search(r"\[binary[^\]]*\] (\S+)", ended.out)
    return found[1].partition("::")[0] if found else ""


@pytest.mark.slow
def test_a_patched_and_an_unpatched_package_keep_apart(three: Host, on):
    assert on("gm-emerge", "--gm-profile=with", "-q", LIB).status == 0
    assert said(three) == b"good day"
    assert on("gm-emerge", "--gm-profile=without", "-q", LIB).status == 0
    assert said(three) == b"hello"

    assert binpkg(on("gm-emerge", "--gm-profile=with", "-p", LIB)) == f"{LIB}-1.0-1"
    assert binpkg(on("gm-emerge", "--gm-profile=also", "-p", LIB)) == f"{LIB}-1.0-1"
    assert binpkg(on("gm-emerge", "--gm-profile=without", "-p", LIB)) == f"{LIB}-1.0-2"


def test_a_rejected_package_is_reported_with_its_patch(three: Host, on):
    assert on("gm-emerge", "--gm-profile=with", "-q", "-B", LIB).status == 0
    other = on("gm-emerge", "--gm-profile=without", "-p", LIB)
    why = json.loads(on("gentoomuch", "binpkg", "why", LIB, "--profile=without", "--json").out)

    assert binpkg(other) == ""
    assert (
        f"={LIB}-1.0-1 was built with user patches that profile without does not have: 00-polite-good-day" in other.err
    )
    assert [one["code"] for one in why] == ["patches"]
    assert "00-polite-good-day.patch" in why[0]["reason"]


def test_a_package_without_the_patch_is_reported_with_it(three: Host, on):
    assert on("gm-emerge", "--gm-profile=without", "-q", "-B", LIB).status == 0

    ended = on("gm-emerge", "--gm-profile=with", "-p", LIB)

    assert f"={LIB}-1.0-1 was built without the user patches of profile with: 00-polite-good-day.patch" in ended.err


@COMPARED_BY_PORTAGE
def test_binpkg_respect_user_patches_n_accepts_other_patches(three: Host, on):
    assert on("gm-emerge", "--gm-profile=with", "-q", "-B", LIB).status == 0

    ended = on("gm-emerge", "--gm-profile=without", "-p", "--binpkg-respect-user-patches=n", LIB)

    assert binpkg(ended) == f"{LIB}-1.0-1"


@COMPARED_BY_PORTAGE
def test_patches_are_compared_with_an_index_of_an_older_portage(three: Host, on):
    assert on("gm-emerge", "--gm-profile=with", "-q", "-B", LIB).status == 0
    index = three.pkgdir / "Packages"
    kept = [line for line in index.read_text().splitlines(keepends=True) if not line.startswith("USER_PATCHES")]
    assert len(kept) < len(index.read_text().splitlines())
    times = index.stat()
    index.write_text("".join(kept))
    os.utime(index, ns=(times.st_atime_ns, times.st_mtime_ns))

    assert binpkg(on("emerge", "-pk", LIB)) == f"{LIB}-1.0-1"
    assert binpkg(on("gm-emerge", "--gm-profile=without", "-p", LIB)) == ""


@pytest.mark.parametrize("folder", ["libgreet", "libgreet-1.0", "libgreet-1.0-r1", "libgreet:0", "libgreet-1.0:0"])
def test_a_revision_finds_its_own_binary_package(host: Host, on, folder: str):
    ebuild = host.repository / LIB / "libgreet-1.0.ebuild"
    ebuild.rename(ebuild.with_name("libgreet-1.0-r1.ebuild"))
    put(host, f"polite/dev-demo/{folder}/good-day.patch", greeting("hello", "good day"))
    host.profile("a", 'patches = ["polite"]\n')

    assert on("gm-emerge", "--gm-profile=a", "-q", LIB).status == 0

    assert said(host) == b"good day"
    assert binpkg(on("gm-emerge", "--gm-profile=a", "-p", LIB)) == f"{LIB}-1.0-r1-1"


def test_sets_are_applied_in_the_order_of_the_profile(host: Host, on):
    put(host, f"one/{LIB}/same.patch", greeting("hello", "one"))
    put(host, f"two/{LIB}/same.patch", greeting("one", "good day"))
    host.profile("a", 'patches = ["one", "two"]\n')

    ended = on("gm-emerge", "--gm-profile=a", "-q", LIB)

    assert ended.status == 0
    assert said(host) == b"good day"
    one, two = (host.config / "patches" / name / LIB / "same.patch" for name in ("one", "two"))
    assert f"patch sets 'one' and 'two' both change greet.c of {LIB}: {one}:1 and {two}:1" in ended.err.splitlines()[0]


def test_bytes_that_are_no_text_reach_the_configroot_as_they_are(host: Host, on):
    odd = greeting("hello", "good day").encode() + b"\xff\xfe\r\n"
    put(host, f"odd/{LIB}/odd.patch", odd)
    host.profile("a", 'patches = ["odd"]\n')

    plan = json.loads(on("gm-emerge", "--gm-profile=a", "--gm-explain=json", LIB).out)

    assert (Path(plan["configroot"]) / f"etc/portage/patches/{LIB}/00-odd-odd.patch").read_bytes() == odd


def test_a_build_that_needs_a_bad_patch_stops_with_its_name(host: Host, on):
    put(host, f"stale/{LIB}/gone.patch", greeting("bonjour", "good day"))
    host.profile("a", 'patches = ["stale"]\n')

    ended = on("gm-emerge", "--gm-profile=a", LIB)

    assert ended.status == 1
    assert f"patches/{LIB}/00-stale-gone.patch" in ended.out + ended.err


@pytest.mark.slow
def test_the_set_gm_patches_changed_has_packages_with_other_patches(three: Host, on):
    three.profile("now", "")
    assert on("gm-emerge", "--gm-profile=now", "-q", LIB).status == 0
    assert LIB not in on("gm-emerge", "--gm-profile=now", "-p", "@gm-patches-changed").out
    three.profile("now", 'patches = ["polite"]\n')

    ended = on("gm-emerge", "--gm-profile=now", "-q", "@gm-patches-changed")

    assert ended.status == 0, ended.err
    assert said(three) == b"good day"
    assert LIB not in on("gm-emerge", "--gm-profile=now", "-p", "@gm-patches-changed").out


WRONG = {
    "a missing set": ("missing", "patch set 'missing' not found (available: out)", "bad-patch-set"),
    "a broken link": ("broken", "patch set 'broken' is a broken link", "bad-patch-set"),
    "a set that leads out": ("out", "patch set 'out' is outside of", "bad-patch-set"),
    "a bad name": ("../x", "invalid patch set name '../x'", "bad-name"),
}


@pytest.mark.parametrize("what", WRONG)
def test_an_unusable_patch_set_is_one_error(host: Host, on, what: str):
    name, said, code = WRONG[what]
    (host.config / "patches").mkdir(parents=True)
    (host.config / "patches/broken").symlink_to("nowhere")
    (host.config / "patches/out").symlink_to(host.etc)
    host.profile("a", f'\npatches = [\n "{name}"]\n')

    ended = on("gm-emerge", "--gm-profile=a", "-p", LIB)

    assert ended.status == 78
    assert ended.err.startswith(f"gentoomuch: {host.config}/profiles/a.toml:3: ")
    assert said in ended.err
    assert f"[{code}]" in ended.err.splitlines()[0]


def test_a_patch_that_is_a_link_out_of_the_configuration_is_one_error(host: Host, on):
    link = put(host, f"out/{LIB}/x.patch", "")
    link.unlink()
    link.symlink_to(host.etc / "make.conf")
    host.profile("a", 'patches = ["out"]\n')

    ended = on("gm-emerge", "--gm-profile=a", "-p", LIB)

    assert ended.status == 78
    assert ended.err.startswith(f"gentoomuch: {link}: link to ")
    assert f"outside of {host.config}" in ended.err


@pytest.mark.slow
def test_patches_are_compared_with_a_binhost_that_does_not_index_them(three: Host, on, tmp_path: Path):
    for name in ("without", "with"):
        assert on("gm-emerge", f"--gm-profile={name}", "-q", "-B", LIB).status == 0
    three.pkgdir.rename(tmp_path / "www")
    index = tmp_path / "www/Packages"
    index.write_text(re.sub(r"(?m)^USER_PATCHES: .*\n", "", index.read_text()))

    with serving(tmp_path / "www") as server:
        found = {
            name: on("gm-emerge", f"--gm-profile={name}", "-pG", LIB, PORTAGE_BINHOST=server.url)
            for name in ("also", "without")
        }

    assert (binpkg(found["without"]), binpkg(found["also"])) == (f"{LIB}-1.0-1", f"{LIB}-1.0-2")
    assert (
        "1.0-2 was built with user patches that profile without does not have: 00-polite-good-day"
        in found["without"].err
    )
