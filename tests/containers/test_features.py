# SPDX-License-Identifier: GPL-2.0-or-later
"""Portage's own sandboxes as they are on every Gentoo, in each kind of container."""

from conftest import Run

from gentoomuch_portage.demo_host import Host


def test_a_package_is_built_with_the_sandboxes_that_portage_has_by_default(kind: str, host: Host, on: Run) -> None:
    features = "ipc-sandbox mount-sandbox network-sandbox pid-sandbox"
    host.profile("router", 'layers = ["plain"]\n', {"plain/make.conf": f'FEATURES="{features}"\n'})

    ended = on("gm-emerge", "--gm-profile=router", f"--gm-isolation={kind}", "-1q", "libgreet")

    assert ended.status == 0, ended.err + ended.out
    assert (host.vdb / "dev-demo/libgreet-1.0").is_dir()
