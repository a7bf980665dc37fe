#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Run gpg for a key directory, and end the agent that it started: sign-once.sh HOME ARGUMENT...
# The caller holds the lock of that directory, so no other process signs there.
home=$1
shift
trap : HUP INT TERM # these signals end gpg, and the script must then still end the agent
gpg "$@"
status=$?
gpgconf --homedir "$home" --kill gpg-agent >&2
exit "$status"
