# Record required CPU features and patches in packages that plain emerge builds. Portage sources this after src_install.
if [[ -x @GENTOOMUCH@ ]]; then
	GM_CACHE="${T}/gentoomuch" @GENTOOMUCH@ --quiet hooks record "${PORTAGE_BUILDDIR}" @PROFILE@ ||
		ewarn "gentoomuch could not record the CPU features of this package"
elif ! cat "${PORTAGE_CONFIGROOT%/}"/etc/portage/sets.conf/gentoomuch*.conf &>/dev/null; then
	ewarn "gentoomuch is not installed: nothing is recorded; remove ${BASH_SOURCE[0]}"
fi
