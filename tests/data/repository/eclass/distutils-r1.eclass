# Copyright 2026 gentoomuch-portage authors
# Distributed under the terms of the GNU General Public License v2

# @ECLASS: distutils-r1.eclass
# @MAINTAINER:
# gentoomuch-portage <https://github.com/gentoomuch/gentoomuch-portage>
# @SUPPORTED_EAPIS: 8
# @BLURB: What stands in for Gentoo's eclass of this name on hosts of tests, which have no ::gentoo
# @DESCRIPTION:
# One Python alone, that of the host; a wheel is made by pip without isolation and installed below the prefix.

case ${EAPI} in
	8) ;;
	*) die "${ECLASS}: EAPI ${EAPI:-0} not supported" ;;
esac

PYTHON_USEDEP="python(+)"

python_gen_cond_dep() {
	printf '%s\n' "${1//'${PYTHON_USEDEP}'/${PYTHON_USEDEP}}"
}

distutils-r1_src_compile() {
	python3 -m pip --no-cache-dir wheel --no-deps --no-index --no-build-isolation -w "${T}/dist" . || die
}

distutils-r1_src_install() {
	python3 -m pip --no-cache-dir install --no-deps --no-index --ignore-installed --no-compile \
		--no-warn-script-location --root="${D}" --prefix="${EPREFIX}/usr" "${T}"/dist/*.whl || die
}

EXPORT_FUNCTIONS src_compile src_install
