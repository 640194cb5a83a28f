# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# The root file system is on an array; FIRST=1 where it is for the first time.
set -euxo pipefail

uname -r
[ "$(findmnt -no SOURCE /)" = /dev/mapper/root ]
if [ "$FIRST" = 1 ]; then
	dd if=/dev/urandom of=/root/data bs=1M count=200 conv=fsync
	sha256sum /root/data >/root/sum
	sync
else
	echo 3 >/proc/sys/vm/drop_caches
	sha256sum --check /root/sum
fi
dmsetup status root
dmsetup status root | grep -q ' remap relocated [1-9]'
remapctl status root
[ "$(systemctl is-active remap-monitor.service)" = active ]
