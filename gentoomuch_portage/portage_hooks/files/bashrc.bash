# As the hook record does it, for builders that take /etc/portage along and nothing of /usr.
if [[ ${EBUILD_PHASE} == install ]]; then
	post_src_install() {
		if [[ -x @GENTOOMUCH@ ]]; then
			GM_CACHE="${T}/gentoomuch" @GENTOOMUCH@ --quiet hooks record "${PORTAGE_BUILDDIR}" @PROFILE@ ||
				ewarn "gentoomuch could not record what this package needs"
		elif ! cat "${PORTAGE_CONFIGROOT%/}"/etc/portage/sets.conf/gentoomuch*.conf &>/dev/null; then
			ewarn "gentoomuch is gone: nothing is recorded; remove its lines from /etc/portage/bashrc"
		fi
	}
fi
