# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Flushes, discards, zeroes, flags and read-only devices.

# How many flushes a device has completed.
flushes() { disk_stat 16 "$1"; }

test_flush_reaches_both_devices() {
	load_module
	null_disk main 64 cache_size=1
	null_disk spare 8 cache_size=1
	create r "0 131072 remap /dev/main 0 /dev/spare 0 16384"
	local main spare
	main=$(flushes main)
	spare=$(flushes spare)
	dd if=/dev/zero of="$DEV" bs=4k count=1 conv=fsync status=none
	[ "$(flushes main)" -gt "$main" ] || fail "main was not flushed"
	[ "$(flushes spare)" -gt "$spare" ] || fail "the spare was not flushed"
	[ "$(stat_of flushes)" -ge 2 ] || fail "flushes are not counted"
}

test_relocated_data_survive_a_power_cut_after_flush() {
	load_module
	null_disk main 64 cache_size=4
	null_disk spare 8 cache_size=4
	create r "0 131072 remap /dev/main 0 /dev/spare 0 16384"
	message remap 800
	sample one 4096
	put one 800
	sync -d "$DEV"
	power_cut spare
	equal one 0 /dev/spare $((REGION * 512)) 4096 || fail "flushed data of a relocated unit were lost"
}

test_copied_data_survive_a_power_cut() {
	load_module
	null_disk main 64
	null_disk spare 8 cache_size=4
	create r "0 131072 remap /dev/main 0 /dev/spare 0 16384"
	random one 1
	put one
	message remap 800
	power_cut spare
	equal one $((800 * 512)) /dev/spare $((REGION * 512)) 4096 || fail "a copy was left in a volatile cache"
}

# logged_fua LOG SECTOR: a FUA write at that sector is in the log of dm-log-writes.
logged_fua() {
	local entries at=512 sector count flags
	entries=$(od -An -tu8 -j16 -N8 "$1")
	while [ $((entries--)) -gt 0 ]; do
		read -r sector count flags _ <<<"$(od -An -tu8 -w32 -j"$at" -N32 "$1")"
		[ "$sector" != "$2" ] || [ $((flags & 2)) = 0 ] || return 0
		# A discard has no data in the log.
		at=$((at + 512 + (flags & 4 ? 0 : count * 512)))
	done
	return 1
}

test_fua_writes() {
	load_module
	null_disk main 64 cache_size=4 fua=1
	null_disk spare 8 cache_size=4 fua=1
	null_disk journal 16
	create low "0 16384 log-writes /dev/spare /dev/journal"
	create r "0 131072 remap /dev/main 0 /dev/mapper/low 0 16384"
	message remap 800
	random one 1
	# The copy of the unit begins at another sector.
	dd if=one of="$DEV" bs=4096 count=1 seek=$((803 * 512)) oflag=direct,dsync,seek_bytes conv=notrunc status=none
	dm remove r
	dm remove low
	logged_fua /dev/journal $((REGION + 3)) || fail "a FUA write to a relocated unit was volatile"
	fails logged_fua /dev/journal $((REGION + 2))
}

test_discard_passes_down() {
	load_module
	null_disk main 64 discard=1
	null_disk spare 8 discard=1
	create r "0 131072 remap /dev/main 0 /dev/spare 0 16384"
	random one 4
	put one
	message remap 800 80
	blkdiscard -o $((400 * 512)) -l $((800 * 512)) "$DEV"
	zeroes one 400 800
	holds one
	[ "$(stat_of discards)" -ge 3 ] || fail "discards are not cut"
	gives 10/1536 "discard must not unmap" field 2
}

test_discard_without_spare_support() {
	load_module
	null_disk main 64 discard=1
	null_disk spare 8
	create r "0 131072 remap /dev/main 0 /dev/spare 0 16384"
	message remap 800
	blkdiscard -o 0 -l $((1 << 20)) "$DEV"
	reads 0 8 /dev/zero || fail "main was not discarded"
}

test_no_discard_where_main_has_none() {
	remap_on
	fails blkdiscard "$DEV"
}

test_write_zeroes() {
	load_module
	local disk
	disk=$(scsi_disk lbpws=1 lbprz=1 write_same_length=2048)
	create main "0 65536 linear /dev/$disk 0"
	create spare "0 16384 linear /dev/$disk 65536"
	create r "0 65536 remap /dev/mapper/main 0 /dev/mapper/spare 0 16384"
	[ "$(attribute queue/write_zeroes_max_bytes)" -gt 0 ] ||
		fail "write zeroes are not offered"
	random one 4
	put one
	message remap 800 80
	fallocate --zero-range --keep-size -o $((400 * 512)) -l $((800 * 512)) "$DEV"
	zeroes one 400 800
	holds one
}

test_read_only_table() {
	two_disks
	random one 1
	copy_sectors one 0 /dev/main 0 2048
	dmsetup create r --readonly --table "0 131072 remap /dev/main 0 /dev/spare 0 16384"
	holds one
	fails zeroes "$DEV" 0 8
	gives ro mode field 8
	refused "the table is read-only" message remap 8
	gives "the table is read-only" reason message reason
}

test_read_only_device() {
	two_disks
	create main_ro "0 131072 linear /dev/main 0"
	dm suspend main_ro
	echo "0 131072 linear /dev/main 0" | dmsetup load --readonly main_ro
	dm resume main_ro
	refused "main device is read-only and the table is not" \
		dm create r "0 131072 remap /dev/mapper/main_ro 0 /dev/spare 0 16384"
	dmsetup create r --readonly --table "0 131072 remap /dev/mapper/main_ro 0 /dev/spare 0 16384"
	get 0 8 >/dev/null
}

test_nowait_passes() {
	remap_on
	random one 1
	put one
	message remap 800
	# RWF_NOWAIT reads and writes, on main and on the spare.
	fio --name=n --filename="$DEV" --ioengine=io_uring --nowait=1 --direct=1 --rw=randrw --bs=4k \
		--size=1M --io_size=4M --iodepth=8 --minimal >/dev/null
	[ "$(stat_of redirected)" -gt 0 ] || fail "the relocated unit was not met"
}

# Whoever asks waits by asking the disk, and none of both has an interrupt.
test_polled_io() {
	load_module
	null_disk main 64 poll_queues=1
	null_disk spare 8 poll_queues=1
	create r "0 131072 remap /dev/main 0 /dev/spare 0 16384"
	gives 1 "can be polled" attribute queue/io_poll
	message remap 800 64 >/dev/null
	# null_blk must not be polled for what it has no memory for yet.
	fio --name=p --filename="$DEV" --direct=1 --rw=write --bs=4k --size=1M --verify=crc32c --do_verify=0 >/dev/null
	fio --name=p --filename="$DEV" --ioengine=io_uring --hipri=1 --direct=1 --rw=read --bs=4k --size=1M \
		--iodepth=8 --verify=crc32c --verify_fatal=1 >fio.log 2>&1 || fail "$(cat fio.log)"
	[ "$(stat_of redirected)" -gt 0 ] || fail "the relocated units were not met"
	dm remove r
	null_disk main 64 poll_queues=0
	create r "0 131072 remap /dev/main 0 /dev/spare 0 16384"
	gives 0 "can be polled" attribute queue/io_poll
}

test_ioctl_goes_to_main() {
	load_module
	null_disk spare 8
	local disk
	disk=$(scsi_disk)
	create r "0 65536 remap /dev/$disk 0 /dev/spare 0 16384"
	sg_inq "$DEV" | grep -q scsi_debug || fail "the inquiry did not reach main"
}

test_dependencies_are_known() {
	remap_on
	same "2 dependencies" "$(dmsetup deps r | cut -d: -f1 | xargs)" deps
	local disk
	for disk in main spare; do gives r "who holds $disk" cat "/sys/block/$disk/holders"/*/dm/name; done
}

# A disk with blocks of 512 bytes whose best I/O is no multiple of a unit.
test_limits_fit_the_unit() {
	load_module
	null_disk spare 8
	local disk
	disk=$(scsi_disk opt_blks=1023)
	same 523776 "$(<"/sys/block/$disk/queue/optimal_io_size")" "the disk's best I/O"
	kmsg clear
	create r "0 65536 remap /dev/$disk 0 /dev/spare 0 16384"
	if kmsg has "alignment inconsistency"; then fail "device mapper warns"; fi
	same "4096 4096 520192" "$(attribute queue/physical_block_size) $(attribute queue/minimum_io_size) $(
		attribute queue/optimal_io_size
	)" limits
	same 0 "$(attribute alignment_offset)" "the alignment"
}
