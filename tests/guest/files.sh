# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
# File systems on a disk on which more and more places cannot be written while they run. What can be read is
# all there: no file system may notice, and what was acknowledged is found.

# Of so many sectors eight can go bad.
EVERY=2048

# goes_bad MEGABYTES: from now on places of the disk cannot be written.
goes_bad() {
	local start end=$(($1 * 2048)) lines=()
	for ((start = 0; start < end; start += EVERY)); do
		lines+=("$start $((EVERY - 8)) linear /dev/disk $start"
			"$((start + EVERY - 8)) 8 flakey /dev/disk $((start + EVERY - 8)) 0 1 1 error_writes")
	done
	replace main "${lines[@]}"
}

# on_a_disk MEGABYTES: r on a disk that is well.
on_a_disk() {
	load_module
	null_disk disk "$1"
	null_disk spare 8
	create main "0 $(($1 * 2048)) linear /dev/disk 0"
	create r "0 $(($1 * 2048)) remap /dev/mapper/main 0 /dev/spare 0 16384 3 breaker 0 0"
}

# piece NUMBER: sets where in /run/random a file's contents begin, and how many bytes they are.
piece() {
	at=$(($1 * 37 * 1024))
	bytes=$((($1 * 61 % 512 + 1) * 1024))
}

# write_files FIRST LAST: files of 1 to 512 KiB, of which each is durable before the next is begun.
write_files() {
	local number at bytes
	for ((number = $1; number <= $2; number++)); do
		piece "$number"
		durable /run/random "$at" "/mnt/$number" 0 "$bytes" 1048576
	done
}

# files_are_there FIRST LAST
files_are_there() {
	local number at bytes
	for ((number = $1; number <= $2; number++)); do
		piece "$number"
		equal "/mnt/$number" 0 /run/random "$at" "$bytes" || fail "file $number"
	done
}

# file_system MEGABYTES MKFS-COMMAND -- FSCK-COMMAND
file_system() {
	local make=() check size=$1
	shift
	while [ "$1" != -- ]; do
		make+=("$1")
		shift
	done
	shift
	check=("$@")
	on_a_disk "$size"
	"${make[@]}" "$DEV" >/tmp/made 2>&1 || fail "$(cat /tmp/made)"
	mount "$DEV" /mnt
	write_files 1 8
	goes_bad "$size"
	local last=30
	write_files 9 $last
	# Where files lie is left to the file system, which may have missed all bad places.
	while [ "$(stat_of relocated)" = 0 ] && [ $last -lt 150 ]; do
		write_files $((last + 1)) $((last + 20))
		last=$((last + 20))
	done
	umount /mnt
	"${check[@]}" "$DEV" >/tmp/checked 2>&1 || fail "$(cat /tmp/checked)"
	mount "$DEV" /mnt
	files_are_there 1 $last
	umount /mnt
	[ "$(stat_of relocated)" -gt 0 ] || fail "nothing was relocated"
	gives 0 "blocks lost" stat_of lost_blocks
	if dmesg | grep -iE '(ext4|xfs|btrfs).*(error|corrupt)'; then fail "the file system noticed"; fi
}

test_ext4() { file_system 128 mkfs.ext4 -q -- e2fsck -fn; }
test_xfs() { file_system 320 mkfs.xfs -q -- xfs_repair -n; }
test_btrfs() { file_system 256 mkfs.btrfs -q -- btrfs check; }

# A mirror of which one leg is r.
test_raid1() {
	EVERY=512
	on_a_disk 128
	null_disk other 128
	mdadm --create /dev/md0 --run --level=1 --raid-devices=2 --assume-clean "$DEV" /dev/other >/tmp/made 2>&1 ||
		fail "$(cat /tmp/made)"
	mkfs.ext4 -q /dev/md0
	mount /dev/md0 /mnt
	write_files 1 8
	goes_bad 128
	write_files 9 36
	umount /mnt
	e2fsck -fn /dev/md0 >/tmp/checked 2>&1 || fail "$(cat /tmp/checked)"
	grep -q '\[UU\]' /proc/mdstat || fail "$(cat /proc/mdstat)"
	mdadm --stop /dev/md0 2>/dev/null
	[ "$(stat_of relocated)" -gt 0 ] || fail "nothing was relocated"
	# The leg by itself has it all.
	mdadm --assemble --run /dev/md0 "$DEV" >/tmp/made 2>&1 || fail "$(cat /tmp/made)"
	mount -o ro /dev/md0 /mnt
	files_are_there 1 36
	umount /mnt
	mdadm --stop /dev/md0 2>/dev/null
}
