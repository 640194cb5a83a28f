# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Units that are moved while others use them.

# churn PID: moves units to the spare and back until the process ends.
churn() {
	local unit
	while kill -0 "$1" 2>/dev/null; do
		unit=$((RANDOM % 1024))
		message remap $((unit * 8)) 64 >/dev/null
		message unremap $((unit * 8)) >/dev/null
		message unremap $((unit * 8 + 32)) >/dev/null
	done
}

verified_fio() {
	fio --name=v --filename="$DEV" --ioengine=libaio --direct=1 --rw=randwrite --bsrange=512-256k \
		--blockalign=512 --size=4M --iodepth=16 --verify=crc32c --verify_fatal=1 --do_verify=1 \
		--minimal "$@"
}

#@ cpus=2
test_moves_under_verified_load() {
	remap_on
	verified_fio --loops=6 >fio.log 2>&1 &
	local pid=$!
	churn $pid
	wait $pid || fail "$(cat fio.log)"
	[ "$(stat_of unremapped)" -gt 10 ] || fail "nothing was moved meanwhile"
	[ "$(stat_of repaired)" -gt 0 ] || fail "no bio met a unit that was being moved"
}

#@ cpus=2
test_moves_and_errors_under_verified_load() {
	remap_on
	local sector
	for sector in $(seq 100 400 8000); do bad main "$sector" "$sector"; done
	verified_fio --loops=4 >fio.log 2>&1 &
	local pid=$! unit
	while kill -0 $pid 2>/dev/null; do
		unit=$((RANDOM % 1024))
		message remap $((unit * 8)) 64 >/dev/null
	done
	wait $pid || fail "$(cat fio.log)"
	same 0 "$(stat_of lost_blocks)" "blocks lost"
}

#@ cpus=2
test_concurrent_messages() {
	remap_on
	random one 8
	put one
	for _ in 1 2 3; do
		(for n in $(seq 15); do
			message remap $((n * 64)) 32 >/dev/null
			message unremap $((n * 64)) >/dev/null 2>&1 || true
			message list >/dev/null
			dmsetup status r >/dev/null
		done) &
	done
	wait
	holds one
}

# Main takes three seconds for a write. COMMAND comes while one is in flight.
write_in_flight_during() {
	load_module
	null_disk disk 64
	null_disk spare 8
	create main "0 131072 delay /dev/disk 0 0 /dev/disk 0 3000"
	create r "0 131072 remap /dev/mapper/main 0 /dev/spare 0 16384"
	random one 1
	truncate -s 4096 one
	put one 800 &
	local writer=$!
	until [ "$(awk '{ print $2 }' "$(sysfs r)/inflight")" = 1 ]; do sleep 0.1; done
	"$@" >/dev/null
	wait $writer
}

test_write_in_flight_is_not_lost_by_a_move() {
	write_in_flight_during message remap 800
	get 800 8 | cmp - one || fail "a write in flight was lost"
	# It was waited for, and then copied.
	same 1/2048 "$(field 2)" "units used"
	cmp -n 4096 one /dev/spare || fail "the copy is not the write"
}

test_write_in_flight_elsewhere_is_whole() {
	write_in_flight_during message remap 1600
	get 800 8 | cmp - one || fail "a write in flight was lost"
}

test_suspend_waits_for_a_write_in_flight() {
	write_in_flight_during dmsetup suspend --noflush r
	dmsetup resume r
	get 800 8 | cmp - one || fail "a write in flight was lost"
}
