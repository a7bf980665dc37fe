# SPDX-License-Identifier: GPL-2.0-or-later
"""Two profiles on one host: what one leaves behind is nothing to the other, and the host stays as it is."""

import functools
import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gentoomuch_portage.demo_host import Host

TELL = """
src_install() {
	mkdir -p "${ED}/usr/share/${PN}" || die
	echo "${CFLAGS} | ${USE}" > "${ED}/usr/share/${PN}/told" || die
}
"""
"""Leaves a file that tells what the package was built with."""


def ebuild(host: Host, name: str, body: str = "", *, keywords: str = "amd64 arm64 ppc64 riscv", **told: str) -> Path:
    """Write an ebuild ``category/name-version`` without sources into the host's repository."""
    category, _, package = name.partition("/")
    variables = {"EAPI": "8", "DESCRIPTION": "x", "HOMEPAGE": "https://example.org", "SLOT": "0", "LICENSE": "GPL-2+"}
    lines = [f'{key}="{value}"' for key, value in {**variables, "KEYWORDS": keywords, **told}.items()]
    file = host.repository / category / package.rpartition("-")[0] / f"{package}.ebuild"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join([*lines, 'S="${WORKDIR}"', body]))
    return file


def tree(folder: Path) -> dict[str, str]:
    """Each path below a folder with what it holds."""
    return {
        str(path.relative_to(folder)): str(path.readlink())
        if path.is_symlink()
        else hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file()
        else "folder"
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture(autouse=True)
def the_hosts_own_configuration_stays_as_it_is(host: Host) -> Iterator[None]:
    """What lies in the host's etc/portage is the same after each test as before."""
    before = tree(host.etc)
    yield
    assert tree(host.etc) == before


def test_resume_does_not_continue_a_run_of_another_profile(host: Host, on):
    ebuild(host, "app-demo/fails-1", "src_compile() {\n\tdie no\n}\n")
    ebuild(host, "app-demo/after-1", "", RDEPEND="app-demo/fails")
    host.profile("a", "")
    host.profile("b", "")

    failed = on("gm-emerge", "--gm-profile=a", "-q", "after")
    other, plain = on("gm-emerge", "--gm-profile=b", "-p", "--resume"), on("emerge", "-p", "--resume")
    again = on("gm-emerge", "--gm-profile=a", "-p", "--resume")

    assert failed.status == 1
    assert "nothing to resume" in (other.out + other.err).lower()
    assert "nothing to resume" in (plain.out + plain.err).lower()
    assert "app-demo/fails-1" in again.out
    assert "app-demo/after-1" in again.out


def test_resume_in_a_profile_does_not_continue_a_plain_run(host: Host, on):
    ebuild(host, "app-demo/fails-1", "src_compile() {\n\tdie no\n}\n")
    ebuild(host, "app-demo/after-1", "", RDEPEND="app-demo/fails")
    host.profile("a", "")

    assert on("gm-emerge", "-q", "after").status == 1

    own, plain = on("gm-emerge", "--gm-profile=a", "-p", "--resume"), on("emerge", "-p", "--resume")
    assert "nothing to resume" in (own.out + own.err).lower()
    assert "app-demo/fails-1" in plain.out


def test_each_profile_has_its_own_build_directory(host: Host, on):
    ebuild(host, "app-demo/fails-1", "src_compile() {\n\tdie no\n}\n")
    host.profile("a", "")
    host.profile("b", "")

    for name in ("a", "b"):
        on("gm-emerge", f"--gm-profile={name}", "-q", "fails")

    left = sorted(
        path.relative_to(host.eprefix / "var/tmp").parts[1]
        for path in host.eprefix.glob("var/tmp/*/*/portage/app-demo/fails-1")
    )
    assert left == ["a", "b"]
    assert not (host.eprefix / "var/tmp/portage/app-demo/fails-1").exists()


@pytest.fixture
def binhost(host: Host, on) -> Iterator[str]:
    """The address of a binhost with libgreet."""
    assert on("emerge", "-q", "--buildpkgonly", "libgreet").status == 0
    served = host.pkgdir.rename(host.folder / "served")
    host.pkgdir.mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(served))
    handler.log_message = lambda *_: None
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_each_profile_has_its_own_binhost_indexes(host: Host, on, binhost: str):
    remote = f"[served]\nsync-uri = {binhost}\nverify-signature = false\n"
    host.profile("a", 'layers = ["far"]\n[binpkg]\nremote = true\n', {"far/binrepos.conf": remote})
    host.profile("b", "")

    ours = on("gm-emerge", "--gm-profile=a", "-pv", "libgreet")
    other = on("gm-emerge", "--gm-profile=b", "-pv", "libgreet")

    assert "[binary" in ours.out, ours.err
    assert "[ebuild" in other.out
    cached = [path.relative_to(host.eprefix) for path in host.eprefix.rglob("Packages") if "binhost" in str(path)]
    assert [str(path.parents[-6]) for path in cached] == ["var/cache/gentoomuch/binhosts/a"]
    assert not (host.eprefix / "var/cache/edb/binhost").exists()


def test_a_root_of_its_own_has_a_world_of_its_own(host: Host, on, tmp_path: Path):
    host.profile("a", f'root = "{tmp_path / "root"}"\n')
    (tmp_path / "root").mkdir()

    assert on("gm-emerge", "--gm-profile=a", "-q", "libgreet").status == 0

    there = host.eroot(tmp_path / "root")
    assert (there / "var/lib/portage/world").read_text() == "dev-demo/libgreet\n"
    assert (host.eprefix / "var/lib/gentoomuch/a/world").read_text() == "dev-demo/libgreet\n"
    assert not (host.eprefix / "var/lib/portage/world").exists()
    assert (there / "var/db/pkg/dev-demo/libgreet-1.0").is_dir()
    assert not (host.vdb / "dev-demo").exists()


@pytest.fixture
def building(host: Host, tmp_path: Path) -> Path:
    """A root of its own for profile ``a``, and a package that needs two tools for building."""
    body = f"src_prepare() {{\n\techo plain > text || die\n\tdefault\n}}\n{TELL}"
    body = body.replace('| ${USE}"', '| ${USE} | $(cat text)"')
    ebuild(host, "dev-demo/tool-1", body, IUSE="fast")
    ebuild(host, "dev-demo/newer-1", TELL, keywords="~amd64 ~arm64 ~ppc64 ~riscv")
    ebuild(host, "app-demo/made-1", TELL, BDEPEND="dev-demo/tool dev-demo/newer")
    root = tmp_path / "root"
    root.mkdir()
    patch = "--- a/text\n+++ b/text\n@@ -1 +1 @@\n-plain\n+patched\n"
    layer = {
        "far/make.conf": 'CFLAGS="-O3"\nUSE="global"\n',
        "far/package.use": "dev-demo/tool fast\n",
        "far/package.accept_keywords": "dev-demo/newer **\n",
        "far/patches/dev-demo/tool/x.patch": patch,
    }
    host.profile("a", f'root = "{root}"\ncpu = "x86-64"\nlayers = ["far"]\n', layer)
    return root


def told(eroot: Path, name: str) -> str:
    return (eroot / f"usr/share/{name}/told").read_text()


def test_build_dependencies_follow_the_profile_except_its_flags(host: Host, on, building: Path):
    ended = on("gm-emerge", "--gm-profile=a", "-q", "made")

    assert ended.status == 0, ended.out + ended.err
    flags, use, text = told(host.eprefix, "tool").strip().split(" | ")
    assert flags == "-O2 -pipe"
    assert "fast" in use.split()
    assert "global" not in use.split()
    assert text == "patched"
    assert (host.eprefix / "usr/share/newer/told").is_file()
    assert told(host.eroot(building), "made").startswith("-O3 -march=x86-64 | ")
    assert not (host.eprefix / "usr/share/made").exists()


def test_a_configroot_changed_by_emerge_is_reported_and_not_used_again(host: Host, on):
    ebuild(host, "app-demo/newer-1", keywords="~amd64 ~arm64 ~ppc64 ~riscv")
    host.profile("a", "")

    wrote = on("gm-emerge", "--gm-profile=a", "--gm-no=unmask", "--autounmask-write", "--autounmask=y", "newer")

    told, hint = (line for line in wrote.err.splitlines() if line.startswith("gentoomuch: "))
    assert wrote.status == 1
    assert "package.accept_keywords to a temporary configuration directory: " in told
    assert hint.endswith(f"copy them into a layer in {host.config}/layers")
    assert "app-demo/newer" in Path(told.rpartition(": ")[2]).read_text()
    again = on("gm-emerge", "--gm-profile=a", "--gm-no=unmask", "-p", "newer")
    assert again.status == 1
    assert "masked" in again.out + again.err
