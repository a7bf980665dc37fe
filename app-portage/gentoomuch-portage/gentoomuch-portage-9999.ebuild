# Copyright 2026 gentoomuch-portage authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DISTUTILS_USE_PEP517=setuptools
PYTHON_COMPAT=( python3_{12..15} )
PYTHON_REQ_USE="threads(+),xml(+)"
inherit distutils-r1 systemd

if [[ ${PV} == 9999 ]]; then
	EGIT_REPO_URI="https://github.com/gentoomuch/gentoomuch-portage.git"
	inherit git-r3
else
	# Made and hashed by tools/release.
	SRC_URI="https://github.com/gentoomuch/gentoomuch-portage/releases/download/v${PV}/${P}.tar.gz"
	KEYWORDS="~amd64 ~arm64"
fi

DESCRIPTION="emerge for everyone who keeps more than one Gentoo machine"
HOMEPAGE="https://github.com/gentoomuch/gentoomuch-portage"

LICENSE="GPL-2+"
SLOT="0"
IUSE="audit doc isolation server"

AUDIT="
	>=dev-python/pyelftools-0.31[${PYTHON_USEDEP}]
	amd64? ( >=dev-python/iced-x86-bin-1.21[${PYTHON_USEDEP}] )
"
SERVER=">=dev-python/aiohttp-3.9[${PYTHON_USEDEP}]"

RDEPEND="
	>=sys-apps/portage-3.0.77[${PYTHON_USEDEP}]
	>=sys-apps/pkgcore-0.12.30[${PYTHON_USEDEP}]
	>=dev-python/snakeoil-0.11[${PYTHON_USEDEP}]
	>=dev-python/pluggy-1.5[${PYTHON_USEDEP}]
	>=dev-python/urllib3-2.2[${PYTHON_USEDEP}]
	$(python_gen_cond_dep '
		>=dev-python/backports-zstd-1.0[${PYTHON_USEDEP}]
	' python3_{12..13})
	audit? ( ${AUDIT} )
	isolation? ( sys-apps/bubblewrap )
	server? ( ${SERVER} )
"
BDEPEND="
	test? (
		${RDEPEND}
		${AUDIT}
		${SERVER}
		dev-vcs/git
	)
"

EPYTEST_PLUGINS=( hypothesis )
distutils_enable_tests pytest

python_compile() {
	distutils-r1_python_compile

	# Root imports nothing that its caller's environment or home names.
	sed -i "1s|^#!.*|#!${PYTHON} -I|" "${BUILD_DIR}/install${EPREFIX}/usr/bin/"{gentoomuch,gm-emerge} || die
}

python_test() {
	local EPYTEST_IGNORE=(
		# Whether code, documentation and man pages agree is none of a user's affair.
		tests/unit/cli/test_man_and_completion.py
		tests/unit/test_docs.py
		tests/unit/test_house.py
		tests/unit/test_snippets.py
		# They want gentoomuch to be installed.
		tests/unit/binhost/test_server.py
		tests/unit/binhost/test_server_hostile.py
		# They want a gpg-agent, whose socket has too long a path here.
		tests/unit/frozen
		# They want a user namespace with more than one user.
		tests/unit/roots/test_archives.py
		tests/unit/roots/test_stage3.py
	)
	local EPYTEST_DESELECT=(
		tests/unit/dotgentoo/test_own_project.py::test_shellcheck_finds_nothing_in_the_eclass
	)
	epytest tests/unit
}

python_install_all() {
	distutils-r1_python_install_all

	insinto /etc/gentoomuch
	doins etc/gentoomuch/gentoomuch.toml
	keepdir /etc/gentoomuch/{layers,patches,profiles}
	docinto examples
	dodoc etc/gentoomuch/profiles/example.toml
	newdoc etc/cron/gentoomuch-update gentoomuch-update.cron

	systemd_dounit etc/systemd/gentoomuch-update.{service,timer}

	if use doc; then
		docinto .
		dodoc -r docs
	fi
	if use server; then
		systemd_dounit etc/systemd/gentoomuch-binhost.service
		newinitd etc/openrc/gentoomuch-binhost.initd gentoomuch-binhost
	fi
}

pkg_postinst() {
	if [[ -z ${REPLACING_VERSIONS} ]]; then
		elog "gentoomuch init      writes a profile that equals this machine"
		elog "gentoomuch doctor    says what this machine can do"
		elog "gentoomuch hooks ls  what plain emerge can have of it"
	fi
}
