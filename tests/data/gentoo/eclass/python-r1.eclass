# Copyright 2026 gentoomuch-portage authors
# Distributed under the terms of the GNU General Public License v2

# @ECLASS: python-r1.eclass
# @MAINTAINER:
# gentoomuch-portage <https://github.com/gentoomuch/gentoomuch-portage>
# @SUPPORTED_EAPIS: 8
# @BLURB: A stand-in for tests, where there is no ::gentoo: what our ebuilds ask of the eclass of that name
# @DESCRIPTION:
# One Python at a time, by PYTHON_TARGETS; no python-exec.

case ${EAPI} in
	8) ;;
	*) die "${ECLASS}: EAPI ${EAPI:-0} not supported" ;;
esac

if [[ -z ${_PYTHON_R1_ECLASS} ]]; then
_PYTHON_R1_ECLASS=1

_python_stand_in_globals() {
	local impl slot use
	for impl in "${PYTHON_COMPAT[@]}"; do
		use="python_targets_${impl}"
		IUSE+=" ${use}"
		PYTHON_REQUIRED_USE+=" ${use}"
		slot=${impl#python}
		PYTHON_DEPS+=" ${use}? ( dev-lang/python:${slot/_/.} )"
		PYTHON_USEDEP+="${PYTHON_USEDEP:+,}${use}(-)?"
	done
	PYTHON_REQUIRED_USE="|| ( ${PYTHON_REQUIRED_USE} )"
}
_python_stand_in_globals
unset -f _python_stand_in_globals

# @FUNCTION: python_gen_cond_dep
# @USAGE: <dependency> [<pattern>...]
# @DESCRIPTION:
# The dependency, for each Python that matches.
python_gen_cond_dep() {
	local dep=${1} impl pattern
	shift
	for impl in "${PYTHON_COMPAT[@]}"; do
		for pattern; do
			# shellcheck disable=SC2053
			if [[ ${impl} == ${pattern} ]]; then
				echo "python_targets_${impl}? ( ${dep//'${PYTHON_USEDEP}'/python_targets_${impl}(-)} )"
			fi
		done
	done
}

# @FUNCTION: python_foreach_impl
# @USAGE: <command>...
# @DESCRIPTION:
# Run it for each Python that is a target.
python_foreach_impl() {
	local impl EPYTHON PYTHON
	for impl in "${PYTHON_COMPAT[@]}"; do
		use "python_targets_${impl}" || continue
		EPYTHON=${impl/_/.}
		PYTHON=${BROOT}/usr/bin/${EPYTHON}
		"${@}" || die
	done
}

# @FUNCTION: python_get_sitedir
# @DESCRIPTION:
# Where modules of this Python are.
python_get_sitedir() {
	"${PYTHON}" -c "import sysconfig; print(sysconfig.get_path('purelib'))" || die
}

# @FUNCTION: python_domodule
# @USAGE: <path>...
# @DESCRIPTION:
# Install modules.
python_domodule() {
	insinto "$(python_get_sitedir)"
	doins -r "${@}"
}

fi
