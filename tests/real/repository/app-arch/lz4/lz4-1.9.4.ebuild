# Copyright 2026 gentoomuch-portage authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="Extremely fast compression: library and program"
HOMEPAGE="https://lz4.org/ https://github.com/lz4/lz4"
SRC_URI="https://github.com/lz4/lz4/archive/v${PV}.tar.gz -> ${P}.tar.gz"

LICENSE="BSD-2 GPL-2+"
SLOT="0/1"
KEYWORDS="amd64 arm64 ppc64 riscv x86"

_emake() {
	emake CC="${CHOST}-gcc" BUILD_STATIC=no \
		PREFIX="${EPREFIX}/usr" LIBDIR="${EPREFIX}/usr/$(get_libdir)" DESTDIR="${D}" "$@"
}

src_compile() {
	_emake -C lib
	_emake -C programs
}

src_install() {
	_emake -C lib install
	_emake -C programs install
	einstalldocs
}
