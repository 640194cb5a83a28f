# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
# The scan finds what fails before anybody asks for it.

# scan_of NAME: a line of what `scan` answers.
scan_of() { line_of scan "$1"; }

# until_scan STATE: waits for it.
until_scan() { until_is "$1" field 13; }

# until_begun: until the first batch is read.
until_begun() {
	local position
	until asked position scan_of position && [ "${position%/*}" != 0 ]; do sleep 0.1; done
}

# slept: how often the thread of the scan did, or waited for anything else.
slept() {
	local file lines line
	for file in /proc/[0-9]*/comm; do
		if ! { read -r line <"$file"; } 2>/dev/null || [[ $line != remap/*:* ]]; then continue; fi
		mapfile -t lines <"${file%comm}status"
		for line in "${lines[@]}"; do
			[[ $line != voluntary_ctxt_switches:* ]] || echo "${line##*[[:space:]]}"
		done
	done
}

# until_looked: until the thread, which does nothing but look each second whether it may go on, did
# so a few times.
until_looked() {
	local first now
	asked first slept
	until asked now slept && [ "$now" -ge $((first + 4)) ]; do sleep 0.25; done
}

# scanned: a whole pass, as fast as it goes.
scanned() {
	message scan rate 1000000 >/dev/null
	message scan start >/dev/null
	until_scan stopped
}

# finds SECTOR...: a pass makes suspects of the units of these sectors, which fail, and of no others, and moves none.
finds() {
	local sector
	scanned
	same "$(for sector; do echo $((sector / 8 * 8)); done)" "$(message suspects)" suspects
	same "$# weak 0 moved 0" "$(scan_of found)" "the pass"
	same 0 "$(field 2 | cut -d/ -f1)" "units used"
}

test_all_units_that_cannot_be_read() {
	remap_on 16
	random one 4
	put one
	# In one batch with others, at both ends of a batch, alone, and in the last unit.
	local sector bads="800 1024 1535 9000 9008 16390 32767"
	for sector in $bads; do bad main "$sector" "$sector"; done
	# shellcheck disable=SC2086 # Words.
	finds $bads
	gives 7 found stat_of scan_found
	gives stopped "the scan" field 13
	same "1 7" "$(stat_of scan_passes) $(stat_of suspects)" "passes and suspects"
	gives 1 "regions with trouble" scan_of regions_with_trouble
	gives "0 15" "the region, and how bad it is" scan_of region
	reads 0 800 one 0 || fail "a neighbour"
	# Those that are known are not found again.
	scanned
	gives 7 found stat_of scan_found
	gives "found 7 weak 0 moved 0" "the pass before" scan_of before
	# A write heals or moves them.
	for sector in $bads; do good main "$sector" "$sector"; done
	zeroes "$DEV" 800 8
	gives 6 suspects field 4
}

test_a_disk_that_fails_in_part() {
	load_module
	null_disk main 16 badblocks_partial_io=1
	null_disk spare 8
	create r "0 32768 remap /dev/main 0 /dev/spare 0 16384"
	for sector in 0 2047 30000; do bad main "$sector" "$sector"; done
	finds 0 2047 30000
}

test_a_disk_with_large_blocks_and_units() {
	load_module
	null_disk main 16 blocksize=4096
	null_disk spare 8
	create r "0 32768 remap /dev/main 0 /dev/spare 0 16384 2 unit 32768"
	bad main 800 807
	bad main 16376 16383
	scanned
	same "768 16320" "$(message suspects | xargs)" suspects
	gives "2 weak 0 moved 0" "the pass" scan_of found
}

test_a_disk_of_dust() {
	load_module
	null_disk disk 16
	null_disk spare 8
	local block
	create dust "0 32768 dust /dev/disk 0 4096"
	for block in 127 128 2500; do dm message dust 0 addbadblock $block; done
	dm message dust 0 enable
	create r "0 32768 remap /dev/mapper/dust 0 /dev/spare 0 16384"
	finds 1016 1024 20000
}

# A part of the disk fails all reads, and another is not there.
test_a_disk_of_parts() {
	load_module
	null_disk disk 16
	null_disk spare 8
	create main "0 8192 linear /dev/disk 0\n8192 16 flakey /dev/disk 8192 0 1 1 error_reads\n8208 8192 linear /dev/disk 8208\n16400 8 error\n16408 16360 linear /dev/disk 16408"
	create r "0 32768 remap /dev/mapper/main 0 /dev/spare 0 16384"
	finds 8192 8200 16400
}

test_a_disk_with_sense_codes() {
	local disk
	load_module
	disk=$(scsi_disk medium_error_start=8001 medium_error_count=3 opts=2)
	null_disk spare 8
	create r "0 131072 remap /dev/$disk 0 /dev/spare 0 16384"
	finds 8001
}

# two_bad_units: on a disk of the host.
two_bad_units() {
	load_module
	create r "0 131072 remap /dev/disk0 0 /dev/disk1 0 32768"
	finds 8003 70001
}

#@ disks=scsi:64M:read@8003+2:read@70001,scsi:16M
test_a_scsi_disk() { two_bad_units; }
#@ disks=nvme:64M:read@8003+2:read@70001,nvme:16M
test_an_nvme_disk() { two_bad_units; }

# The first reads of a unit fail, and one that follows works.
test_a_unit_that_is_read_after_some_tries_is_moved() {
	local disk host
	load_module
	disk=$(scsi_disk)
	null_disk spare 8
	create r "0 131072 remap /dev/$disk 0 /dev/spare 0 16384"
	random one 1
	put one
	host=$(basename /sys/class/scsi_device/*)
	# The batch, and then its first unit: a medium error.
	echo "2 -2 0x28 0 0 0x2 0x3 0x11 0" >"/sys/kernel/debug/scsi_debug/$host/error"
	scanned
	gives "0 weak 1 moved 1" "the pass" scan_of found
	gives "0 $REGION 8/8" list message list
	same "1 1" "$(stat_of scan_weak) $(stat_of scan_moved)" "weak and moved"
	holds one
}

# slow_units FIRST [FEATURES]: r on a disk on which the unit that begins there takes its time.
slow_units() {
	load_module
	null_disk disk 16
	null_disk spare 8
	create main "0 $1 linear /dev/disk 0\n$1 8 delay /dev/disk $1 1500 /dev/disk $1 0\n$(($1 + 8)) $((32768 - $1 - 8)) linear /dev/disk $(($1 + 8))"
	create r "0 32768 remap /dev/mapper/main 0 /dev/spare 0 16384 ${2:-}"
}

#@ idle=1
test_a_weak_unit_is_moved_while_it_can_be_read() {
	slow_units 20000
	random one 1
	put one 19000
	scanned
	gives "0 weak 1 moved 1" "the pass" scan_of found
	gives "20000 $REGION 8/8" list message list
	# What is on main is not asked for any more.
	zeroes /dev/disk 20000 8
	reads 19000 2048 one || fail "the data of the unit"
	scanned
	gives "0 weak 0 moved 0" "the next pass" scan_of found
}

#@ idle=1
test_a_weak_unit_stays_if_that_is_wanted() {
	slow_units 20000 "2 proactive off"
	local before
	before=$(events)
	scanned
	gives "0 weak 1 moved 0" "the pass" scan_of found
	gives 0/1536 "units used" field 2
	[ "$(events)" -ge $((before + 2)) ] || fail "no event for the unit and for the end of the pass"
	gives "0 2" "the region, and how bad it is" scan_of region
}

#@ idle=1
test_a_weak_unit_stays_if_no_spare_unit_is_left() {
	slow_units 20000
	random one 1
	put one 19000
	message remap 0 $((1536 * 8)) >/dev/null
	gives exhausted health field 1
	scanned
	gives "0 weak 1 moved 0" "the pass" scan_of found
	gives "1536/1536 0" "units used and suspects" field 2 4
	reads 19000 2048 one || fail "the data of the unit"
}

# gated_main LINES: r on main but for its first eight sectors, of which main has these lines. busy:
# somebody reads those eight sectors of main, which takes until it is idle.
gated_main() {
	load_module
	null_disk disk 17
	null_disk spare 8
	create gate "0 8 delay /dev/disk 0 3600000 /dev/disk 0 0"
	create main "0 8 linear /dev/mapper/gate 0\n$1"
	create r "0 32768 remap /dev/mapper/main 8 /dev/spare 0 16384 2 scan_rate 2048"
}
busy() {
	copy /dev/mapper/main 0 - 0 4096 4096 >/dev/null &
	until_is 1 field_of gate 1
}
idle() {
	dm suspend gate
	dm resume gate
	wait
}

# slow_reads: how many reads of the pass took more than half a second.
slow_reads() {
	local counts
	read -ra counts < <(scan_of reads_by_milliseconds)
	echo $((counts[10] + counts[11] + counts[12] + counts[13]))
}

# Others use the disk past the device, and all reads of the scan are slow: no unit is weak for that.
# The table is replaced before others begin and after they end. All reads are slow or none is between
# that, also those that a slow one is compared with, so that each replacement has one slow read count
# at most. A unit is weak after six slow halves of a batch and three more slow reads. The guest may
# stand still in any of those, but not in all nine and in no read between them.
#@ idle=1
test_units_of_a_busy_disk_stay_where_they_are() {
	local slow
	gated_main "8 32768 linear /dev/disk 8"
	# It knows what reads of batches take, and of single units.
	bad disk 808 808
	message scan start >/dev/null
	until_is "1 weak 0 moved 0" scan_of found
	until_begun
	replace main "0 8 linear /dev/mapper/gate 0" "8 32768 delay /dev/disk 8 1100 /dev/disk 8 0"
	busy
	until asked slow slow_reads && [ "$slow" -ge 5 ]; do sleep 0.25; done
	gives "1 weak 0 moved 0" "the pass" scan_of found
	idle
	replace main "0 8 linear /dev/mapper/gate 0" "8 32768 linear /dev/disk 8"
	message scan rate 1000000 >/dev/null
	until_scan stopped
	gives "1 weak 0 moved 0" "the pass" scan_of found
	gives 0/1536 "units used" field 2
}

# A weak unit is told from one of a busy disk when the disk is not busy any more.
#@ idle=1
test_a_weak_unit_of_a_busy_disk_is_moved_when_it_is_quiet() {
	gated_main "8 20000 linear /dev/disk 8\n20008 8 delay /dev/disk 20008 1500 /dev/disk 20008 0\n20016 12760 linear /dev/disk 20016"
	busy
	message scan rate 1000000 >/dev/null
	message scan start >/dev/null
	local position state=running
	until asked position scan_of position && [ "$position" = 4096/4096 ] || [ "$state" != running ]; do
		sleep 0.25
		asked state scan_of state
	done
	until_looked
	gives "0 weak 0 moved 0" "the pass" scan_of found
	gives running state scan_of state
	idle
	until_scan stopped
	gives "0 weak 1 moved 1" "the pass" scan_of found
	gives "20000 $REGION 8/8" list message list
}

# All reads are slow and nobody else reads: that is how the disk is. As above, a replacement has one
# slow read count at most, and nine are needed.
#@ idle=1
test_units_of_a_disk_that_becomes_slow_stay_where_they_are() {
	local slow
	load_module
	null_disk disk 16
	null_disk spare 8
	create main "0 32768 linear /dev/disk 0"
	create r "0 32768 remap /dev/mapper/main 0 /dev/spare 0 16384 2 scan_rate 2048"
	bad disk 800 800
	message scan start >/dev/null
	until_is "1 weak 0 moved 0" scan_of found
	until_begun
	replace main "0 32768 delay /dev/disk 0 1100 /dev/disk 0 0"
	until asked slow slow_reads && [ "$slow" -ge 12 ]; do sleep 0.25; done
	replace main "0 32768 linear /dev/disk 0"
	message scan rate 1000000 >/dev/null
	until_scan stopped
	gives "1 weak 0 moved 0" "the pass" scan_of found
	gives 0/1536 "units used" field 2
}

# path_fails COUNT [HOST_BYTE]: so many reads of the disk of scsi_debug fail as a path does
# (DID_TRANSPORT_FAILFAST), or all for 1. With 1 (DID_NO_CONNECT) as HOST_BYTE the block layer says
# BLK_STS_IOERR.
path_fails() {
	local host
	host=$(basename /sys/class/scsi_device/*)
	echo "2 $1 0x28 ${2:-0xf} 0 0 0 0 0" >"/sys/kernel/debug/scsi_debug/$host/error"
}
path_works() {
	local host
	host=$(basename /sys/class/scsi_device/*)
	echo "- 2 0x28" >"/sys/kernel/debug/scsi_debug/$host/error"
}

# path_to_a_part: r on main, of which two units are on the disk of scsi_debug, whose name is left in
# $disk.
path_to_a_part() {
	load_module
	disk=$(scsi_disk)
	null_disk disk 16
	null_disk spare 8
	create main "0 8192 linear /dev/disk 0\n8192 16 linear /dev/$disk 0\n8208 24560 linear /dev/disk 8208"
	create r "0 32768 remap /dev/mapper/main 0 /dev/spare 0 16384"
}

# Reads fail for a while, for a reason that is not the medium's.
test_a_unit_of_which_the_path_fails_is_not_weak() {
	local disk count
	path_to_a_part
	for count in -2 -3; do
		path_fails "$count"
		scanned
		gives "0 weak 0 moved 0" "the pass" scan_of found
		gives "" "units passed over" scan_of passed_over
		gives "0 0/1536" "suspects and units used" field 4 2
		path_works
	done
}

# An error that may be the path's makes a unit weak only if it comes twice while the rest of main
# works.
test_a_unit_that_fails_once_with_any_error_is_not_weak() {
	local disk
	path_to_a_part
	random one 1
	put one 7000
	# The batch, and then its first unit.
	path_fails -2 1
	scanned
	gives "0 weak 0 moved 0" "the pass" scan_of found
	gives "0 0/1536" "suspects and units used" field 4 2
	path_works
	# The unit once more.
	path_fails -3 1
	scanned
	gives "0 weak 1 moved 1" "the pass" scan_of found
	gives "8192 $REGION 8/8" list message list
	path_works
	reads 7000 2048 one || fail "the data of the unit"
}

# A part of main fails for a reason that is not the medium's, again and again: the pass gets by it.
test_units_that_fail_for_other_reasons_are_passed_over() {
	local disk before
	path_to_a_part
	path_fails 1
	before=$(disk_stat 1 "$disk")
	scanned
	gives "0 weak 0 moved 0" "the pass" scan_of found
	gives 2 "units passed over" scan_of passed_over
	gives "0 0/1536" "suspects and units used" field 4 2
	gives "0 2" "the region, and how bad it is" scan_of region
	[ $(($(disk_stat 1 "$disk") - before)) -le 16 ] || fail "$(disk_stat 1 "$disk") reads, $before before"
	path_works
	scanned
	gives "" "units passed over then" scan_of passed_over
}

# Main does not work at all, which says nothing of its units.
test_it_waits_while_the_path_fails() {
	local disk before now waits tries=0
	load_module
	disk=$(scsi_disk)
	null_disk spare 8
	create r "0 131072 remap /dev/$disk 0 /dev/spare 0 16384"
	path_fails 1
	before=$(disk_stat 1 "$disk")
	message scan rate 1000000 >/dev/null
	message scan start >/dev/null
	# The pause doubles with each try. What was read is asked for first, as a further try may follow.
	until asked now disk_stat 1 "$disk" && asked waits scan_of waits_for_main && [ "$waits" -ge 4 ]; do
		sleep 0.25
	done
	while [ "$waits" -ge 1 ]; do
		tries=$((tries + 1)) waits=$((waits / 2))
	done
	# A batch, and a unit in four other places.
	[ "$now" -le $((before + tries * 5)) ] || fail "$((now - before)) reads in $tries tries"
	gives "running 0/16384" "the scan" field 13 14
	path_works
	# It need not wait until the pause is over.
	message scan start >/dev/null
	until_scan stopped
	gives "" "what it waits for" scan_of waits_for_main
	gives "0 weak 0 moved 0" "the pass" scan_of found
	gives "" "units passed over" scan_of passed_over
	gives closed breaker field 10
}

# Suspects that are well again are none any more after a pass.
test_suspects_are_read_again() {
	local sector
	remap_on 16
	for sector in $(seq 800 80 4000); do bad main "$sector" "$sector"; done
	scanned
	gives 41 suspects field 4
	bad main 4001 4001
	good main 800 800
	scanned
	gives 40 suspects field 4
	good main 0 4000
	scanned
	gives "4000" suspects message suspects
	gives "0 weak 0 moved 0" "the pass" scan_of found
}

# What the metadata say may be any number.
test_numbers_as_large_as_there_are() {
	local most=18446744073709551615 more at
	remap_on 16
	dm remove r
	remapctl dump /dev/main /dev/spare >kept
	for at in {9..15}; do more+="\"counter_$at\": $most,"; done
	sed -e "s/\"cursor\": 0/\"cursor\": $most/" -e "/\"counters\": {/,/}/s/: 0/: $most/" \
		-e "s/\"counters\": {/&$more/" kept >larger
	remapctl restore /dev/main /dev/spare larger --force "$(sed -n 's/.*"array": "\(.*\)".*/\1/p' kept)" >/dev/null
	create r "0 32768 remap /dev/main 0 /dev/spare 0 16384"
	gives "$most" "passes before" stat_of scan_passes
	bad main 800 800
	scanned
	gives 800 suspects message suspects
	same "$most $most" "$(scan_of pass) $(stat_of scan_passes)" "the pass, and how many there were"
	zeroes "$DEV" 800 8
	gives 1/1536 "units used" field 2
	message stats >/dev/null
	message stats reset >/dev/null
	dm suspend r
	dm resume r
	scanned
	dm remove r
	create r "0 32768 remap /dev/main 0 /dev/spare 0 16384"
	gives "$most" "passes" stat_of scan_passes
}

# The scan waits, as what it might do takes of what is left.
test_it_waits_while_memory_is_short() {
	remap_on 16
	bad main 20000 20000
	no_nodes
	message remap 0 64 >/dev/null
	gives short memory field 12
	message scan rate 1000000 >/dev/null
	message scan start >/dev/null
	until_looked
	gives "running 0/4096" "the scan" field 13 14
	nodes_again
	until_scan stopped
	gives 20000 suspects message suspects
}

# The thread cannot be started, or ends since it gets no memory: that concerns nobody but the scan.
test_a_scan_that_fails() {
	remap_on 16
	random one 4
	put one
	injectors
	# The next allocation of the one that makes all threads of the kernel.
	echo 1 >/proc/2/fail-nth
	refused "the scan cannot be started: error -12" message scan start
	same "failed -12" "$(field 13) $(scan_of error)" "the scan"
	holds one
	# It is made, and gets so many bytes, which may be enough if another thread took the failure.
	local bytes state
	for bytes in $(seq 8192 256 65536); do
		injectors task-filter=Y times=1 probability=100 "space=$bytes"
		echo 1 >/proc/2/make-it-fail
		if message scan start >/dev/null; then
			until asked state field 13 && [ "$state" != running ]; do sleep 0.1; done
			if [ "$state" = failed ]; then break; fi
		fi
	done
	echo 0 >/proc/2/make-it-fail
	injectors probability=0 space=0
	same "failed -12" "$(field 13) $(scan_of error)" "the scan, with $bytes bytes"
	put one
	holds one
	# It can be begun again.
	scanned
	gives stopped "the scan" field 13
}

test_units_on_the_spare_are_read_there() {
	remap_on 16
	message remap 800 >/dev/null
	bad main 800 807
	scanned
	gives "0 weak 0 moved 0" "the pass" scan_of found
	bad spare "$REGION" "$REGION"
	kmsg clear
	scanned
	kmsg has "sector $REGION of the spare cannot be read" || fail "nothing in the kernel log"
}

test_it_waits_goes_on_and_ends() {
	remap_on 16
	message scan rate 256 >/dev/null
	message scan start >/dev/null
	gives running state scan_of state
	grep -qx "remap/$(</sys/block/main/dev)" /proc/[0-9]*/comm || fail "no thread"
	until_begun
	message scan pause >/dev/null
	gives paused state scan_of state
	message scan start >/dev/null
	gives running state scan_of state
	gives 1 pass scan_of pass
	message scan stop >/dev/null
	until_scan stopped
	gives "there was no scan" "stop again" message scan stop
	message scan rate 1000000 >/dev/null
	message scan start >/dev/null
	until_scan stopped
	gives 1 "the pass that was interrupted" scan_of pass
	# How many passes there were is kept.
	dm remove r
	create r "0 32768 remap /dev/main 0 /dev/spare 0 16384"
	scanned
	same "2 2" "$(scan_of pass) $(stat_of scan_passes)" "the next pass"
	dm suspend r
	refused "the device is suspended" message scan start
	dm resume r
}

test_it_goes_on_where_it_was() {
	remap_on 16 8 "2 scan_rate 2048"
	message scan start >/dev/null
	local position
	until asked position scan_of position && [ "${position%/*}" -gt 128 ]; do sleep 0.1; done
	position=${position%/*}
	dm remove r
	create r "0 32768 remap /dev/main 0 /dev/spare 0 16384 2 scan_rate 2048"
	message scan pause
	message scan start >/dev/null
	local now
	now=$(scan_of position)
	[ "${now%/*}" -ge "$position" ] || fail "at $now, it was at $position"
	# Another table of the same device goes on with it.
	replace r "0 32768 remap /dev/main 0 /dev/spare 0 16384 2 scan_rate 1000000"
	until_scan stopped
	gives 1 pass scan_of pass
}

test_it_begins_by_itself_again_and_again() {
	remap_on 16 8 "6 scan_interval 1 scan_rate 1000000 proactive on"
	local pass before now
	until asked pass scan_of pass && [ "$pass" -ge 3 ]; do sleep 0.25; done
	dm table r | grep -q "6 scan_interval 1 scan_rate 1000000 proactive on$" || fail "$(dm table r)"
	asked before events
	until asked now events && [ "$now" -gt "$before" ]; do sleep 0.25; done
	# What was ended begins by itself with the next resume only.
	message scan stop >/dev/null
	until_scan stopped
	dm suspend r
	dm resume r
	until_scan waiting
	message scan stop >/dev/null
	until_scan stopped
	# A table that is loaded and not used changes nothing.
	dm load r "0 32768 remap /dev/main 0 /dev/spare 0 16384 2 scan_interval 1"
	dmsetup clear r
	# Only a resume would start the thread.
	gives "" "a thread" slept
	gives stopped "the scan" field 13
}

#@ idle=1
test_a_pass_that_takes_too_long() {
	remap_on 16 8 "4 scan_interval 1 scan_rate 8192"
	kmsg clear
	local seconds
	until asked seconds scan_of seconds && [[ $seconds = *" late" ]]; do sleep 0.25; done
	until_is 2 scan_of pass
	kmsg has "the scan took longer than its interval of 1 seconds" || fail "$(message scan)"
}

# It is told to end while it reads, and would wait for minutes then.
#@ idle=1 seconds=60
test_it_ends_with_its_device_while_it_reads() {
	load_module
	null_disk disk 16
	null_disk spare 8
	create main "0 32768 delay /dev/disk 0 1000 /dev/disk 0 0"
	create r "0 32768 remap /dev/mapper/main 0 /dev/spare 0 16384 2 scan_rate 1"
	message scan start >/dev/null
	until_is 1 field_of main 1
	dm remove r
	until_is 0 cat /sys/module/dm_remap/refcnt
}

# Nobody waits for a disk that hangs: not a suspend, nor a removal.
#@ idle=1
test_a_disk_that_hangs_holds_up_nobody_but_the_scan() {
	load_module
	null_disk disk 64
	null_disk spare 8
	create main "0 131072 linear /dev/disk 0"
	create r "0 131072 remap /dev/mapper/main 0 /dev/spare 0 16384"
	replace main "0 131072 delay /dev/disk 0 20000 /dev/disk 0 0"
	message scan start >/dev/null
	until_is 1 field_of main 1
	dm suspend r
	dm resume r
	message scan stop
	gives stopping state scan_of state
	refused "still waits for a read" message scan start
	dm remove r
	gives 1 "reads that hang" field_of main 1
	fails rmmod dm_remap
	# The disk answers at once what it is asked when it is given up.
	dm suspend main
	until rmmod dm_remap 2>/dev/null; do sleep 0.25; done
	dm resume main
}

#@ disks=scsi:64M,scsi:16M pull=0
test_a_disk_is_pulled() {
	load_module
	create r "0 131072 remap /dev/disk0 0 /dev/disk1 0 32768 4 scan_interval 1000 scan_rate 1024"
	until_begun
	pulled /dev/disk0
	until_is tripped field 1
	gives "0 0/3584" "suspects and units used" field 4 2
	fails get 60000 8
	dm remove r
}

# The disk is gone: nothing is found, and it is tried again when it is back.
test_a_disk_that_is_gone_has_no_bad_units() {
	load_module
	null_disk disk 16
	null_disk spare 8
	create main "0 32768 linear /dev/disk 0"
	create r "0 32768 remap /dev/mapper/main 0 /dev/spare 0 16384 4 scan_rate 1024 scan_interval 1000"
	until_begun
	replace main "0 32768 error"
	until_is tripped field 1
	gives "0 0/1536" "suspects and units used" field 4 2
	replace main "0 32768 linear /dev/disk 0"
	message rearm >/dev/null
	message scan rate 1000000 >/dev/null
	until_scan waiting
	gives "0 0/1536" "suspects and units used" field 4 2
}
