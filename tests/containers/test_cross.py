# SPDX-License-Identifier: GPL-2.0-or-later
"""A static C package for another CPU, built by crossdev's conventions, and run: by qemu-user."""

import grp
import os
import pwd
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import Run
from helpers.containers import digest, some

from gentoomuch_portage.containers import qemu_user
from gentoomuch_portage.demo_host import Host
from gentoomuch_portage.demo_host.host import write

CHOST, DEBIANS = "aarch64-unknown-linux-gnu", "aarch64-linux-gnu"
_TOOLS = ("gcc", "cpp", "ar", "as", "nm", "ld", "ranlib", "strip", "objcopy", "objdump", "readelf")
_DEFAULTS = """ARCH="arm64"
ACCEPT_KEYWORDS="arm64"
KERNEL="linux"
ELIBC="glibc"
LIBDIR_arm64="lib64"
DEFAULT_ABI="arm64"
ABI="arm64"
"""
_CONF = """CHOST="{chost}"
CBUILD="{cbuild}"
CFLAGS="-O2 -pipe"
ACCEPT_LICENSE="*"
FEATURES="{features}"
PORTAGE_TMPDIR="{var}/tmp"
PKGDIR="{var}/cache/binpkgs"
DISTDIR="{var}/cache/distfiles"
PORTAGE_USERNAME="{user}"
PORTAGE_GRPNAME="{group}"
"""
_HEAD = """EAPI=8
DESCRIPTION="For another CPU"
SLOT="0"
LICENSE="GPL-2+"
KEYWORDS="arm64"
S="${WORKDIR}"
"""
_LIBRARY = r"""
src_compile() {
	printf 'int answer(void) { return 42; }\n' > answer.c || die
	printf 'int answer(void);\n' > answer.h || die
	${CHOST}-gcc ${CFLAGS} -c answer.c || die
	${CHOST}-ar rc libanswer.a answer.o || die
}
src_install() {
	dolib.a libanswer.a
	doheader answer.h
}
"""
_PROGRAM = r"""
DEPEND="dev-demo/answer"
src_compile() {
	printf '#include <answer.h>\nint printf(const char *, ...);\n' > ask.c || die
	printf 'int main(void) { return printf("%%d\\n", answer()) < 0; }\n' >> ask.c || die
	local flags=( -static -I"${ESYSROOT}/usr/include" -L"${ESYSROOT}/usr/$(get_libdir)" )
	${CHOST}-gcc ${CFLAGS} "${flags[@]}" ask.c -lanswer -o ask || die
}
src_install() {
	dobin ask
}
"""


@pytest.fixture
def root(host: Host) -> Path:
    """The root of the profile ``arm``, where crossdev has it; not made yet."""
    write(host.repository / "profiles/arm64/eapi", "8\n")
    write(host.repository / "profiles/arm64/make.defaults", _DEFAULTS)
    write(host.repository / "dev-demo/answer/answer-1.ebuild", _HEAD + _LIBRARY)
    write(host.repository / "app-demo/ask/ask-1.ebuild", _HEAD + _PROGRAM)
    root = host.folder / f"usr/{CHOST}"
    told = f'make_profile = "arm64"\nbase = "none"\nroot = "{root}"\nlayers = ["arm"]\n'
    conf = _CONF.format(
        chost=CHOST,
        cbuild="x86_64-pc-linux-gnu",
        var=host.eprefix / "var",
        user=pwd.getpwuid(os.geteuid()).pw_name,
        group=grp.getgrgid(os.getegid()).gr_name,
        features="-sandbox -usersandbox -userpriv -userfetch -news",
    )
    repositories = (host.etc / "repos.conf/gm-demo.conf").read_text()
    host.profile("arm", told, {"arm/make.conf": conf, "arm/repos.conf/gm-demo.conf": repositories})
    return root


@pytest.fixture
def compiler(host: Host) -> None:
    """Debian's compiler for arm64 under the names that crossdev would give it."""
    if not (shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static")):
        pytest.skip("qemu-user is not here")
    asked = [f"{DEBIANS}-gcc", "-static", "-x", "c", "-", "-o", "/dev/null"]
    source = '#include <stdio.h>\nint main(void) { return puts(""); }\n'
    if not shutil.which(asked[0]) or subprocess.run(asked, input=source, text=True, capture_output=True).returncode:
        pytest.skip("no static program for arm64 can be compiled here (gcc-aarch64-linux-gnu, libc6-dev-arm64-cross)")
    for tool in _TOOLS:
        (host.bin / f"{CHOST}-{tool}").symlink_to(shutil.which(f"{DEBIANS}-{tool}") or "/missing")


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("contained", [False, True])
def test_a_static_program_for_another_cpu_is_built_and_runs(
    host: Host, on: Run, root: Path, *, contained: bool
) -> None:
    kind = some() if contained else "none"
    before = digest(host.vdb)

    ended = on("gm-emerge", "--gm-profile=arm", f"--gm-isolation={kind}", "-1q", "ask")

    assert ended.status == 0, ended.err + ended.out
    program = host.eroot(root) / "usr/bin/ask"
    assert qemu_user.cpu_name(program.read_bytes()[:20]) == "aarch64"
    qemu = shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static")
    assert subprocess.run([qemu, program], capture_output=True, text=True).stdout == "42\n"
    assert (host.eroot(root) / "usr/lib64/libanswer.a").is_file()
    assert digest(host.vdb) == before, "what the program links with is not of this machine"


def test_without_a_compiler_for_it_the_failure_is_explained(on: Run, root: Path) -> None:
    ended = on("gm-emerge", "--gm-profile=arm", "-1q", "ask")

    assert ended.status == 1
    last, hint = ended.err.strip().splitlines()[-2:]
    assert last.endswith(f"{root} is for {CHOST}, and {CHOST}-gcc is not on PATH  [no-compiler]")
    assert hint.endswith(f"hint: crossdev --stable --target {CHOST}")
