# Copyright 2026 gentoomuch-portage authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="Its archive must be fetched by hand"
HOMEPAGE="https://github.com/gentoomuch/gentoomuch-portage"
SRC_URI="by-hand.tar.gz"
S="${WORKDIR}"

LICENSE="GPL-2+"
SLOT="0"
KEYWORDS="amd64 arm64 ppc64 riscv x86"
RESTRICT="fetch"

pkg_nofetch() {
	einfo "put ${A} into DISTDIR"
}
