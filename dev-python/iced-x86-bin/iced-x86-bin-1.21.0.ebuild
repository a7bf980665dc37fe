# Copyright 2026 gentoomuch-portage authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

PYTHON_COMPAT=( python3_{12..15} )
PYPI_PN=${PN%-bin}
inherit python-r1 pypi

DESCRIPTION="Disassembler of x86 code for Python: upstream's wheel"
HOMEPAGE="https://github.com/icedland/iced"
SRC_URI="$(pypi_wheel_url "${PYPI_PN}" "${PV}" cp38 abi3-manylinux_2_17_x86_64.manylinux2014_x86_64)"
S="${WORKDIR}"

LICENSE="MIT"
SLOT="0"
KEYWORDS="-* ~amd64"
REQUIRED_USE="${PYTHON_REQUIRED_USE}"
# Stripped by upstream, for every Python since 3.8.
RESTRICT="strip"

RDEPEND="
	${PYTHON_DEPS}
	elibc_glibc? ( >=sys-libs/glibc-2.17 )
"
BDEPEND="app-arch/unzip"

QA_PREBUILT="usr/lib/python*/site-packages/iced_x86/*.so"

src_unpack() {
	unzip -q "${DISTDIR}/${A}" || die
}

src_install() {
	python_foreach_impl python_domodule iced_x86 "iced_x86-${PV}.dist-info"
}
