# SPDX-License-Identifier: GPL-2.0-or-later
"""What a container builds is what the host itself builds, to the bit."""

from pathlib import Path

from conftest import Run

from gentoomuch_portage.demo_host import Host

_EBUILD = """EAPI=8
DESCRIPTION="says where it was built, as assert() does"
SLOT=0
LICENSE="GPL-2+"
KEYWORDS="amd64 arm64 ppc64 riscv"
S="${WORKDIR}"
src_compile() {
	printf '#include <stdio.h>\\nint main(void) { return puts(__FILE__) < 0; }\\n' > where.c || die
	${CHOST}-gcc ${CFLAGS} -g -o where "${S}/where.c" || die
}
src_install() { dobin where; }
"""


def test_a_binary_with_its_build_path_is_the_native_one(kind: str, host: Host, on: Run) -> None:
    ebuild = host.repository / "app-demo/where/where-1.ebuild"
    ebuild.parent.mkdir(parents=True)
    ebuild.write_text(_EBUILD)
    host.profile("router", "")
    program = host.eprefix / "usr/bin/where"

    def built(*words: str) -> bytes:
        ended = on(*words, "--usepkg=n", "-1q", "where")
        assert ended.status == 0, ended.out + ended.err
        return program.read_bytes()

    native = built("emerge")
    contained = built("gm-emerge", "--gm-profile=router", f"--gm-isolation={kind}")

    assert contained == native
    path = on(program).out.strip()
    assert Path(path) == host.eprefix / "var/tmp/portage/app-demo/where-1" / "work" / "where.c"
