# Copyright 2026 gentoomuch-portage authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DISTUTILS_USE_PEP517=setuptools
PYTHON_COMPAT=( python3_{12..15} )
inherit distutils-r1 dotgentoo

DESCRIPTION="emerge for everyone who keeps more than one Gentoo machine"
HOMEPAGE="https://github.com/gentoomuch/gentoomuch-portage"

LICENSE="GPL-2+"
SLOT="0"

# The tests want hosts in folders and an hour; `make test` runs them.
RESTRICT="test"

RDEPEND="
	>=sys-apps/portage-3.0.77[${PYTHON_USEDEP}]
	>=sys-apps/pkgcore-0.12.30[${PYTHON_USEDEP}]
	>=dev-python/snakeoil-0.11[${PYTHON_USEDEP}]
	>=dev-python/pluggy-1.5[${PYTHON_USEDEP}]
	>=dev-python/urllib3-2.2[${PYTHON_USEDEP}]
	$(python_gen_cond_dep '
		>=dev-python/backports-zstd-1.0[${PYTHON_USEDEP}]
	' python3_{12..13})
"

python_compile() {
	distutils-r1_python_compile

	# Root imports nothing that its caller's environment or home names.
	sed -i "1s|^#!.*|#!${PYTHON} -I|" "${BUILD_DIR}/install${EPREFIX}/usr/bin/"{gentoomuch,gm-emerge} || die
}
