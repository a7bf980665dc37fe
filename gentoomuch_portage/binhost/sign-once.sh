#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Run gpg for a key directory, and end the agent that it started: sign-once.sh HOME ARGUMENT...
# The caller holds the lock of that directory, so no other process signs there.
home=$1
shift
trap : HUP INT TERM # these signals end gpg, and the script must then still end the agent
gpg "$@"
status=$?
socket=$(gpgconf --homedir "$home" --list-dirs agent-socket)
gpgconf --homedir "$home" --kill gpg-agent >&2
tries=100 # an agent that is ending still accepts connections, and resets them: the next gpg would fail
while [ -S "$socket" ] && [ "$tries" -gt 0 ]; do
	tries=$((tries - 1))
	sleep 0.05
done
exit "$status"
