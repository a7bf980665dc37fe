# SPDX-License-Identifier: GPL-2.0-or-later
"""Binary packages for another CHOST or another libc."""

import json

from helpers.instances import FITS, PKG, chosen, refused

from gentoomuch_portage import demo_host
from gentoomuch_portage.demo_host import Host


def test_packages_for_another_chost_or_libc_are_rejected_with_the_reason(host: Host, fill, emerge, on):
    chost = demo_host.host.find_arch()[1]
    other = chost.replace("-pc-", "-other-").replace("-unknown-", "-other-")
    musl = "amd64 elibc_musl kernel_linux"
    fill(host.pkgdir, ({**FITS, "CHOST": other}, {**FITS, "USE": musl}, FITS))

    _, said = emerge("-pK", PKG)
    found = json.loads(on("gentoomuch", "binpkg", "why", PKG, "--profile", "old", "--json").out)

    reasons = {3: f"is for {other}, not for {chost}", 2: "is for musl, not for glibc"}
    assert chosen(said) == ["binary 1"]
    assert refused(said) == reasons
    assert {one["build_id"]: one["reason"] for one in found if one["code"] == "abi"} == reasons


def test_a_chost_in_accept_chosts_is_accepted(host: Host, fill, emerge):
    chost = demo_host.host.find_arch()[1]
    fill(host.pkgdir, ({**FITS, "CHOST": f"{chost}-ours"},))
    host.write("make.conf", f'{(host.etc / "make.conf").read_text()}\nACCEPT_CHOSTS="{chost} .*-ours"\n')

    assert chosen(emerge("-pK", PKG)[1]) == ["binary 1"]


def test_depend_is_in_a_root_with_another_chost_and_otherwise_on_the_host(host: Host, on):
    root, name = host.folder / "roots/other", demo_host.host.find_arch()[1].replace("-linux-", "-other-")
    host.profile("other", f'root = "{root}"\nlayers = ["other"]\n', {"other/make.conf": f'CHOST="{name}"\n'})
    host.profile("same", f'root = "{root}"\n')
    explained = ("--gm-explain=json", "libgreet")

    told = [
        json.loads(on("gm-emerge", f"--gm-profile={profile}", *explained, **env).out)["env"]["SYSROOT"]
        for profile, env in (("other", {}), ("same", {}), ("other", {"SYSROOT": "/"}))
    ]

    assert told == [str(root), "/", "/"]
