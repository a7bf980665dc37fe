# Copyright 2026 gentoomuch-portage authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="GNU's stream editor"
HOMEPAGE="https://www.gnu.org/software/sed/"
SRC_URI="mirror://gnu/sed/${P}.tar.xz"

LICENSE="GPL-3+"
SLOT="0"
KEYWORDS="amd64 arm64 ppc64 riscv x86"

src_configure() {
	# Whether the building machine has libacl or libselinux must not decide what is built.
	econf --disable-acl --disable-nls --without-selinux
}
