# The same as the hook record, for builders that copy /etc/portage and nothing of /usr.
if [[ ${EBUILD_PHASE} == install ]]; then
	post_src_install() {
		if [[ -x @GENTOOMUCH@ ]]; then
			GM_CACHE="${T}/gentoomuch" @GENTOOMUCH@ --quiet hooks record "${PORTAGE_BUILDDIR}" @PROFILE@ ||
				ewarn "gentoomuch could not record the CPU features of this package"
		elif ! cat "${PORTAGE_CONFIGROOT%/}"/etc/portage/sets.conf/gentoomuch*.conf &>/dev/null; then
			ewarn "gentoomuch is not installed: nothing is recorded; remove its lines from /etc/portage/bashrc"
		fi
	}
fi
