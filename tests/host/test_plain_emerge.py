# SPDX-License-Identifier: GPL-2.0-or-later
"""Plain emerge with the set of etc/portage/sets.conf switched on."""

from pathlib import Path

import pytest

from gentoomuch_portage.demo_host import Host

SHIPPED = Path(__file__).parents[2] / "etc/portage/sets.conf/gentoomuch.conf"


@pytest.fixture
def protected(host: Host, on) -> Host:
    """A host of x86-64 whose PKGDIR holds a package built for x86-64-v3."""
    host.profile("new", 'cpu = "x86-64-v3"\n')
    assert on("gm-emerge", "--gm-profile=new", "-q", "--buildpkgonly", "dev-demo/libgreet").status == 0
    make_conf = host.etc / "make.conf"
    make_conf.write_text(make_conf.read_text() + 'CFLAGS="-O2 -march=x86-64"\nFEATURES="${FEATURES} buildpkg"\n')
    host.write("sets.conf/gentoomuch.conf", SHIPPED.read_text())
    return host


def test_the_filter_hook_rejects_packages_above_the_cpu(protected: Host, on):
    ended = on("emerge", "-pK", "dev-demo/libgreet")

    assert ended.status == 1
    assert "have been ignored due to CPU features; this machine has -march=x86-64" in ended.err
    assert "=dev-demo/libgreet-1.0-1 needs" in ended.err


def test_the_filter_hook_accepts_packages_for_the_cpu(protected: Host, on):
    protected.write("sets.conf/gentoomuch.conf", f"{SHIPPED.read_text()}\ncpu = haswell\n")

    assert "[binary" in on("emerge", "-pk", "dev-demo/libgreet").out


def test_the_filter_hook_records_required_features(protected: Host, on):
    assert on("emerge", "-q", "dev-demo/libgreet").status == 0

    (told,) = protected.vdb.glob("dev-demo/libgreet-1.0/GM_REQUIRES")
    assert '"description": "-march=x86-64"' in told.read_text()


def test_emerge_continues_without_gentoomuch(protected: Host, on):
    gone = SHIPPED.read_text().replace("gentoomuch_portage.", "gentoomuch_gone.")
    protected.write("sets.conf/gentoomuch.conf", gone)

    ended = on("emerge", "-pk", "dev-demo/libgreet")

    assert ended.status == 0
    assert "[binary" in ended.out


def test_a_profile_has_one_filter_though_the_host_has_the_set(protected: Host, on):
    protected.profile("old", 'cpu = "x86-64"\n')

    ended = on("gm-emerge", "--gm-profile=old", "-pK", "dev-demo/libgreet")

    assert ended.err.count("have been ignored due to CPU features") == 1
    assert "profile old has" in ended.err
