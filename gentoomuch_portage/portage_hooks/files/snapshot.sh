#!/bin/sh
# After the sync of a repository: a snapshot of it, which containers see. Portage gives its name, URI and folder.
gentoomuch=@GENTOOMUCH@
# gentoomuch sync makes the snapshot itself, and holds the lock.
[ -z "${GM_SYNCING:-}" ] || exit 0
if [ -x "$gentoomuch" ]; then
	"$gentoomuch" --quiet sync --only-snapshot "$1" @OPTION_PROFILE@ || echo "gentoomuch: no snapshot of $1 was made" >&2
elif ! cat "${PORTAGE_CONFIGROOT%/}"/etc/portage/sets.conf/gentoomuch*.conf >/dev/null 2>&1; then
	echo "gentoomuch is gone: remove $0" >&2
fi
exit 0
