# Copyright 2026 gentoomuch-portage authors
# Distributed under the terms of the GNU General Public License v2

# @ECLASS: git-r3.eclass
# @MAINTAINER:
# gentoomuch-portage <https://github.com/gentoomuch/gentoomuch-portage>
# @SUPPORTED_EAPIS: 8
# @BLURB: A stand-in for tests, where there is no ::gentoo: what our ebuilds ask of the eclass of that name

PROPERTIES+=" live"
BDEPEND+=" dev-vcs/git"

git-r3_src_unpack() {
	git clone --quiet --depth=1 "${EGIT_REPO_URI}" "${S}" || die
}

EXPORT_FUNCTIONS src_unpack
