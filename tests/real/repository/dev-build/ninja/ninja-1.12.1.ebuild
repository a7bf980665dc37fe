# Copyright 2026 gentoomuch-portage authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="A small build system with a focus on speed"
HOMEPAGE="https://ninja-build.org/ https://github.com/ninja-build/ninja"
SRC_URI="https://github.com/ninja-build/ninja/archive/v${PV}.tar.gz -> ${P}.tar.gz"

LICENSE="Apache-2.0"
SLOT="0"
KEYWORDS="amd64 arm64 ppc64 riscv x86"

src_compile() {
	# It takes CFLAGS for C++, too.
	unset CFLAGS
	CXX="${CHOST}-g++" AR="${CHOST}-ar" python3 configure.py --bootstrap --verbose || die
}

src_install() {
	dobin ninja
	einstalldocs
}
