# Copyright 2026 gentoomuch-portage authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="Does not compile"
HOMEPAGE="https://github.com/gentoomuch/gentoomuch-portage"
S="${WORKDIR}"

LICENSE="GPL-2+"
SLOT="0"
KEYWORDS="amd64 arm64 ppc64 riscv x86"

src_compile() {
	echo "int main(void) { return broken; }" > broken.c || die
	"${CHOST}-gcc" -c broken.c || die "as it should: this never compiles"
}
