# Copyright 2026 gentoomuch-portage authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="Two slots that may be installed side by side"
HOMEPAGE="https://github.com/gentoomuch/gentoomuch-portage"
S="${WORKDIR}"

LICENSE="GPL-2+"
SLOT="2"
KEYWORDS="amd64 arm64 ppc64 riscv x86"

src_install() {
	newdoc - "${PN}" <<<"${PVR}"
}
