# Copyright 2026 gentoomuch-portage authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DISTUTILS_USE_PEP517=poetry
PYTHON_COMPAT=( python3_{12..15} )
inherit distutils-r1 pypi

DESCRIPTION="CycloneDX bills of materials"
HOMEPAGE="https://github.com/CycloneDX/cyclonedx-python-lib"

LICENSE="Apache-2.0"
SLOT="0"
KEYWORDS="~amd64 ~arm64"
# Its tests want packages that ::gentoo lacks.
RESTRICT="test"

RDEPEND="
	>=dev-python/license-expression-30[${PYTHON_USEDEP}]
	>=dev-python/packageurl-python-0.11[${PYTHON_USEDEP}]
	>=dev-python/py-serializable-2.1.0[${PYTHON_USEDEP}]
	>=dev-python/sortedcontainers-2.4.0[${PYTHON_USEDEP}]
	$(python_gen_cond_dep '
		>=dev-python/typing-extensions-4.6[${PYTHON_USEDEP}]
	' python3_12)
"
