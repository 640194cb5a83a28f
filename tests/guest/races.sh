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

test_power_loss_free_slow_main() {
	load_module
	null_disk disk 64
	null_disk spare 8
	create main "0 131072 delay /dev/disk 0 30"
	create r "0 131072 remap /dev/mapper/main 0 /dev/spare 0 16384"
	random one 1
	put one
	random two 1
	# A write is in flight on main when its unit is moved: it must not be lost.
	put two &
	sleep 0.01
	message remap 0 2048 >/dev/null
	wait
	holds two
}
