# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# On a stock kernel with the packages: a disk with bad sectors works under remap, and its data outlive the module.
set -euxo pipefail

main=$(realpath /dev/disk/by-path/*-scsi-0:0:0:0) spare=$(realpath /dev/disk/by-path/*-scsi-0:0:1:0)
table="0 $(blockdev --getsz "$main") remap $main 0 $spare 0 $(blockdev --getsz "$spare")"
write() { dd if=/root/data of="$1" bs=4096 oflag=direct conv=fsync; }
is_right() { dd if="$1" bs=4096 count=3000 iflag=direct | cmp - /root/data; }
dd if=/dev/urandom of=/root/data bs=4096 count=3000

uname -r
[ ! -d /sys/module/dm_remap ]
[ "$(modinfo -F signer dm_remap)" = "DKMS module signing key" ]
if write "$main"; then
	echo "the disk has no bad sectors"
	exit 1
fi

# Device mapper asks for the module by the target's name.
dmsetup create safe --table "$table"
[ -d /sys/module/dm_remap ]
write /dev/mapper/safe
is_right /dev/mapper/safe
dmsetup status safe
dmsetup status safe | grep -q ' remap relocated 3/'
remapctl status safe

# The thread that scans keeps the module until it has ended.
dmsetup message safe 0 scan rate 1000000
dmsetup message safe 0 scan start
until dmsetup status safe | grep -q ' stopped '; do sleep 1; done
dmsetup remove --retry safe
remapctl check "$main" "$spare"
until modprobe -r dm_remap; do sleep 1; done
[ ! -d /sys/module/dm_remap ]
dmsetup create safe --table "$table"
is_right /dev/mapper/safe
sync
