#!/bin/sh
# After the files are there: the service's user, and systemd is told. Nothing is started: there is no configuration yet.
# DPKG_ROOT is where dpkg installs when that is not this system.
set -e
root=${DPKG_ROOT:-}
if command -v systemd-sysusers >/dev/null; then
	systemd-sysusers ${root:+--root="$root"} martsync.conf
fi
if [ -z "$root" ] && [ -d /run/systemd/system ]; then
	systemctl daemon-reload
	systemctl try-restart martsync.service
fi
