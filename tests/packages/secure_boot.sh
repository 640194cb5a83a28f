# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# With Secure Boot; ENROLLED=1 where the machine owner enrolled the key of DKMS.
set -euxo pipefail

uname -r
grep -q '\[integrity\]' /sys/kernel/security/lockdown
table() { dmsetup create safe --table "0 2097152 remap /dev/nullb0 0 /dev/nullb1 0 2097152"; }
modprobe null_blk nr_devices=2 gb=1 memory_backed=1
if [ "$ENROLLED" = 1 ]; then
	table
	dd if=/dev/zero of=/dev/mapper/safe bs=1M count=4 oflag=direct
	dmsetup remove --retry safe
	exit
fi
if table; then
	echo "a module with an unknown signature was loaded"
	exit 1
fi
if modprobe dm_remap 2>/tmp/reason; then exit 1; fi
grep -q 'Key was rejected by service' /tmp/reason
