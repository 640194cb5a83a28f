# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
# The scan finds what fails before anybody asks for it.

# scan_of NAME: a line of what `scan` answers.
scan_of() { message scan | sed -n "s/^$1 //p"; }

# until_scan STATE: waits for it.
until_scan() {
	local words
	until [ "${words:-}" = "$1" ]; do
		sleep 0.1
		words=$(field 13)
	done
}

# scanned: a whole pass, as fast as it goes.
scanned() {
	message scan rate 1000000 >/dev/null
	message scan start >/dev/null
	until_scan stopped
}

test_all_units_that_cannot_be_read() {
	remap_on 16
	random one 4
	put one
	# In one batch with others, at both ends of a batch, alone, and in the last unit.
	local sector bads="800 1024 1535 9000 9008 16390 32767"
	for sector in $bads; do bad main "$sector" "$sector"; done
	scanned
	same "$(for sector in $bads; do echo $((sector / 8 * 8)); done)" "$(message suspects)" suspects
	same 7 "$(stat_of scan_found)" found
	same "found 7 weak 0 moved 0" "$(message scan | grep ^found)" "the pass"
	same 0/1536 "$(field 2)" "units used"
	same stopped "$(field 13)" "the scan"
	get 0 800 | cmp - <(part one 0 800) || fail "a neighbour"
	# Those that are known are not found again.
	scanned
	same 7 "$(stat_of scan_found)" found
	same "found 7 weak 0 moved 0" "$(message scan | sed -n 's/^before //p')" "the pass before"
	# A write heals or moves them.
	for sector in $bads; do good main "$sector" "$sector"; done
	dd if=/dev/zero of="$DEV" bs=4k seek=100 count=1 oflag=direct status=none
	same 6 "$(field 4)" suspects
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
	same "found 0 weak 1 moved 1" "$(message scan | grep ^found)" "the pass"
	same "20000 $REGION 8/8" "$(message list)" list
	# What is on main is not asked for any more.
	dd if=/dev/zero of=/dev/disk bs=512 seek=20000 count=8 oflag=direct status=none
	get 19000 2048 | cmp - one || fail "the data of the unit"
	scanned
	same "found 0 weak 0 moved 0" "$(message scan | grep ^found)" "the next pass"
}

#@ idle=1
test_a_weak_unit_stays_if_that_is_wanted() {
	slow_units 20000 "2 proactive off"
	scanned
	same "found 0 weak 1 moved 0" "$(message scan | grep ^found)" "the pass"
	same 0/1536 "$(field 2)" "units used"
}

test_units_on_the_spare_are_read_there() {
	remap_on 16
	message remap 800 >/dev/null
	bad main 800 807
	scanned
	same "found 0 weak 0 moved 0" "$(message scan | grep ^found)" "the pass"
	bad spare "$REGION" "$REGION"
	kmsg clear
	scanned
	kmsg has "sector $REGION of the spare cannot be read" || fail "nothing in the kernel log"
}

test_it_waits_goes_on_and_ends() {
	remap_on 16
	message scan rate 256 >/dev/null
	message scan start >/dev/null
	same running "$(scan_of state)" state
	grep -qx "remap/$(</sys/block/main/dev)" /proc/[0-9]*/comm || fail "no thread"
	until [ "$(scan_of position)" != 0/4096 ]; do sleep 0.1; done
	message scan pause >/dev/null
	same paused "$(scan_of state)" state
	message scan start >/dev/null
	same running "$(scan_of state)" state
	same 1 "$(scan_of pass)" pass
	message scan stop >/dev/null
	until_scan stopped
	same "there was no scan" "$(message scan stop)" "stop again"
	message scan rate 1000000 >/dev/null
	message scan start >/dev/null
	until_scan stopped
	same 1 "$(scan_of pass)" "the pass that was interrupted"
	dm suspend r
	refused "the device is suspended" message scan start
	dm resume r
}

test_it_goes_on_where_it_was() {
	remap_on 16 8 "2 scan_rate 2048"
	message scan start >/dev/null
	local position=0
	until [ "$position" -gt 128 ]; do
		position=$(scan_of position)
		position=${position%/*}
	done
	dm remove r
	create r "0 32768 remap /dev/main 0 /dev/spare 0 16384 2 scan_rate 2048"
	message scan pause
	message scan start >/dev/null
	local now
	now=$(scan_of position)
	[ "${now%/*}" -ge "$position" ] || fail "at $now, it was at $position"
	# Another table of the same device goes on with it.
	replace r --table "0 32768 remap /dev/main 0 /dev/spare 0 16384 2 scan_rate 1000000"
	until_scan stopped
	same 1 "$(scan_of pass)" pass
}

test_it_begins_by_itself_again_and_again() {
	remap_on 16 8 "6 scan_interval 1 scan_rate 1000000 proactive on"
	until [ "$(scan_of pass)" -ge 3 ]; do sleep 0.1; done
	dm table r | grep -q "6 scan_interval 1 scan_rate 1000000 proactive on$" || fail "$(dm table r)"
	local before
	before=$(events)
	until [ "$(events)" -gt "$before" ]; do sleep 0.1; done
	# What was ended begins by itself with the next resume only.
	message scan stop >/dev/null
	until_scan stopped
	dm suspend r
	dm resume r
	until_scan waiting
	message scan stop >/dev/null
	until_scan stopped
	# A table that is loaded and not used changes nothing.
	dmsetup load r --table "0 32768 remap /dev/main 0 /dev/spare 0 16384 2 scan_interval 1"
	dmsetup clear r
	sleep 2
	same stopped "$(field 13)" "the scan"
}

# Nobody waits for a disk that hangs: not a suspend, nor a removal.
#@ idle=1
test_a_disk_that_hangs_holds_up_nobody_but_the_scan() {
	load_module
	null_disk disk 64
	null_disk spare 8
	create main "0 131072 linear /dev/disk 0"
	create r "0 131072 remap /dev/mapper/main 0 /dev/spare 0 16384"
	replace main --table "0 131072 delay /dev/disk 0 20000 /dev/disk 0 0"
	message scan start >/dev/null
	until [ "$(dm status main | cut -d' ' -f4)" = 1 ]; do sleep 0.1; done
	dm suspend r
	dm resume r
	message scan stop
	same stopping "$(scan_of state)" state
	refused "still waits for a read" message scan start
	dm remove r
	same 1 "$(dm status main | cut -d' ' -f4)" "reads that hang"
	fails rmmod dm_remap
	# The disk answers at once what it is asked when it is given up.
	dm suspend main
	until rmmod dm_remap 2>/dev/null; do sleep 0.1; done
	dm resume main
}

# The disk is gone: nothing is found, and it is tried again when it is back.
test_a_disk_that_is_gone_has_no_bad_units() {
	load_module
	null_disk disk 16
	null_disk spare 8
	create main "0 32768 linear /dev/disk 0"
	create r "0 32768 remap /dev/mapper/main 0 /dev/spare 0 16384 4 scan_rate 1024 scan_interval 1000"
	until [ "$(scan_of position)" != 0/4096 ]; do sleep 0.1; done
	replace main --table "0 32768 error"
	until [ "$(field 1)" = tripped ]; do sleep 0.2; done
	same "0 0/1536" "$(field 4) $(field 2)" "suspects and units used"
	replace main --table "0 32768 linear /dev/disk 0"
	message rearm >/dev/null
	message scan rate 1000000 >/dev/null
	until_scan waiting
	same "0 0/1536" "$(field 4) $(field 2)" "suspects and units used"
}
