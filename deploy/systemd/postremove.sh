#!/bin/sh
# After the files have gone. The user and what it has written stay: they are the operator's.
set -e
if [ -z "${DPKG_ROOT:-}" ] && [ -d /run/systemd/system ]; then
	systemctl daemon-reload
fi
