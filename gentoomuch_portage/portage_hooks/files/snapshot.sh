#!/bin/sh
# After the sync of a repository: save a snapshot for containers. The arguments are its name, URI and directory.
gentoomuch=@GENTOOMUCH@
# gentoomuch sync saves the snapshot itself, and has the lock.
[ -z "${GM_SYNCING:-}" ] || exit 0
if [ -x "$gentoomuch" ]; then
	"$gentoomuch" --quiet sync --only-snapshot "$1" @OPTION_PROFILE@ || echo "gentoomuch: no snapshot of $1 was made" >&2
elif ! cat "${PORTAGE_CONFIGROOT%/}"/etc/portage/sets.conf/gentoomuch*.conf >/dev/null 2>&1; then
	echo "gentoomuch is not installed: remove $0" >&2
fi
exit 0
