# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# A disk that fails as a whole is no reason to use up the spare, nor to give up what is on it.

TABLE="0 131072 remap /dev/main 0 /dev/spare 0 16384"

test_too_many_units_at_a_time() {
	remap_on 64 8 "3 breaker 8 86400"
	same 8 "$(dm table r | cut -d' ' -f11)" "the limit in the table"
	random one 1
	put one 7680
	bad main 8000 8511
	random one 1
	local before
	before=$(events)
	fails put one 7680
	gives "tripped 8/1536" "when too many failed" field 1 2
	gives open breaker field 10
	[ "$(events)" -gt "$before" ] || fail "no event"
	kmsg has "too many units fail at a time" || fail "nothing in the kernel log"
	# What was relocated until then stays so, and main is used where it works.
	reads 8000 64 one 320 || fail "units that were relocated"
	fails put one 8064
	put one 16384
}

test_an_open_breaker_passes_on_what_main_says() {
	load_module
	null_disk spare 8
	local disk host
	disk=$(scsi_disk)
	create r "0 131072 remap /dev/$disk 0 /dev/spare 0 16384 3 breaker 1 86400"
	host=$(basename /sys/class/scsi_device/*)
	# Each write ends with a medium error, which the SCSI layer knows by sense key 3 and code 0x14.
	echo "2 -100 0x2a 0 0 2 3 0x14 0" >"/sys/kernel/debug/scsi_debug/$host/error"
	sample one 4096
	put one 8000
	if put one 16000 2>said; then fail "two units at a time"; fi
	grep -q "No data available" said || fail "$(cat said)"
	gives "open 1/1536" "breaker and units used" field 10 2
}

test_rearm() {
	remap_on 64 8 "3 breaker 8 86400"
	bad main 8000 8127
	random one 1
	fails put one 7680
	gives 8/1536 "units used" field 2
	dm suspend r
	dm resume r
	gives open "breaker after a suspend" field 10
	gives "relocating again" rearm message rearm
	gives closed breaker field 10
	gives "the breaker was closed" "rearm again" message rearm
	put one 7680
	reads 7680 2048 one || fail "the write after rearm"
	gives 16/1536 "units used" field 2
}

test_a_limit_that_a_reload_lifts() {
	remap_on
	bad main 8000 8511
	random one 1
	fails put one 7680
	[ "$(field 10)" = open ] || fail "64 units at once are too many"
	dm suspend r
	dm load r "$TABLE 3 breaker 0 0"
	dm resume r
	message rearm
	put one 7680
	gives "64/1536 closed" "without a limit" field 2 10
	reads 7680 2048 one || fail "the write without a limit"
}

test_the_limit_by_message() {
	remap_on 64 8 "3 breaker 4 86400"
	bad main 8000 8511
	random one 1
	gives "4 units in 86400 seconds" limit message breaker
	fails put one 7680
	gives "no limit" "new limit" message breaker 0 0
	message rearm
	put one 7680
	gives "64/1536 closed" "without a limit" field 2 10
	# It stays, and the table has it.
	dm suspend r
	dm resume r
	gives "no limit" "limit after a suspend" message breaker
	gives "3 breaker 0 0" "features" from 9 dm table r
}

test_a_dead_disk_uses_no_spare() {
	remap_on
	random one 4
	put one
	bad main 0 131071
	# A part of a unit: the rest of it could not be read, and would be lost.
	fails zeroes "$DEV" 800 1
	fails put one 4096
	same "tripped 0/1536 0 0 0" "$(dm status r | cut -d' ' -f4-8)" status
	kmsg has "nothing on main can be read" || fail "nothing in the kernel log"
	good main 0 131071
	holds one
	message rearm
	bad main 800 800
	put one
	holds one
	gives "relocated 1/1536" "after rearm" field 1 2
}

#@ disks=scsi:64M,scsi:16M
test_a_disk_that_is_offline() {
	load_module
	create r "0 131072 remap /dev/disk0 0 /dev/disk1 0 32768"
	local state
	state=/sys/block/$(basename "$(readlink -f /dev/disk0)")/device/state
	random one 4
	put one
	message remap 800
	echo offline >"$state"
	fails put one
	fails get 0 8
	reads 800 8 one 800 || fail "a relocated unit without main"
	gives 1/3584 "units used" field 2
	gives 0 "lost blocks" field 5
	echo running >"$state"
	message rearm
	put one
	holds one
}

test_a_dead_spare_is_not_given_up() {
	remap_on
	random one 1
	put one
	bad main 800 800
	bad spare 0 16383
	fails put one
	gives "0 0" "retired units and lost blocks" field 3 5
	put one 4096
	good spare 0 16383
	dm remove r
	create r "$TABLE"
	put one
	holds one
	gives 1/1536 "units used" field 2
}
