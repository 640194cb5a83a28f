# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The power goes while units are being relocated. Written are 64 units that cannot be written on main and as
# many beside them; tests/crash has what writes them and what knows which version each may hold.

TABLE="0 131072 remap /dev/disk0 0 /dev/disk1 0 32768 3 breaker 0 0"
FIRST=936
LAST=1063

# Main on the device that logs. What cannot be written must not be in the log.
LOGGED="0 8000 linear /dev/mapper/lw 0\n8000 512 error\n8512 122560 linear /dev/mapper/lw 8512"

# move_units: moves two of the units that can be written to the spare, and one of them back, forever.
move_units() {
	local unit
	while true; do
		unit=$((RANDOM % 63 + FIRST))
		message remap $((unit * 8)) 16 >/dev/null
		message unremap $((unit * 8)) >/dev/null
	done
}

killed_under_load() {
	load_module
	create r "$TABLE"
	if [ "$BOOT" = 1 ]; then
		move_units &
		units write "$DEV" "$FIRST" "$LAST" 1000000
	fi
	units check "$DEV" /run/said
	gives 2/2 regions field 9
	[ "$(field 2)" != 0/3584 ] || fail "nothing was relocated"
}

# Every write to main and spare is logged, in the order in which it became durable. After each flush and
# each FUA write the power could have gone: the array must be readable, and hold what was acknowledged.
#@ seconds=3600
test_every_point_of_a_log() {
	load_module
	null_disk disk 72 cache_size=8
	null_disk journal $((WRITES / 2 + 64))
	create lw "0 147456 log-writes /dev/disk /dev/journal"
	create main "$LOGGED"
	create spare "0 16384 linear /dev/mapper/lw 131072"
	create r "0 131072 remap /dev/mapper/main 0 /dev/mapper/spare 0 16384 3 breaker 0 0"
	move_units &
	local mover=$! name
	units write "$DEV" "$FIRST" "$LAST" "$WRITES" lw
	kill $mover
	wait $mover || true
	for name in r main spare lw; do dm remove "$name"; done
	replay /dev/journal 131072 16384 >said 2>&1 || fail "replay: $(cat said)"
	cat said
	[ "$(cut -d' ' -f1 said)" -ge "$WRITES" ] || fail "too few points"
}

# The spare takes so long to write that a mark is in the log before a commit that nobody waited for.
#@ idle=1
test_acknowledged_after_its_commit() {
	load_module
	null_disk disk 72 cache_size=8
	null_disk journal 64
	create lw "0 147456 log-writes /dev/disk /dev/journal"
	create main "$LOGGED"
	create spare "0 16384 delay /dev/mapper/lw 131072 0 /dev/mapper/lw 131072 400 /dev/mapper/lw 131072 0"
	create r "0 131072 remap /dev/mapper/main 0 /dev/mapper/spare 0 16384"
	# The power may go at each of these writes to main.
	units write "$DEV" 2000 2010 100000 lw &
	local others=$! name
	units write "$DEV" 1000 1063 3 lw
	kill $others
	wait $others || true
	for name in r main spare lw; do dm remove "$name"; done
	replay /dev/journal 131072 16384 >said 2>&1 || fail "replay: $(cat said)"
	cat said
	[ "$(cut -d' ' -f1 said)" -ge 3 ] || fail "too few points"
}

# Main goes before the spare does, again and again, while units are written and moved.
test_main_goes_before_the_spare() {
	load_module
	null_disk disk 64
	null_disk low 16
	bad disk 8000 8511
	create main "0 131072 linear /dev/disk 0"
	create spare "0 32768 linear /dev/low 0"
	local table="0 131072 remap /dev/mapper/main 0 /dev/mapper/spare 0 32768 3 breaker 0 0"
	local round writer mover unit acked
	for round in 1 2 3 4; do
		create r "$table"
		zeroes "$DEV" $((FIRST * 8)) $(((LAST - FIRST + 1) * 8))
		units try "$DEV" "$FIRST" "$LAST" 1000000 >story &
		writer=$!
		(set +e; move_units 2>/dev/null) &
		mover=$!
		until acked=$(grep -c ^ack story) && [ "$acked" -ge 30 ]; do sleep 0.1; done
		replace main "0 131072 error"
		# Whatever is asked for now, nothing is given up.
		for unit in {936..999..7}; do message remap $((unit * 8)) 56 lossy >/dev/null 2>&1 || true; done
		replace spare "0 32768 error"
		kill $writer $mover
		wait $writer $mover || true
		dm remove r
		replace main "0 131072 linear /dev/disk 0"
		replace spare "0 32768 linear /dev/low 0"
		create r "$table"
		units check "$DEV" story || fail "round $round"
		gives 0 "lost blocks" field 5
		dm remove r
	done
}

#@ disks=scsi:64M:write@8000+512,scsi:16M cut=1..6
test_killed_under_load_1() { killed_under_load; }
#@ disks=scsi:64M:write@8000+512,scsi:16M cut=1..6
test_killed_under_load_2() { killed_under_load; }
