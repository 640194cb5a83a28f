# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
# What is remembered, and what happens when it cannot be.

TABLE="0 131072 remap /dev/main 0 /dev/spare 0 16384"
# The first sector of the spare's last region.
LAST=$((16384 - REGION))

# again [TABLE]: the device is removed and made anew, from what is on the disks.
again() {
	dm remove r
	create r "${1:-$TABLE}"
}

# not_again REASON [TABLE]: once removed, it is not made again.
not_again() {
	dm remove r
	refused "$1" dm create r "${2:-$TABLE}"
	dmsetup ls | grep -q '^No devices' || fail "a device was left"
}

# zero FIRST SECTORS, garble FIRST SECTORS: on the spare, when nobody has it open.
zero() { zeroes /dev/spare "$@"; }
garble() { junk /dev/spare "$@"; }

# writes_of DISK: how many it has had.
writes_of() { disk_stat 5 "$1"; }

# Ten relocated units and what they hold, in the file one.
ten_units() {
	random one 1
	put one
	message remap 800 80 >/dev/null
	random one 1
	put one
}

test_survives_removal_and_unload() {
	remap_on
	ten_units
	local list
	list=$(message list)
	dm remove r
	rmmod dm_remap
	load_module
	create r "$TABLE"
	holds one
	gives "$list" list message list
	gives "relocated 10/1536 0 0 0 0 0 rw 2/2 closed 0/0/0 ok stopped 0/16384" status from 4 dm status r
	message unremap 800
	again
	holds one
	gives 9/1536 "units used" field 2
	message remap 800
	again
	holds one
}

# Of each, the I/O path must be told that there is something, which takes memory.
test_units_far_apart_survive() {
	remap_on 256
	local at list table="0 524288 remap /dev/main 0 /dev/spare 0 16384"
	random one 1
	put one 491520
	for at in {0..15}; do message remap $((at * 32768)); done
	list=$(message list)
	again "$table"
	gives "$list" "list, from the log" message list
	message checkpoint
	again "$table"
	gives "$list" "list, from a checkpoint" message list
	bad main 491520 491527
	reads 491520 8 one || fail "r does not hold one"
}

test_survives_a_power_cut() {
	load_module
	null_disk main 64 cache_size=8
	null_disk spare 8 cache_size=8
	create r "$TABLE"
	random one 1
	put one
	sync -d "$DEV"
	message remap 800 80 >/dev/null
	local list
	list=$(message list)
	power_cut main spare
	create r "$TABLE"
	gives "$list" list message list
	holds one
}

test_a_relocated_write_survives_a_power_cut() {
	load_module
	null_disk main 64 cache_size=8 fua=1
	null_disk spare 8 cache_size=8 fua=1
	create r "$TABLE"
	bad main 1000 1000
	sample one 4096
	# Nobody flushes: what is acknowledged after an error is durable by itself.
	put one 1000
	power_cut main spare
	create r "$TABLE"
	reads 1000 8 one || fail "an acknowledged write was lost"
	gives "1000 2048 8/8" list message list
}

test_partial_units_and_counters_survive() {
	remap_on
	bad main 1003 1004
	bad spare "$REGION" $((REGION + 7))
	sample new 512
	put new 1003
	fails get 1004 1
	again
	fails get 1004 1
	reads 1003 1 new || fail "the written block"
	gives "1000 2056 7/8" list message list
	gives 1 "spare units retired" stat_of spares_retired
	gives 1 "lost blocks" stat_of lost_blocks
	gives 1 "units relocated" stat_of relocated
	[ "$(stat_of write_errors)" -ge 1 ] || fail "errors are forgotten"
	# The retired unit is never used again.
	message remap 0 80 >/dev/null
	message list | grep -q " $REGION " && fail "a retired unit was used"
	put new 1004
	again
	reads 1004 1 new || fail "a block that was made good"
}

test_only_a_blank_spare_is_formatted() {
	two_disks
	local sector
	for sector in 0 1000 $((REGION - 1)) "$LAST" 16383; do
		garble "$sector" 1
		refused "the spare holds something that is not ours" dm create r "$TABLE"
		zero "$sector" 1
	done
	# What lies in the units does not matter.
	garble "$REGION" 8192
	create r "$TABLE"
}

test_each_region_stands_for_all() {
	remap_on
	ten_units
	local first
	for first in 0 "$LAST" 0; do
		dm remove r
		zero "$first" "$REGION"
		create r "$TABLE"
		gives 2/2 "regions after the one at $first was zeroed" field 9
		holds one
		dm remove r
		garble "$first" "$REGION"
		create r "$TABLE"
		holds one
		gives 10/1536 "units used" field 2
	done
}

test_all_regions_destroyed() {
	remap_on
	ten_units
	dm remove r
	copy_sectors /dev/main 0 before 0 4096
	garble 1 2
	garble $((LAST + 1)) 2
	refused "all copies of the metadata are damaged" dm create r "$TABLE"
	garble 0 "$REGION"
	garble "$LAST" "$REGION"
	refused "the spare holds something that is not ours" dm create r "$TABLE"
	equal before 0 /dev/main 0 2097152 || fail "main was touched"
}

test_regions_of_two_arrays() {
	remap_on
	ten_units
	dm remove r
	copy_sectors /dev/spare 0 first 0 "$REGION"
	wipe spare
	create r "$TABLE"
	dm remove r
	copy_sectors first 0 /dev/spare 0 "$REGION"
	refused "the regions belong to different arrays" dm create r "$TABLE"
}

test_swapped_regions() {
	remap_on
	ten_units
	dm remove r
	copy_sectors /dev/spare 0 first 0 "$REGION"
	copy_sectors /dev/spare "$LAST" last 0 "$REGION"
	copy_sectors last 0 /dev/spare 0 "$REGION"
	copy_sectors first 0 /dev/spare "$LAST" "$REGION"
	refused "devices or regions of the array were swapped" dm create r "$TABLE"
}

test_a_gap_in_the_only_copy() {
	remap_on
	ten_units
	message remap 8
	message remap 16
	dm remove r
	garble "$LAST" "$REGION"
	# Behind two slots of 14 blocks lies the log; its second block is the second commit.
	zero $(((28 + 2) * 8)) 8
	refused "the metadata are damaged" dm create r "$TABLE"
}

test_a_copy_of_an_active_array() {
	remap_on
	null_disk main2 64
	null_disk spare2 8
	ten_units
	dm suspend r
	copy_sectors /dev/spare 0 /dev/spare2 0 16384
	dm resume r
	refused "is active already" \
		dm create s "0 131072 remap /dev/main2 0 /dev/spare2 0 16384"
	dm remove r
	create s "0 131072 remap /dev/main2 0 /dev/spare2 0 16384"
	dm remove s
}

test_another_layout_of_the_same_array() {
	remap_on
	ten_units
	not_again "the metadata are for a target of 131072 sectors" \
		"0 131064 remap /dev/main 0 /dev/spare 0 16384"
	refused "the metadata are for another unit: add '2 unit 4096'" \
		dm create r "$TABLE 2 unit 8192"
	# A shorter area does not find the last region, and trusts the first no more.
	refused "refused" dm create r "0 131072 remap /dev/main 0 /dev/spare 0 8192"
	create r "$TABLE 2 unit 4096"
	holds one
}

test_larger_units() {
	two_disks
	create r "$TABLE 2 unit 32768"
	same "$TABLE 2 unit 32768" "$(dm table r | sed 's/[0-9]*:[0-9]* 0 [0-9]*:[0-9]*/\/dev\/main 0 \/dev\/spare/')" table
	gives 0/192 "units used" field 2
	gives 32768 "physical block" blockdev --getpbsz "$DEV"
	random one 1
	put one
	bad main 1003 1003
	sample new 4096
	put new 1000
	copy_sectors new 0 one 1000 8
	holds one
	gives "960 2048 64/64" list message list
	again "$TABLE 2 unit 32768"
	holds one
	not_again "add '2 unit 32768'"
}

test_read_only_tables_write_nothing() {
	two_disks
	dmsetup create r --readonly --table "$TABLE"
	get 0 8 >/dev/null
	dm remove r
	equal /dev/zero 0 /dev/spare 0 8388608 || fail "a read-only table formatted the spare"
	create r "$TABLE"
	ten_units
	dm remove r
	zero 0 "$REGION"
	local before
	before=$(writes_of spare)
	dmsetup create r --readonly --table "$TABLE"
	holds one
	gives 1/2 regions field 9
	dm remove r
	gives "$before" "writes of the spare by a read-only table" writes_of spare
}

test_a_failing_region_is_dropped_and_comes_back() {
	remap_on
	ten_units
	bad spare "$LAST" 16383
	local before
	before=$(events)
	timeout 60 dmsetup wait r "$before" >/dev/null &
	# A suspend moves nothing, but makes a commit.
	dm suspend r
	dm resume r
	wait $! || fail "no event"
	message remap 8
	gives 1/2 "regions while one fails" field 9
	gives degraded health field 1
	good spare "$LAST" 16383
	gives "wrote 2 of 2 regions" checkpoint message checkpoint
	gives 2/2 "regions when it works again" field 9
	dm remove r
	zero 0 "$REGION"
	create r "$TABLE"
	holds one
	gives 11/1536 "units used" field 2
}

test_a_failing_region_is_tried_again() {
	remap_on
	bad spare "$LAST" 16383
	message remap 8
	gives 1/2 "regions while one fails" field 9
	good spare "$LAST" 16383
	local unit
	for unit in $(seq 2 40); do message remap $((unit * 8)) >/dev/null; done
	gives 2/2 "regions some commits later" field 9
}

test_without_any_region_nothing_moves_and_io_goes_on() {
	remap_on
	ten_units
	bad main 4000 4000
	bad spare 0 $((REGION - 1))
	bad spare "$LAST" 16383
	sample new 4096
	fails put new 4000
	gives frozen health field 1
	gives 0/2 regions field 9
	refused "no copy of the metadata can be written" message remap 8
	holds one
	random one 1
	put one
	holds one
	# Whether the unit was moved is not known to the disk for certain: it takes no writes, even when main
	# would, until that is.
	good main 4000 4000
	fails put new 4000
	get 4000 8 >/dev/null
	put new 4008
	good spare 0 $((REGION - 1))
	good spare "$LAST" 16383
	again
	holds one
	put new 4000
	reads 4000 8 new || fail "a write after the metadata work again"
	reads 4008 8 new || fail "a write that was acknowledged"
}

test_a_device_in_use_resumes_without_its_metadata() {
	remap_on
	ten_units
	bad spare 0 $((REGION - 1))
	bad spare "$LAST" 16383
	dm suspend r
	dm resume r
	gives frozen health field 1
	holds one
	dm remove r
	refused "the metadata cannot be read" dm create r "$TABLE"
	good spare 0 $((REGION - 1))
	good spare "$LAST" 16383
	create r "$TABLE"
	holds one
}

test_unreadable_metadata() {
	remap_on
	ten_units
	dm remove r
	bad spare 0 0
	bad spare 112 112
	bad spare "$LAST" "$LAST"
	bad spare $((LAST + 112)) $((LAST + 112))
	refused "the metadata cannot be read" dm create r "$TABLE"
	good spare "$LAST" "$LAST"
	create r "$TABLE"
	holds one
}

test_relocations_that_arrive_together_share_a_commit() {
	remap_on 64 8 "3 breaker 0 0"
	local unit before
	for unit in $(seq 0 6 239); do bad main $((unit * 8 + 3)) $((unit * 8 + 3)); done
	before=$(commits)
	random one 1
	put one
	gives 40/1536 "units used" field 2
	[ $(($(commits) - before)) -le 3 ] || fail "$(($(commits) - before)) commits for one write"
	before=$(commits)
	message remap 8000 512 >/dev/null
	same 2 $(($(commits) - before)) "commits for 64 units"
	again
	holds one
	gives 104/1536 "units used" field 2
}

#@ seconds=300
test_a_full_log_becomes_a_checkpoint() {
	remap_on
	random one 1
	put one
	# Forty units of which nothing can be read: each block that is written is valid from then on, which is a commit.
	bad main 8000 8319
	message remap 8000 320 lossy >/dev/null
	good main 8000 8319
	copy one 0 "$DEV" $((8000 * 512)) $((320 * 512)) 512
	message remap 800 80 >/dev/null
	[ "$(commits)" -gt 320 ] || fail "too few commits for this test"
	again
	holds one
	gives 50/1536 "units used" field 2
	dm remove r
	# Either region by itself.
	zero 0 "$REGION"
	create r "$TABLE"
	holds one
	gives 50/1536 "units used" field 2
}

test_a_suspended_device_says_it_was_shut_down() {
	remap_on
	local before
	before=$(commits)
	dm suspend r
	dm resume r
	same 2 $(($(commits) - before)) "commits for a suspend and a resume"
}

# log_sector REGION_START COMMIT: where a commit lies in a region of a spare of 8 MiB, behind two
# slots of 14 blocks.
log_sector() { echo $(($1 + (28 + $2 % 228) * 8)); }

# A request for two units, of which main takes the first never and the second at the third try. The
# first is moved, and its commit fails while the second is served: what was taken back is not
# acknowledged.
test_a_failed_commit_fails_the_request_that_it_was_made_for() {
	load_module
	null_disk disk 64
	null_disk spare 8
	local scsi host failing place sector
	scsi=$(scsi_disk)
	host=$(basename /sys/class/scsi_device/*)
	create main "0 800 linear /dev/disk 0\n800 8 error\n808 8 linear /dev/$scsi 808\n816 130256 linear /dev/disk 816"
	remapctl format /dev/mapper/main /dev/spare --main-metadata
	create r "0 126968 remap /dev/mapper/main 0 /dev/spare 0 16384"
	gives 4/4 regions field 9
	# The first commit that follows finds out whether main takes writes, the second is for the
	# first unit.
	failing=$(($(commits) + 2))
	for place in "spare 0" "spare $LAST" "disk 126968" "disk 129024"; do
		sector=$(log_sector "${place#* }" $failing)
		bad "${place% *}" "$sector" "$sector"
	done
	# The request as it came, and the second unit by itself, end with a medium error.
	echo "2 -2 0x2a 0 0 2 3 0x14 0" >"/sys/kernel/debug/scsi_debug/$host/error"
	random one 1
	fails copy one 0 "$DEV" $((800 * 512)) 8192 8192
	gives frozen health field 1
}

# The metadata can be read and not written, so that the first activation is refused: the second one
# as well.
test_a_refused_activation_is_refused_again() {
	ten_units_on_low
	dm remove r
	flaky "flakey BELOW 0 600 1 error_writes" "flakey BELOW 0 600 1 error_writes"
	dmsetup create r --notable
	dmsetup load r --table "$FLAKY_TABLE"
	refused "no copy of the metadata can be written" dmsetup resume r
	refused "no copy of the metadata can be written" dmsetup resume r
	fails get 0 8
	flaky "linear BELOW" "linear BELOW"
	dmsetup load r --table "$FLAKY_TABLE"
	dmsetup resume r
	gives "relocated 10/1536 rw 2/2" "when they can be written" field 1 2 8 9
	holds one
	gives 10 "units moved, counted once" stat_of remapped
}

# What a scan finds on a read-only table is not committed, wherever there are copies of the
# metadata.
test_a_read_only_table_with_metadata_on_main_writes_nothing() {
	two_disks
	remapctl format /dev/main /dev/spare --main-metadata
	local table="0 126968 remap /dev/main 0 /dev/spare 0 16384" main spare
	create r "$table"
	dm remove r
	bad main 8000 8000
	main=$(writes_of main)
	spare=$(writes_of spare)
	dmsetup create r --readonly --table "$table"
	message scan rate 1000000 >/dev/null
	message scan start >/dev/null
	until_is stopped field 13
	gives "ro 1 4/4" "mode, suspects and regions" field 8 4 9
	dm remove r
	gives "$main" "writes of main" writes_of main
	gives "$spare" "writes of the spare" writes_of spare
}

test_copies_on_main_are_in_use() {
	two_disks
	null_disk spare2 8
	local table="0 126968 remap /dev/main 0 /dev/spare 0 16384"
	local other="0 4096 remap /dev/main 126968 /dev/spare2 0 16384"
	create s "$other"
	dm remove s
	remapctl format /dev/main /dev/spare --main-metadata
	create r "$table"
	refused "in use by another remap device" dm create s "$other"
	dm remove r
	create s "$other"
	refused "the metadata on main are in use by another remap device" dm create r "$table"
	dm remove s
	create r "$table"
	gives 4/4 regions field 9
}

# A table over all of main does not see that main has copies of the metadata, and a blank spare says
# nothing of them.
test_a_blank_spare_does_not_hide_what_main_has() {
	two_disks
	remapctl format /dev/main /dev/spare --main-metadata
	create r "0 126968 remap /dev/main 0 /dev/spare 0 16384"
	message remap 800 80 >/dev/null
	dm remove r
	wipe spare
	refused "the spare's metadata are older than main's" dm create r "$TABLE"
	equal /dev/zero 0 /dev/spare 0 8388608 || fail "the spare was formatted"
	refused "the spare's metadata are older than main's" dmsetup create r --readonly --table "$TABLE"
	# Somebody who knows that they are of no use wipes them.
	zeroes /dev/main 126968 4104
	create r "$TABLE"
}

# One array, of which two copies are used apart: their regions are not put together.
test_two_histories_of_one_array() {
	two_disks
	null_disk fork 8
	create r "$TABLE"
	ten_units
	dm remove r
	copy_sectors /dev/spare 0 /dev/fork 0 16384
	create r "$TABLE"
	message remap 1600 80 >/dev/null
	dm remove r
	create r "${TABLE/spare/fork}"
	message remap 3200 80 >/dev/null
	dm remove r
	copy_sectors /dev/fork 0 /dev/spare 0 "$REGION"
	refused "the regions hold two histories of the array" dm create r "$TABLE"
	# Nor are their commits.
	copy_sectors /dev/fork "$LAST" /dev/spare "$LAST" "$REGION"
	create r "$TABLE"
	gives 20/1536 "units of the fork" field 2
}

# A region that works again is brought back though nothing is committed.
test_a_failing_region_comes_back_by_itself() {
	remap_on
	bad spare "$LAST" 16383
	message remap 8
	gives 1/2 "regions while one fails" field 9
	# What is free again is not used while a region says otherwise.
	message unremap 8
	gives 1/1536 "units used" field 2
	good spare "$LAST" 16383
	until_is 2/2 field 9
	gives 0/1536 "units used" field 2
}

# in_heads OFFSET HEX...: changes all heads of checkpoints, which are sealed anew.
in_heads() {
	local block
	for block in 0 14 $((LAST / 8)) $((LAST / 8 + 14)); do tamper /dev/spare "$block" "$@"; done
}

test_a_newer_format() {
	remap_on
	ten_units
	message checkpoint >/dev/null
	message checkpoint >/dev/null
	dm remove r
	local newer="the metadata are of a newer format"
	tamper /dev/spare 0 12 2
	refused "$newer" dm create r "$TABLE"
	tamper /dev/spare 0 12 1
	in_heads 12 2
	refused "$newer" dm create r "$TABLE"
	in_heads 12 1
	# A bit of incompat forbids reading, one of ro_compat writing, one of compat nothing.
	in_heads 59 80
	refused "$newer" dm create r "$TABLE"
	in_heads 59 0
	in_heads 52 1
	refused "the metadata have features that allow reading only" dm create r "$TABLE"
	dmsetup create r --readonly --table "$TABLE"
	holds one
	dm remove r
	in_heads 52 0
	in_heads 48 1
	create r "$TABLE"
	holds one
}

# What a checkpoint says of its first two units, at 96 and 120: the unit, its kind in the last of 8 bytes,
# the spare unit, and which blocks are valid.
test_metadata_that_contradict_themselves() {
	remap_on
	ten_units
	message checkpoint >/dev/null
	message checkpoint >/dev/null
	dm remove r
	zero "$LAST" "$REGION"
	local before change
	before=$(writes_of main)
	copy_sectors /dev/spare 0 kept 0 "$REGION"
	for change in "96 ff ff ff ff" "103 0" "103 2" "103 9" "104 ff ff" "104 1" "112 0 1" "120 64" "120 63"; do
		# shellcheck disable=SC2086
		for block in 1 15; do tamper /dev/spare "$block" $change; done
		refused "the metadata contradict themselves" dm create r "$TABLE"
		copy_sectors kept 0 /dev/spare 0 "$REGION"
	done
	gives "$before" "writes of main" writes_of main
	create r "$TABLE"
	holds one
}

# flaky FIRST LAST: the regions of the spare stand on these targets, its units on one that works.
flaky() {
	local lines=(
		"0 $REGION ${1/BELOW/\/dev\/spare 0}"
		"$REGION $((LAST - REGION)) linear /dev/spare $REGION"
		"$LAST $REGION ${2/BELOW/\/dev\/spare $LAST}"
	)
	if [ -b /dev/mapper/low ]; then
		replace low "${lines[@]}"
	else
		dm create low "${lines[@]}"
	fi
}

FLAKY_TABLE="0 131072 remap /dev/main 0 /dev/mapper/low 0 16384"

# ten_units_on_low: the device r over a spare whose regions may become flaky.
ten_units_on_low() {
	two_disks
	flaky "linear BELOW" "linear BELOW"
	create r "$FLAKY_TABLE"
	ten_units
}

test_flakey_writes() {
	ten_units_on_low
	flaky "flakey BELOW 0 600 1 error_writes" "linear BELOW"
	message remap 8
	gives "degraded 11/1536" "one region fails" field 1 2
	# What is lost without a word is made good by the other region.
	flaky "flakey BELOW 0 600 1 drop_writes" "linear BELOW"
	message checkpoint
	message remap 16
	dm remove r
	flaky "linear BELOW" "linear BELOW"
	create r "$FLAKY_TABLE"
	gives "12/1536 2/2" "after lost writes" field 2 9
	holds one
	flaky "flakey BELOW 0 600 1 error_writes" "flakey BELOW 0 600 1 error_writes"
	refused "no copy of the metadata can be written" message remap 24
	gives frozen health field 1
	holds one
	flaky "linear BELOW" "linear BELOW"
	again "$FLAKY_TABLE"
	gives 2/2 "regions when they work again" field 9
	holds one
}

test_flakey_reads() {
	ten_units_on_low
	dm remove r
	flaky "flakey BELOW 0 600 5 corrupt_bio_byte 100 r 85 0" "linear BELOW"
	create r "$FLAKY_TABLE"
	holds one
	dm remove r
	flaky "flakey BELOW 0 600 5 corrupt_bio_byte 100 r 85 0" "flakey BELOW 0 600 1 error_reads"
	refused "the metadata cannot be read" dm create r "$FLAKY_TABLE"
	flaky "linear BELOW" "linear BELOW"
	zero "$LAST" "$REGION"
	create r "$FLAKY_TABLE"
	holds one
}
