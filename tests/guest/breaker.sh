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

# away, back: nothing on main can be read or written, as when a cable is pulled.
away() { replace main "0 131072 error"; }
back() { replace main "0 131072 linear /dev/disk 0"; }

# main_that_goes [FEATURES]: the device r on a main that can go away.
main_that_goes() {
	load_module
	null_disk disk 64
	null_disk spare 8
	create main "0 131072 linear /dev/disk 0"
	create r "0 131072 remap /dev/mapper/main 0 /dev/spare 0 16384 $*"
	random one 1
	put one
}

test_what_is_on_a_disk_that_is_away_is_not_given_up() {
	main_that_goes
	away
	refused "sector 800: its device cannot be read elsewhere either" message remap 800 64
	refused "sector 800: its device cannot be read elsewhere either" message remap 800 64 lossy
	gives "0/1536 0 closed" "units used, lost blocks and breaker" field 2 5 10
	back
	gives "remapped 8 units, 0 already were, 0 blocks lost" "when it is back" message remap 800 64
	holds one
	message unremap 800
	holds one
}

# Main goes while the rest of a unit is read, a part of which cannot be written there.
test_main_goes_while_a_unit_is_merged() {
	load_module
	null_disk disk 64
	null_disk spare 8
	random one 1
	copy_sectors one 0 /dev/disk 0 2048
	bad disk 3 3
	create main "0 8 delay /dev/disk 0 100000000 /dev/disk 0 0\n8 131064 linear /dev/disk 8"
	create r "0 131072 remap /dev/mapper/main 0 /dev/spare 0 16384"
	sample new 512
	put new 3 &
	local writer=$!
	until_is 1 field_of main 1
	# What is held fails now, as does all else.
	bad disk 0 131071
	replace main "0 131072 linear /dev/disk 0"
	fails wait $writer
	gives "tripped 0/1536 0" "health, units used and lost blocks" field 1 2 5
	good disk 0 131071
	reads 0 3 one 0 || fail "blocks before"
	reads 4 4 one 4 || fail "blocks behind"
}

test_a_read_outage_makes_no_suspects() {
	main_that_goes 2 policy spare
	away
	local sector
	for sector in 0 800 1600 8000; do fails get $sector 8; done
	gives "0/1536 0" "units used and suspects" field 2 4
	back
	put one
	holds one
	gives "healthy 0/1536 0" "afterwards" field 1 2 4
	# One sector that cannot be read makes a suspect, as ever.
	bad disk 803 803
	until_is 1 suspects_after_a_read
}

# suspects_after_a_read: that nothing on main could be read is believed for a second.
suspects_after_a_read() {
	fails get 800 8
	field 4
}

test_the_budget_of_a_day() {
	remap_on 64 8 "2 breaker_day 3"
	gives "2 breaker_day 3" "features" from 9 dm table r
	gives "32 units in 10 seconds
left 32
day 3 left 3" "the breaker" message breaker
	bad main 8000 8063
	sample one 4096
	local unit
	for unit in 0 1 2; do put one $((8000 + 8 * unit)); done
	gives "3 left 0" "the day's budget" line_of breaker day
	fails put one 8024
	gives "tripped 3/1536 open" "when it is used up" field 1 2 10
	kmsg has "too many units fail in a day" || fail "nothing in the kernel log"
	message rearm
	put one 8024
	gives "4/1536 closed" "after rearm" field 2 10
	# What an administrator asks for does not count.
	message remap 0 80 >/dev/null
	gives "3 left 2" "the day's budget" line_of breaker day
}

# Main has room for one copy of the metadata, and one block of its log fails: main takes writes all
# the same.
test_one_bad_block_of_metadata_on_main_opens_nothing() {
	two_disks
	remapctl format /dev/main /dev/spare --main-metadata --main-len 128000
	create r "0 128000 remap /dev/main 0 /dev/spare 0 16384"
	gives 3/3 regions field 9
	local sector
	sector=$((128000 + (28 + $(commits) + 1) * 8))
	bad main $sector $sector
	bad main 800 800
	sample one 4096
	put one 800
	gives "1/1536 closed" "units used and breaker" field 2 10
	reads 800 8 one || fail "the write"
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
	same "4 units in 86400 seconds" "$(message breaker | head -1)" limit
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
