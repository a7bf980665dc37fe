# Copyright 2026 gentoomuch-portage authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="Has something to say after it is merged"
HOMEPAGE="https://github.com/gentoomuch/gentoomuch-portage"
S="${WORKDIR}"

LICENSE="GPL-2+"
SLOT="0"
KEYWORDS="amd64 arm64 ppc64 riscv x86"

src_install() {
	newdoc - "${PN}" <<<"${PVR}"
}

pkg_postinst() {
	elog "an elog message"
	ewarn "a warning"
	einfo "an einfo message"
}

pkg_config() {
	einfo "configured"
}

pkg_info() {
	einfo "this is pkg_info"
}
