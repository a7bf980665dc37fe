# Copyright 2026 gentoomuch-portage authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="A small shared library in C, for trying things out"
HOMEPAGE="https://github.com/gentoomuch/gentoomuch-portage"
SRC_URI="${P}.tar.gz"

LICENSE="GPL-2+"
SLOT="0/1"
KEYWORDS="amd64 arm64 ppc64 riscv"
IUSE="shout"

src_compile() {
	emake CC="${CHOST}-gcc" CPPFLAGS="${CPPFLAGS} $(usev shout -DSHOUT)"
}

src_install() {
	emake DESTDIR="${D}" PREFIX="${EPREFIX}/usr" LIBDIR="$(get_libdir)" install
}
