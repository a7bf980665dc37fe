# Copyright 2026 gentoomuch-portage authors
# Distributed under the terms of the GNU General Public License v2

# @ECLASS: pypi.eclass
# @MAINTAINER:
# gentoomuch-portage <https://github.com/gentoomuch/gentoomuch-portage>
# @SUPPORTED_EAPIS: 8
# @BLURB: A stand-in for tests, where there is no ::gentoo: what our ebuilds ask of the eclass of that name

# @FUNCTION: pypi_wheel_url
# @USAGE: <project> <version> <python tag> <abi and platform tag>
# @DESCRIPTION:
# Where a wheel is.
pypi_wheel_url() {
	echo "https://wheels.example.org/${3}/${1::1}/${1}/${1//-/_}-${2}-${3}-${4}.whl"
}

SRC_URI="https://wheels.example.org/source/${PN::1}/${PN}/${PN//-/_}-${PV}.tar.gz"
