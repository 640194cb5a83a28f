#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A disk with bad sectors, first alone and then under remap. QEMU makes writes to
# some of its sectors fail, and reads of others; see DEMO_DISKS in the Makefile.

disk=/dev/disk0
spare=/dev/disk1
size=$(blockdev --getsz $disk)
cd /tmp && mkdir -p m

step() { printf '\n== %s\n' "$*"; }
show() {
	printf '$ %s\n' "$*"
	"$@" 2>&1 | tail -8 | cut -c1-100
	return "${PIPESTATUS[0]}"
}
must() { show "$@" || { echo "the demo failed at: $*"; exit 1; }; }
# The checksums of a tree of real files.
sums() { (cd "$1" && find . -type f -print0 | sort -z | xargs -0 sha256sum); }

table="0 $size remap $disk 0 $spare 0 $(blockdev --getsz $spare)"
sums /usr/bin >/tmp/want

alone() {
	step "The disk: $((size / 2048)) MiB, with unwritable and with unreadable sectors"
	echo "The disk alone:"
	if show mkfs.ext4 -q -b 4096 -E lazy_itable_init=0 $disk; then
		echo "mkfs.ext4 should have failed"
		exit 1
	fi
	echo "-> mkfs.ext4 fails. It succeeds if it does not write to every sector at once:"
	show mkfs.ext4 -q -b 4096 -E lazy_itable_init=1,lazy_journal_init=1 $disk
	mount $disk m || { echo "the bare disk cannot even be mounted"; exit 1; }
	show cp -r --no-dereference /usr/bin m
	sync
	umount m
	mount -o ro $disk m
	(cd m/bin && sha256sum --quiet -c /tmp/want) >broken 2>&1
	echo "-> of $(wc -l </tmp/want) files, $(grep -c FAILED broken) are damaged or unreadable"
	umount m
	[ -s broken ] || { echo "the copy on the bare disk should be damaged"; exit 1; }
}

adopted() {
	step "The same disk under remap, with another disk as its spare"
	insmod "$MODULES/dm_remap.ko"
	must dmsetup create safe --table "$table"
	echo "A scan finds the unreadable sectors:"
	must dmsetup message safe 0 scan rate 1000000
	must dmsetup message safe 0 scan start
	until dmsetup status safe | grep -q " stopped "; do sleep 0.2; done
	must dmsetup message safe 0 suspects
	must mkfs.ext4 -q -b 4096 -E lazy_itable_init=0 /dev/mapper/safe
	mount /dev/mapper/safe m
	must cp -r --no-dereference /usr/bin m
	umount m
}

all_there() {
	step "Are all files intact?"
	must e2fsck -fn /dev/mapper/safe
	mount -o ro /dev/mapper/safe m
	(cd m/bin && sha256sum --quiet -c /tmp/want) || {
		echo "the demo failed: a file is damaged"
		exit 1
	}
	umount m
	echo "-> all $(wc -l </tmp/want) files are intact"
}

what_it_did() {
	step "The state of remap"
	must dmsetup table safe
	must dmsetup status safe
	printf '$ dmsetup message safe 0 stats\n'
	dmsetup message safe 0 stats
	printf '$ dmsetup message safe 0 list\n'
	dmsetup message safe 0 list
}

if [ "$BOOT" = 1 ]; then
	alone
	adopted
	all_there
	what_it_did
	step "Power loss"
	# The host reboots the machine, and runs this script again.
	exit 194
fi
step "After the power loss: the same two disks"
insmod "$MODULES/dm_remap.ko"
must dmsetup create safe --table "$table"
all_there
must dmsetup status safe
must dmsetup message safe 0 info
dmsetup remove safe
rmmod dm_remap
