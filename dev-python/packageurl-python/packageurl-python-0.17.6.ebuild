# Copyright 2026 gentoomuch-portage authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DISTUTILS_USE_PEP517=setuptools
PYTHON_COMPAT=( python3_{12..15} )
inherit distutils-r1 pypi

DESCRIPTION="Parser and builder of package URLs (purl)"
HOMEPAGE="https://github.com/package-url/packageurl-python"

LICENSE="MIT"
SLOT="0"
KEYWORDS="~amd64 ~arm64"
# Its tests want packages that ::gentoo lacks.
RESTRICT="test"
