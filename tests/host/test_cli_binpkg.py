# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch binpkg``: which binary package runs where, and why not."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import BIN
from helpers.repack import instance

from gentoomuch_portage import demo_host
from gentoomuch_portage.demo_host import Host
from gentoomuch_portage.demo_host.host import find_arch, write


def _add_profiles(host: Host) -> None:
    host.profile("new", 'cpu = "x86-64-v3"\n')
    host.profile("old", 'cpu = "x86-64"\n')


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PKGDIR with a package built for each of two profiles: build 1 for x86-64-v3, build 2 for x86-64."""
    host = demo_host.make(tmp_path_factory.mktemp("packages") / "host")
    _add_profiles(host)
    for name in ("new", "old"):
        argv = [str(BIN / "gm-emerge"), f"--gm-profile={name}", "-q", "--buildpkgonly", "dev-demo/libgreet"]
        subprocess.run(argv, env=host.env(), capture_output=True, check=True)
    return host.pkgdir


@pytest.fixture
def shelf(host: Host, packages: Path) -> Host:
    """Two profiles and their packages."""
    _add_profiles(host)
    shutil.copytree(packages, host.pkgdir, dirs_exist_ok=True)
    return host


def test_ls_shows_which_profile_runs_which_instance(shelf: Host, on):
    found = json.loads(on("gentoomuch", "binpkg", "ls", "--json").out)

    assert {(one["build_id"], *one["runs_on"]) for one in found} == {(1, "new"), (2, "new", "old")}


def test_why_lists_usable_packages_first(shelf: Host, on):
    found = json.loads(on("gentoomuch", "binpkg", "why", "libgreet", "--profile", "old", "--json").out)

    assert [(one["build_id"], one["verdict"], one["code"]) for one in found] == [
        (2, "accept", "runs"),
        (1, "reject", "cpu"),
    ]
    assert "avx2" in found[1]["missing"]


def test_why_reports_other_use_flags(shelf: Host, on):
    shelf.write("package.use/shout", "dev-demo/libgreet shout\n")

    found = json.loads(on("gentoomuch", "binpkg", "why", "dev-demo/libgreet-1.0", "--profile", "new", "--json").out)

    assert {one["code"] for one in found} == {"use"}


def test_why_reports_a_mask(shelf: Host, on):
    shelf.write("package.mask/some", "# broken here\ndev-demo/libgreet\n")

    found = json.loads(on("gentoomuch", "binpkg", "why", "libgreet", "--profile", "new", "--json").out)

    assert all("mask" in {reason["code"] for reason in one["reasons"]} for one in found)


def test_why_reports_keywords_changed_dependencies_and_a_license(shelf: Host, on):
    built = next(shelf.pkgdir.rglob("*-1.0-2.gpkg.tar"))
    others = {3: {"KEYWORDS": "~mips"}, 4: {"RDEPEND": "dev-demo/gone"}, 5: {"LICENSE": "no-source-code"}}
    for number, changes in others.items():
        instance(built, shelf.pkgdir, number, {"CFLAGS": "-O2", **changes})
    shelf.write("make.conf", (shelf.etc / "make.conf").read_text() + 'ACCEPT_LICENSE="* -no-source-code"\n')
    assert on("emaint", "binhost", "--fix").status == 0

    found = json.loads(on("gentoomuch", "binpkg", "why", "libgreet", "--profile", "old", "--json").out)

    codes = {one["build_id"]: {reason["code"] for reason in one["reasons"]} for one in found}
    assert (codes[3], codes[4], codes[5]) == ({"keywords"}, {"deps"}, {"license"})
    assert {one["verdict"] for one in found if one["build_id"] in codes.keys() - {2}} == {"reject"}


def test_a_package_that_a_run_would_unmask_is_usable(shelf: Host, on):
    shelf.profile("old", 'cpu = "x86-64"\n[unmask]\nkeywords = true\nmask = true\n')
    built = next(shelf.pkgdir.rglob("*-1.0-2.gpkg.tar"))
    instance(built, shelf.pkgdir, 3, {"CFLAGS": "-O2", "KEYWORDS": f"~{find_arch()[0]}"})
    assert on("emaint", "binhost", "--fix").status == 0
    shelf.write("package.mask/some", "# broken here\n=dev-demo/libgreet-1.0-2\n")

    found = json.loads(on("gentoomuch", "binpkg", "why", "libgreet", "--profile", "old", "--json").out)

    told = {one["build_id"]: (one["verdict"], one["unmasks"]) for one in found}
    assert told[3] == ("accept", ["keywords"])
    assert told[2] == ("accept", ["mask"])
    assert told[1][0] == "reject"


def test_why_of_an_unknown_package_is_one_error(shelf: Host, on):
    ended = on("gentoomuch", "binpkg", "why", "dev-demo/nothing", "--profile", "new", "--json")

    assert ended.status == 70
    assert json.loads(ended.out)["error"] == "unknown-binpkg"


def test_binpkg_masks_exclude_packages_above_the_cpu_from_plain_emerge(shelf: Host, on):
    target = shelf.etc / "package.mask/gentoomuch-cpu"
    assert "-1.0-1" in on("emerge", "-pK", "=dev-demo/libgreet-1.0-1").out

    assert on("gentoomuch", "binpkg", "mask", "--profile", "old", "--write", target).status == 0

    assert "libgreet-1.0-2" in on("emerge", "-pK", "dev-demo/libgreet").out
    assert on("emerge", "-pK", "=dev-demo/libgreet-1.0-1").status == 1
    assert "# needs" in Path(target).read_text()


@pytest.mark.skipif(find_arch()[0] != "amd64", reason="its level of Go is one of x86-64")
@pytest.mark.parametrize(
    "emerge", [("gm-emerge", "--gm-profile=old", "--gm-no=cpu"), ("emerge",)], ids=["recorded", "by plain emerge"]
)
@pytest.mark.parametrize(
    ("eclass", "export"), [("go-env", "GOAMD64=v3"), ("cargo", """RUSTFLAGS='--cfg a="$b" -C target-cpu=haswell'""")]
)
def test_exports_of_an_ebuild_for_go_and_rust_override_make_conf(host: Host, on, emerge, eclass, export):
    write(host.repository / f"eclass/{eclass}.eclass", "")
    write(
        host.repository / "app-demo/made/made-1.ebuild",
        f"EAPI=8\ninherit {eclass}\nSLOT=0\nKEYWORDS=amd64\nS=${{WORKDIR}}\npkg_setup() {{ export {export}; }}\n"
        "src_install() { printf '\\0' > code; insinto /usr/lib/made; doins code; }\n",
    )
    host.profile("old", 'cpu = "x86-64"\n')
    assert on(*emerge, "-q", "--buildpkgonly", "app-demo/made", CFLAGS="-O2").status == 0

    (found,) = json.loads(on("gentoomuch", "binpkg", "why", "made", "--profile", "old", "--json").out)

    assert (found["verdict"], found["code"]) == ("reject", "cpu")
    assert "avx2" in found["missing"]
