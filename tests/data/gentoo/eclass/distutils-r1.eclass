# Copyright 2026 gentoomuch-portage authors
# Distributed under the terms of the GNU General Public License v2

# @ECLASS: distutils-r1.eclass
# @MAINTAINER:
# gentoomuch-portage <https://github.com/gentoomuch/gentoomuch-portage>
# @SUPPORTED_EAPIS: 8
# @PROVIDES: python-r1
# @BLURB: A stand-in for tests, where there is no ::gentoo: what our ebuilds ask of the eclass of that name
# @DESCRIPTION:
# Builds a wheel by setuptools and installs what is in it.

case ${EAPI} in
	8) ;;
	*) die "${ECLASS}: EAPI ${EAPI:-0} not supported" ;;
esac

if [[ -z ${_DISTUTILS_R1_ECLASS} ]]; then
_DISTUTILS_R1_ECLASS=1

inherit python-r1

RDEPEND="${PYTHON_DEPS}"
BDEPEND="${PYTHON_DEPS}
	dev-python/${DISTUTILS_USE_PEP517/poetry/poetry-core}[${PYTHON_USEDEP}]"
REQUIRED_USE="${PYTHON_REQUIRED_USE}"

# @FUNCTION: distutils_enable_tests
# @USAGE: pytest
# @DESCRIPTION:
# Test with pytest.
distutils_enable_tests() {
	IUSE+=" test"
	RESTRICT+=" !test? ( test )"
	local plugin
	BDEPEND+=" test? ( dev-python/pytest[${PYTHON_USEDEP}]"
	for plugin in "${EPYTEST_PLUGINS[@]}"; do
		BDEPEND+=" dev-python/${plugin}[${PYTHON_USEDEP}]"
	done
	BDEPEND+=" )"
}

# @FUNCTION: epytest
# @USAGE: [<word>...]
# @DESCRIPTION:
# Run pytest on what is to be installed.
epytest() {
	local words=() one
	for one in "${EPYTEST_IGNORE[@]}"; do
		words+=( "--ignore=${one}" )
	done
	for one in "${EPYTEST_DESELECT[@]}"; do
		words+=( "--deselect=${one}" )
	done
	"${PYTHON}" -m pytest -p no:cacheprovider "${words[@]}" "${@}" || die "pytest failed"
}

distutils-r1_src_compile() {
	_distutils_stand_in_compile() {
		local BUILD_DIR=${WORKDIR}/build-${EPYTHON}
		if declare -f python_compile >/dev/null; then
			python_compile
		else
			distutils-r1_python_compile
		fi
	}
	python_foreach_impl _distutils_stand_in_compile
}

# What Gentoo's does: scripts go to ${BUILD_DIR}/install, where an ebuild may change them.
distutils-r1_python_compile() {
	local wheels=${WORKDIR}/wheels-${EPYTHON} bindir=${BUILD_DIR}/install${EPREFIX}/usr/bin one
	mkdir -p "${wheels}" "${bindir}" || die
	"${PYTHON}" -c "from setuptools import build_meta; build_meta.build_wheel('${wheels}')" || die
	cd "${wheels}" && "${PYTHON}" -m zipfile -e ./*.whl . || die
	for one in "${wheels}"/*.data/scripts/*; do
		[[ ! -f ${one} ]] || cp "${one}" "${bindir}" || die
	done
	cd "${S}" || die
}

distutils-r1_src_test() {
	declare -f python_test >/dev/null || return 0
	_distutils_stand_in_test() {
		local -x PYTHONPATH=${WORKDIR}/wheels-${EPYTHON}
		python_test
	}
	python_foreach_impl _distutils_stand_in_test
}

distutils-r1_python_install_all() {
	local DOCS=() one
	for one in README* CONTRIBUTING*; do
		[[ ! -f ${one} ]] || DOCS+=( "${one}" )
	done
	einstalldocs
}

distutils-r1_src_install() {
	_distutils_stand_in_install() {
		local wheels=${WORKDIR}/wheels-${EPYTHON} data one
		data=$(echo "${wheels}"/*.data)
		for one in "${wheels}"/*; do
			case ${one} in
				*.whl | *.data) ;;
				*) python_domodule "${one}" ;;
			esac
		done
		if [[ -d ${data}/data ]]; then
			insinto /usr
			doins -r "${data}"/data/*
		fi
		_distutils_stand_in_scripts "${wheels}"
	}
	python_foreach_impl _distutils_stand_in_install
	if declare -f python_install_all >/dev/null; then
		python_install_all
	else
		distutils-r1_python_install_all
	fi
}

# Console scripts, for the Python that comes last.
_distutils_stand_in_scripts() {
	local name value
	for name in "${WORKDIR}/build-${EPYTHON}/install${EPREFIX}/usr/bin"/*; do
		[[ ! -f ${name} ]] || dobin "${name}"
	done
	while IFS=' =:' read -r name value; do
		printf '#!%s\nimport sys\nfrom %s import %s\nsys.exit(%s())\n' \
			"${PYTHON}" "${value%%:*}" "${value##*:}" "${value##*:}" >"${T}/${name}" || die
		dobin "${T}/${name}"
	done < <(sed -n '/^\[console_scripts\]/,/^\[/{/ = /p}' "${1}"/*.dist-info/entry_points.txt 2>/dev/null)
}

fi

EXPORT_FUNCTIONS src_compile src_test src_install
