# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
# Several threads read and write while disks fail, units are moved, and the device is suspended and
# reloaded; tests/model knows what each block may hold. SEED is what a run said that is to be repeated.

# It scans all the time. An eighth of the device is what is tried.
SCAN="scan_interval 1 scan_rate 65536"

# check NAME=VALUE...
check() {
	model "$DEV" name=r seed="$SEED" ops="$OPS" faults=40 "$@" >said ||
		fail "$(cat said)"
	cat said
	message stats
	# The device was made anew at times, perhaps only now.
	local _ reads
	for _ in {1..40}; do
		if asked reads line_of scan reads_by_milliseconds && [[ $reads = *[1-9]* ]]; then return; fi
		sleep 0.25
	done
	fail "nothing is scanned: $(message scan)"
}

# happened COUNTER...: each of them counted something.
happened() {
	local name
	for name; do [ "$(stat_of "$name")" -gt 0 ] || fail "$name: nothing"; done
}

#@ seconds=36000 cpus=2
test_main_fails() {
	two_disks
	create r "0 16384 remap /dev/main 0 /dev/spare 0 16384 7 breaker 0 0 $SCAN"
	check main="$NULLB/main/badblocks" blocks=2048
	happened relocated
}

#@ seconds=36000
test_main_fails_in_part() {
	load_module
	null_disk main 64 badblocks_partial_io=1 discard=1
	null_disk spare 8 discard=1
	create r "0 16384 remap /dev/main 0 /dev/spare 0 16384 7 breaker 0 0 $SCAN"
	check main="$NULLB/main/badblocks" blocks=2048
	happened relocated
}

#@ seconds=36000
test_both_fail() {
	two_disks
	create r "0 16384 remap /dev/main 0 /dev/spare 0 16384 7 breaker 0 0 $SCAN"
	check main="$NULLB/main/badblocks" spare="$NULLB/spare/badblocks" spare_from="$REGION" spare_sectors=128 faults=120 blocks=2048
	happened relocated
}

#@ seconds=36000
test_main_with_large_blocks() {
	load_module
	null_disk main 64 blocksize=4096
	null_disk spare 8
	create r "0 16384 remap /dev/main 0 /dev/spare 0 16384 9 unit 32768 breaker 0 0 $SCAN"
	check main="$NULLB/main/badblocks" block=4096 blocks=256 largest=32
	happened relocated
}

#@ seconds=36000
test_main_reallocates() {
	load_module
	null_disk disk 64
	null_disk spare 8
	create dust "0 131072 dust /dev/disk 0 512"
	dm message dust 0 enable
	create r "0 16384 remap /dev/mapper/dust 0 /dev/spare 0 16384 9 breaker 0 0 scan_interval 1 scan_rate 1024 proactive off"
	# Each fault is a message for each sector that fails.
	check dust=dust faults=10
	gives 0 "units relocated for a disk that reallocates" stat_of relocated
}

# A write is on its way for 20 ms, in which its unit may be moved.
#@ seconds=36000
test_writes_in_flight_while_units_move() {
	load_module
	null_disk disk 64
	null_disk spare 8
	create main "0 131072 delay /dev/disk 0 0 /dev/disk 0 20"
	create r "0 16384 remap /dev/mapper/main 0 /dev/spare 0 16384 4 $SCAN"
	check threads=12 blocks=512 largest=24 faults=10
}

#@ seconds=36000
test_main_is_gone_at_times() {
	load_module
	null_disk disk 64
	null_disk spare 8
	create main "0 131072 linear /dev/disk 0"
	create r "0 16384 remap /dev/mapper/main 0 /dev/spare 0 16384 6 $SCAN proactive off"
	check flakey=main faults=6
	gives 0 "units relocated for a disk that is gone" stat_of relocated
}

# bad_sectors: on two disks of the host, the first of which has some.
bad_sectors() {
	load_module
	create r "0 16384 remap /dev/disk0 0 /dev/disk1 0 32768 7 breaker 0 0 $SCAN"
	check sick=81+3 sick=163+1 sick=200+16 faults=4 blocks=256
	happened relocated
}

#@ seconds=36000 disks=scsi:64M:write@81+3:read@163:write@200+16,scsi:16M
test_a_scsi_disk_with_bad_sectors() { bad_sectors; }
#@ seconds=36000 disks=nvme:64M:write@81+3:read@163:write@200+16,nvme:16M
test_an_nvme_disk_with_bad_sectors() { bad_sectors; }

# The device says what is wrong by its sense codes, and where.
#@ seconds=36000
test_sense_codes() {
	local disk count _
	load_module
	disk=$(scsi_disk medium_error_start=81 medium_error_count=10 opts=2)
	null_disk spare 8
	# Its writes do not fail: whether what it cannot read is written afterwards is left to chance.
	for _ in {1..5}; do
		create r "0 16384 remap /dev/$disk 0 /dev/spare 0 16384 7 breaker 0 0 $SCAN"
		check sick=81+10 faults=4 blocks=256
		asked count stat_of relocated
		if [ "$count" -gt 0 ]; then return; fi
		dm remove r
		wipe spare
		wipe "$disk"
		SEED=$((SEED + 1))
	done
	fail "relocated: nothing"
}
