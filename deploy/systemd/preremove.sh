#!/bin/sh
# Before the files go. An update comes by here too (deb: "upgrade", rpm: 1), and stops nothing.
set -e
if [ "$1" = remove ] || [ "$1" = 0 ]; then
	if [ -z "${DPKG_ROOT:-}" ] && [ -d /run/systemd/system ]; then
		systemctl disable --now martsync.service
	fi
fi
