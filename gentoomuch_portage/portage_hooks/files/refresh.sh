#!/bin/sh
# After a sync: write the masks again, and prune the ledgers.
gentoomuch=@GENTOOMUCH@
if [ -x "$gentoomuch" ]; then
	"$gentoomuch" --quiet hooks refresh @PROFILE@ || echo "gentoomuch: masks and ledgers were not refreshed" >&2
elif ! cat "${PORTAGE_CONFIGROOT%/}"/etc/portage/sets.conf/gentoomuch*.conf >/dev/null 2>&1; then
	echo "gentoomuch is not installed: remove $0" >&2
fi
exit 0
