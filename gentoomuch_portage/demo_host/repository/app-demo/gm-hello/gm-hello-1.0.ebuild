# Copyright 2026 gentoomuch-portage authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="A small program in C that says what it was built with"
HOMEPAGE="https://github.com/gentoomuch/gentoomuch-portage"
SRC_URI="${P}.tar.gz"

LICENSE="GPL-2+"
SLOT="0"
KEYWORDS="amd64 arm64 ppc64 riscv"
IUSE="shout"

DEPEND="dev-demo/libgreet:="
RDEPEND="${DEPEND}"

src_compile() {
	emake CC="${CHOST}-gcc" PREFIX="${ESYSROOT}/usr" LIBDIR="$(get_libdir)" CPPFLAGS="${CPPFLAGS} $(usev shout -DSHOUT)"
}

src_install() {
	emake DESTDIR="${D}" PREFIX="${EPREFIX}/usr" install
}
