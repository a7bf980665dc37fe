#!/bin/sh
# After a sync: masks are written again, and what is no longer needed leaves the ledger.
gentoomuch=@GENTOOMUCH@
if [ -x "$gentoomuch" ]; then
	"$gentoomuch" --quiet hooks refresh @PROFILE@ || echo "gentoomuch: masks and ledger are as they were before the sync" >&2
elif ! cat "${PORTAGE_CONFIGROOT%/}"/etc/portage/sets.conf/gentoomuch*.conf >/dev/null 2>&1; then
	echo "gentoomuch is gone: remove $0" >&2
fi
exit 0
