# Copyright 2026 gentoomuch-portage authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="Its archive is in no Manifest"
HOMEPAGE="https://github.com/gentoomuch/gentoomuch-portage"
SRC_URI="undigested.tar.gz"
S="${WORKDIR}"

LICENSE="GPL-2+"
SLOT="0"
KEYWORDS="amd64 arm64 ppc64 riscv x86"
