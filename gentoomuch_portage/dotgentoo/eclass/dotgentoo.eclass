# Copyright 2026 gentoomuch-portage authors
# Distributed under the terms of the GNU General Public License v2

# @ECLASS: dotgentoo.eclass
# @MAINTAINER:
# gentoomuch-portage <https://github.com/gentoomuch/gentoomuch-portage>
# @SUPPORTED_EAPIS: 8
# @BLURB: Build a project from the work tree that its .gentoo folder stands in
# @DESCRIPTION:
# A project that carries its own ebuild in .gentoo/CATEGORY/PACKAGE/PACKAGE-99999.ebuild
# is installed from its work tree by `gm-emerge PATH`, uncommitted changes included.
# The work tree is copied to ${WORKDIR}/${P}; nothing is ever built in place.
#
# From a plain overlay, where there is no work tree, sources come from EGIT_REPO_URI
# (by git-r3.eclass) where it is set before this eclass is inherited, otherwise from SRC_URI.
#
# An eclass with a src_unpack of its own, such as cargo or go-module, wants both:
# @CODE
# src_unpack() {
# 	dotgentoo_src_unpack
# 	cargo_src_unpack
# }
# @CODE
# @EXAMPLE:
# @CODE
# EAPI=8
#
# EGIT_REPO_URI="https://example.org/hello.git"
# inherit dotgentoo
#
# DESCRIPTION="A program that greets"
# LICENSE="GPL-2+"
# SLOT="0"
# @CODE

case ${EAPI} in
	8) ;;
	*) die "${ECLASS}: EAPI ${EAPI:-0} not supported" ;;
esac

if [[ -z ${_DOTGENTOO_ECLASS} ]]; then
_DOTGENTOO_ECLASS=1

# @ECLASS_VARIABLE: EGIT_REPO_URI
# @DEFAULT_UNSET
# @PRE_INHERIT
# @DESCRIPTION:
# Where the project is cloned from when it is not installed from a work tree.
# Inherits git-r3, and with it a build dependency on dev-vcs/git.
if [[ -n ${EGIT_REPO_URI} ]]; then
	inherit git-r3
fi

# @ECLASS_VARIABLE: DOTGENTOO_PACKAGE_ROOT
# @OUTPUT_VARIABLE
# @DEFAULT_UNSET
# @DESCRIPTION:
# A copy of the work tree, to be read only. Unset in the global scope, and where
# the ebuild is installed from a plain overlay.

# @ECLASS_VARIABLE: DOTGENTOO_VERSION
# @OUTPUT_VARIABLE
# @DEFAULT_UNSET
# @DESCRIPTION:
# The version of the work tree as `git describe --tags --always` tells it, with -dirty
# where files are not as committed. Empty without git; unset where DOTGENTOO_PACKAGE_ROOT is.

# @ECLASS_VARIABLE: DOTGENTOO_DIGEST
# @OUTPUT_VARIABLE
# @DEFAULT_UNSET
# @DESCRIPTION:
# SHA-256 over the files of the work tree.

# @ECLASS_VARIABLE: DOTGENTOO_ID
# @OUTPUT_VARIABLE
# @DEFAULT_UNSET
# @DESCRIPTION:
# The ID of the .gentoo folder.

# @FUNCTION: dotgentoo_src_unpack
# @DESCRIPTION:
# Put the sources into ${WORKDIR}/${P}: a copy of the work tree, its blocks shared
# where the file system can; otherwise a clone, or what SRC_URI names.
dotgentoo_src_unpack() {
	debug-print-function "${FUNCNAME[0]}" "$@"

	if [[ -n ${DOTGENTOO_PACKAGE_ROOT} ]]; then
		# What SRC_URI names besides, crates for one, is left to whoever asked for it.
		mkdir -p "${WORKDIR}/${P}" || die
		cp -R --preserve=mode,timestamps,links --reflink=auto \
			"${DOTGENTOO_PACKAGE_ROOT}/." "${WORKDIR}/${P}/" || die "the work tree cannot be copied"
	elif [[ -n ${EGIT_REPO_URI} ]]; then
		git-r3_src_unpack
	elif [[ -n ${A} ]]; then
		default
	else
		die "no sources: install it by gm-emerge PATH, or set EGIT_REPO_URI or SRC_URI"
	fi
}

fi

EXPORT_FUNCTIONS src_unpack
