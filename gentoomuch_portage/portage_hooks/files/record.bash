# What plain emerge builds tells which CPU it needs and which patches it has. Portage sources this after src_install.
if [[ -x @GENTOOMUCH@ ]]; then
	GM_CACHE="${T}/gentoomuch" @GENTOOMUCH@ --quiet hooks record "${PORTAGE_BUILDDIR}" @PROFILE@ ||
		ewarn "gentoomuch could not record what this package needs"
elif ! cat "${PORTAGE_CONFIGROOT%/}"/etc/portage/sets.conf/gentoomuch*.conf &>/dev/null; then
	ewarn "gentoomuch is gone: nothing is recorded; remove ${BASH_SOURCE[0]}"
fi
