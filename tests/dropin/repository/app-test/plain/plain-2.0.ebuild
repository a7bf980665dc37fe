# Copyright 2026 gentoomuch-portage authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="Installs one file"
HOMEPAGE="https://github.com/gentoomuch/gentoomuch-portage"
S="${WORKDIR}"

LICENSE="GPL-2+"
SLOT="0"
KEYWORDS="amd64 arm64 ppc64 riscv x86"
IUSE="doc"

src_install() {
	newdoc - "${PN}" <<<"${PVR}"
}
