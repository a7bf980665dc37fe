# Copyright 2026 gentoomuch-portage authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="GNU's calculators: bc and dc"
HOMEPAGE="https://www.gnu.org/software/bc/bc.html"
SRC_URI="mirror://gnu/bc/${P}.tar.gz"

LICENSE="GPL-2 LGPL-2.1"
SLOT="0"
KEYWORDS="amd64 arm64 ppc64 riscv x86"

src_prepare() {
	default

	# The same edit as upstream's, which needs ed.
	cat > bc/fix-libmath_h <<-'EOS' || die
		sed -i -e '1s/^/{"/' -e 's/$/",/' -e '2,$s/^/"/' -e '$d' libmath.h
		sed -i -e '$s/,$/,0}/' libmath.h
	EOS
	# The info pages are there; to make them again needs texinfo.
	sed -i -e '/^SUBDIRS/s/ doc\>//' Makefile.in || die
}

src_configure() {
	econf --without-libedit --without-readline
}

src_install() {
	default
	doman doc/{bc,dc}.1
	doinfo doc/{bc,dc}.info
}
