# Copyright 2026 gentoomuch-portage authors
# Distributed under the terms of the GNU General Public License v2

# @ECLASS: systemd.eclass
# @MAINTAINER:
# gentoomuch-portage <https://github.com/gentoomuch/gentoomuch-portage>
# @SUPPORTED_EAPIS: 8
# @BLURB: A stand-in for tests, where there is no ::gentoo: what our ebuilds ask of the eclass of that name

# @FUNCTION: systemd_dounit
# @USAGE: <unit>...
# @DESCRIPTION:
# Install units.
systemd_dounit() {
	insinto /usr/lib/systemd/system
	doins "${@}"
}
