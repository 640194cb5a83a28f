# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Sectors that fail: what the caller sees, what is used up, what is counted.

# used RELOCATED LOST: units in use and blocks lost.
used() {
	gives "$1" "units used" stat_of spares_used
	gives "$2" "blocks lost" stat_of lost_blocks
}

test_policy_spare() {
	remap_on 64 8 "2 policy spare"
	gives "2 policy spare" "features" from 9 dm table r
	sample one 4096
	bad main 8003 8003
	fails get 8000 8
	good main 8003 8003
	# Main would take it.
	put one 8000
	used 1 0
	reads 8000 8 one || fail "the write"
	put one 16000
	used 1 0
}

test_the_spare_fills_up() {
	two_disks
	create r "0 131072 remap /dev/main 0 /dev/spare 0 $((2 * REGION + 20 * 8))"
	gives 0/20 "units used" field 2
	local step used=0
	for step in 15: 1:80 2: 1:95 1:100; do
		kmsg clear
		message remap $((used * 8)) $((${step%:*} * 8)) >/dev/null
		used=$((used + ${step%:*}))
		same "${step#*:}" "$(dmesg | sed -n 's/.* \([0-9]*\)% of the spare units are used up/\1/p')" "said at $used"
	done
	gives exhausted health field 1
}

# on_one_unit FEATURES: a spare of one unit, which is in use, and main with two units that cannot be written.
on_one_unit() {
	two_disks
	create r "0 131072 remap /dev/main 0 /dev/spare 0 $((2 * REGION + 8)) $*"
	bad main 8000 8015
	message remap 16000 >/dev/null
	gives 1/1 "units used" field 2
	sample one 4096
}

# Only what takes a spare unit counts for the breaker.
test_writes_that_find_no_spare_unit_do_not_open_the_breaker() {
	on_one_unit 3 breaker 2 86400
	for _ in 1 2 3 4; do fails put one 8000; done
	gives closed breaker field 10
	message unremap 16000
	put one 8000
	gives "1/1 closed" "with a spare unit" field 2 10
}

test_the_last_spare_units_are_bad() {
	two_disks
	create r "0 131072 remap /dev/main 0 /dev/spare 0 $((2 * REGION + 16))"
	bad main 8000 8015
	bad spare $((REGION + 8)) $((REGION + 8))
	message remap 16000 >/dev/null
	sample one 4096
	fails put one 8000
	gives "exhausted 1/2 1" "health, units used and retired" field 1 2 3
	message unremap 16000
	put one 8000
	gives "exhausted 1/2 1" "with the other" field 1 2 3
}

# A unit that is free again is withheld while a region of the metadata is behind.
#@ idle=1
test_a_write_waits_for_a_region_to_come_back() {
	on_one_unit 2 queue_if_no_spare 600
	bad spare $((REGION + 8)) $((2 * REGION + 7))
	message unremap 16000
	gives "1/1 1/2" "units used and regions" field 2 9
	put one 8000 &
	parked 1
	good spare $((REGION + 8)) $((2 * REGION + 7))
	wait $! || fail "the write that waited"
	reads 8000 8 one || fail "what it wrote"
	gives "1/1 2/2" "units used and regions" field 2 9
}

# parked COUNT: waits until so many writes wait for a spare unit.
parked() { until_is "$1" line_of debug writes_parked; }

test_a_write_waits_for_a_spare_unit() {
	on_one_unit 2 queue_if_no_spare 600
	put one 8000 &
	parked 1
	# All else goes on.
	put one 24000
	message unremap 16000
	wait $! || fail "the write that waited"
	reads 8000 8 one || fail "what it wrote"
	gives 1/1 "units used" field 2
}

#@ idle=1
test_a_write_waits_in_vain() {
	on_one_unit 2 queue_if_no_spare 2
	put one 8000 &
	local first=$!
	parked 1
	fails wait $first
	kmsg has "no spare unit became free in 2 seconds, 1 writes fail" || fail "nothing in the kernel log"
	# The next does not wait, until there was one.
	fails put one 8008
	message unremap 16000
	put one 8008
	gives 1/1 "units used" field 2
}

test_a_write_waits_across_a_suspend() {
	on_one_unit 2 queue_if_no_spare 600
	put one 8000 &
	local first=$!
	parked 1
	dm suspend r noflush
	same 0 "$(message debug | sed -n 's/^writes_parked //p')" "writes that wait while it is suspended"
	dm resume r
	parked 1
	# A flush ends the wait.
	dm suspend r
	fails wait $first
	dm resume r
	dm remove r
}

test_failed_write_is_relocated() {
	remap_on
	random one 1
	bad main 1000 1000
	put one
	holds one
	used 1 0
	gives 1 relocated stat_of relocated
	gives "1000 2048 8/8" list message list
	[ "$(stat_of write_errors)" -ge 1 ] || fail "the error is not counted"
	# A second write goes straight to the spare.
	random one 1
	put one
	holds one
	used 1 0
	gives 1 "write errors" stat_of write_errors
}

test_partial_write_keeps_the_rest_of_the_unit() {
	remap_on
	random one 1
	put one
	bad main 1003 1003
	# The driver loses the whole request, but the other blocks can be read.
	sample new 512
	put new 1003
	copy_sectors new 0 one 1003 1
	holds one
	used 1 0
}

test_partial_write_loses_only_unreadable_blocks() {
	remap_on
	random one 1
	put one
	bad main 1003 1004
	sample new 512
	put new 1003
	used 1 1
	gives "1000 2048 7/8" list message list
	reads 1003 1 new || fail "the written block"
	reads 1000 3 one 1000 || fail "blocks before"
	reads 1005 3 one 1005 || fail "blocks behind"
	fails get 1004 1
	fails get 1000 8
	fails get 900 200
	gives damaged health field 1
	[ "$(stat_of lost_reads)" -ge 1 ] || fail "reads of lost blocks are not counted"
	# Only a write makes a lost block good.
	blkdiscard "$DEV" 2>/dev/null || true
	fails get 1004 1
	put new 1004
	reads 1004 1 new || fail "a lost block after it was written"
	used 1 0
	gives relocated health field 1
}

test_lost_block_is_not_zeroes_nor_old_spare_data() {
	remap_on
	junk /dev/spare 2048 8192
	bad main 1004 1004
	refused "sector 1000: blocks cannot be read, 1 units stay; 'lossy' gives such blocks up" message remap 1000
	used 0 0
	message remap 1000 lossy | grep -q "1 blocks lost" || fail "a lossy relocation must say so"
	fails get 1004 1
	good main 1004 1004
	# Even when main can be read again: what it has may be stale.
	fails get 1004 1
}

test_forty_bad_units_in_one_write() {
	remap_on 64 8 "3 breaker 40 1"
	random one 1
	local unit
	for unit in $(seq 0 6 239); do bad main $((unit * 8 + 3)) $((unit * 8 + 3)); done
	put one
	holds one
	used 40 0
}

test_failed_read_fails_and_neighbours_are_readable() {
	remap_on
	random one 1
	put one
	bad main 1003 1003
	fails get 1003 1
	fails get 1000 8
	fails get 0 2048
	reads 1000 3 one 1000 || fail "neighbours before"
	reads 1004 4 one 1004 || fail "neighbours behind"
	reads 0 1000 one 0
	used 0 0
	gives 1 suspects stat_of suspects
	gives 1000 suspects message suspects
	gives damaged health field 1
}

test_write_heals_a_failed_read() {
	remap_on
	random one 1
	put one
	bad main 1003 1003
	fails get 1000 8
	sample new 4096
	put new 1000
	reads 1000 8 new || fail "a write does not heal"
	used 1 0
	gives 0 suspects stat_of suspects
}

test_read_error_is_a_medium_error() {
	remap_on
	bad main 1003 1003
	message remap 1000 lossy
	# ENODATA is what BLK_STS_MEDIUM becomes.
	strace -e trace=read dd if="$DEV" of=/dev/null bs=512 skip=1003 count=1 iflag=direct 2>trace || true
	grep -q ENODATA trace || fail "$(cat trace)"
}

test_readable_again_suspect_is_healed_in_place() {
	load_module
	null_disk spare 8
	null_disk disk 64
	local size=131072
	create main "0 $size dust /dev/disk 0 512"
	dm message main 0 addbadblock 1003 >/dev/null
	dm message main 0 enable
	create r "0 $size remap /dev/mapper/main 0 /dev/spare 0 16384"
	fails get 1000 8
	gives 1 suspects stat_of suspects
	# The disk reallocates on a write, as dm-dust does: no spare is needed.
	sample new 4096
	put new 1000
	reads 1000 8 new || fail "the data are not there"
	gives 0 suspects stat_of suspects
	used 0 0
}

test_suspect_that_cannot_be_read_back_is_relocated() {
	load_module
	null_disk spare 8
	null_disk disk 64
	local size=131072
	create main "0 2048 flakey /dev/disk 0 0 1 1 error_reads\n2048 $((size - 2048)) linear /dev/disk 2048"
	create r "0 $size remap /dev/mapper/main 0 /dev/spare 0 16384"
	fails get 1000 8
	sample new 4096
	put new 1000
	reads 1000 8 new || fail "a write that main does not give back"
	used 1 0
}

test_retest() {
	remap_on
	bad main 1003 1003
	fails get 1003 1
	refused "main still fails there" message retest 1003
	good main 1003 1003
	message retest 1003
	gives 0 suspects stat_of suspects
	refused "is not a suspect" message retest 1003
}

test_transient_error_costs_nothing() {
	load_module
	null_disk main 64 badblocks_once=1
	null_disk spare 8
	create r "0 131072 remap /dev/main 0 /dev/spare 0 16384"
	random one 1
	bad main 1003 1003
	put one
	holds one
	bad main 1003 1003
	reads 0 2048 one || fail "a transient read error"
	used 0 0
	gives 2 transient stat_of transient
	gives healthy health field 1
}

# fails_with BYTES: a write that ends with these host, driver and status bytes fails and costs nothing.
fails_with() {
	echo "2 -100 0x2a $1 0 0 0" >"/sys/kernel/debug/scsi_debug/$host/error"
	fails zeroes "$DEV" 0 8
	echo "- 2 0x2a" >"/sys/kernel/debug/scsi_debug/$host/error"
	zeroes "$DEV" 0 8
	used 0 0
}

test_other_errors_are_passed_on() {
	load_module
	null_disk spare 8
	local disk
	disk=$(scsi_disk)
	create r "0 65536 remap /dev/$disk 0 /dev/spare 0 16384"
	local host
	host=$(basename /sys/class/scsi_device/*)
	# Host byte 0x0f is a path that failed, status byte 0x18 a reservation conflict.
	fails_with "0x0f 0 0"
	fails_with "0 0 0x18"
	# Nor is a unit that cannot be read for such a reason moved with its blocks lost.
	echo "2 -100 0x28 0x0f 0 0 0 0 0" >"/sys/kernel/debug/scsi_debug/$host/error"
	refused "a device fails, and not for a bad sector" message remap 800
	echo "- 2 0x28" >"/sys/kernel/debug/scsi_debug/$host/error"
	used 0 0
	gives 0 "write errors" stat_of write_errors
}

test_bad_spare_unit_is_retired() {
	remap_on
	bad main 1003 1003
	bad spare "$REGION" $((REGION + 15))
	random one 1
	put one
	holds one
	used 1 0
	gives 2 retired stat_of spares_retired
	gives "1000 2064 8/8" list message list
}

# Nothing on the spare can be written, and all of it read: its units are not bad.
test_a_spare_that_takes_no_writes_loses_no_units() {
	two_disks
	local area="$REGION $((16384 - 2 * REGION))"
	units_on() { replace low "0 $REGION linear /dev/spare 0" "$area ${1/BELOW/\/dev\/spare $REGION}" \
		"$((16384 - REGION)) $REGION linear /dev/spare $((16384 - REGION))"; }
	create low "0 16384 linear /dev/spare 0"
	create r "0 131072 remap /dev/main 0 /dev/mapper/low 0 16384 3 breaker 2 86400"
	units_on "flakey BELOW 0 600 1 error_writes"
	sample one 4096
	bad main 1003 1003
	# Nothing is moved, and nothing counts for the breaker.
	for _ in 1 2 3; do fails put one 1000; done
	gives "0/1536 0 closed" "units used and retired, and breaker" field 2 3 10
	units_on "linear BELOW"
	put one 1000
	reads 1000 8 one || fail "the write when the spare takes it"
	gives "1/1536 0" "units used and retired" field 2 3
}

# More units beside each other fail than are tried: one that is far from them does.
test_a_scratch_on_the_spare_is_stepped_over() {
	remap_on
	bad main 1003 1003
	bad spare "$REGION" $((REGION + 16 * 8 - 1))
	random one 1
	put one
	holds one
	used 1 0
	[ "$(stat_of spares_retired)" -gt 0 ] || fail "no unit was given up"
}

test_a_bad_spare_sector_is_a_medium_error() {
	remap_on
	message remap 1000
	bad spare "$REGION" "$REGION"
	strace -e trace=read dd if="$DEV" of=/dev/null bs=512 skip=1000 count=1 iflag=direct 2>trace || true
	grep -q ENODATA trace || fail "$(cat trace)"
}

# A unit of a range of which a block cannot be read stays, and the others are moved.
test_what_cannot_be_read_stays() {
	remap_on
	random one 1
	put one
	bad main 1003 1003
	refused "sector 1000: blocks cannot be read, 1 units stay; 'lossy' gives such blocks up" message remap 992 24
	used 2 0
	gives "992 2048 8/8
1008 2064 8/8" list message list
	good main 1003 1003
	holds one
	gives "remapped 1 units, 2 already were, 0 blocks lost" "when it can be read" message remap 992 24
	holds one
}

test_spare_unit_that_fails_later_is_replaced() {
	remap_on
	random one 1
	put one
	message remap 1000
	bad spare $((REGION + 3)) $((REGION + 3))
	sample new 512
	put new 1003
	copy_sectors new 0 one 1003 1
	gives 1 retired stat_of spares_retired
	gives "1000 2056 8/8" list message list
	holds one
}

test_spare_read_error_never_shows_main() {
	remap_on
	random one 1
	put one
	message remap 1000
	random two 1
	put two
	bad spare "$REGION" $((REGION + 7))
	fails get 1000 8
	good spare "$REGION" $((REGION + 7))
	holds two
}

test_exhausted_spare() {
	two_disks
	create r "0 131072 remap /dev/main 0 /dev/spare 0 $((2 * REGION + 24))"
	random one 1
	put one
	bad main 800 831
	random two 1
	fails put two
	used 3 0
	gives exhausted health field 1
	gives 1 "refused for want of a spare" stat_of no_spare
	refused "no spare unit is left" message remap 8
	# What is relocated still works, and so does the rest of main.
	reads 800 24 two 800 || fail "relocated units when the spare is used up"
	put one 2048
}

#@ disks=scsi:64M:write@1000+8,scsi:16M
test_write_zeroes_over_bad_sectors() {
	load_module
	create r "0 131072 remap /dev/disk0 0 /dev/disk1 0 32768"
	random one 1
	put one 2048
	message remap 2048
	[ "$(attribute queue/write_zeroes_max_bytes)" -gt 0 ] || fail "write zeroes are not offered"
	fallocate --zero-range --keep-size -o $((992 * 512)) -l $((2048 * 512)) "$DEV"
	gives "2/3584" "units used" field 2
	same "1000 2056 8/8" "$(message list | head -1)" "the unit that could not be zeroed"
	reads 992 2048 /dev/zero || fail "not all is zero"
	reads 3040 8 one 992 || fail "more than that was zeroed"
}

# A disk that was only guessed to know how to write zeroes says that it does not: the block layer
# writes them.
test_write_zeroes_that_the_disk_does_not_know() {
	load_module
	local disk host
	disk=$(scsi_disk)
	create r "0 65536 remap /dev/$disk 0 /dev/$disk 98304 16384"
	host=$(basename /sys/class/scsi_device/*)
	random one 1
	put one
	[ "$(attribute queue/write_zeroes_max_bytes)" -gt 0 ] || fail "write zeroes are not offered"
	# Illegal request, invalid operation code, for WRITE SAME of both lengths.
	for code in 0x41 0x93; do echo "2 -100 $code 0 0 2 5 0x20 0" >"/sys/kernel/debug/scsi_debug/$host/error"; done
	fallocate --zero-range --keep-size -o 0 -l 524288 "$DEV"
	gives 0 "requests that a worker served" stat_of repaired
	reads 0 1024 /dev/zero || fail "not all is zero"
	reads 1024 1024 one 1024 || fail "more than that was zeroed"
	used 0 0
}

test_counters_and_reset() {
	remap_on
	gives 0 reads stat_of reads
	get 0 8 >/dev/null
	get 8 8 >/dev/null
	gives 2 reads stat_of reads
	message stats reset
	gives 0 "reads after a reset" stat_of reads
	message remap 0
	get 0 8 >/dev/null
	gives 1 reads stat_of reads
	gives 1 redirected stat_of redirected
	gives 1 remapped stat_of remapped
	gives "relocated 1/1536 0 0 0 0 0 rw 2/2 closed 31/0/1 ok stopped 0/16384" status from 4 dm status r
}

test_wait_returns_on_an_event() {
	remap_on
	local before
	before=$(events)
	timeout 60 dmsetup wait r "$before" &
	bad main 1003 1003
	random one 1
	put one
	wait $! || fail "dmsetup wait did not return"
}

#@ disks=nvme:64M:write@8003+2:read@16003
test_nvme_with_bad_sectors() {
	load_module
	null_disk spare 8
	local disk=/dev/disk0
	fails zeroes "$disk" 8000 8
	create r "0 131072 remap $disk 0 /dev/spare 0 16384"
	random one 16
	put one
	used 1 0
	gives "8000 2048 8/8" list message list
	fails get 16000 8
	put one
	holds one
	used 2 0
}

#@ disks=scsi:64M:write@8003+2:read@16003,scsi:64M:4k
test_scsi_with_bad_sectors() {
	load_module
	create r "0 131072 remap /dev/disk0 0 /dev/disk1 0 16384"
	random one 16
	put one
	used 1 0
	fails get 16000 8
	put one
	holds one
	used 2 0
}
