# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Units that are moved while others use them.

#@ cpus=2
test_concurrent_messages() {
	remap_on
	random one 8
	put one
	for _ in 1 2 3; do
		(for n in $(seq 7); do
			message remap $((n * 64)) 32 >/dev/null
			message unremap $((n * 64)) >/dev/null 2>&1 || true
			message list >/dev/null
			dm status r >/dev/null
		done) &
	done
	wait
	holds one
}

# Main takes three seconds for a read: that long is a unit busy while it is copied.
begin_a_move() {
	load_module
	null_disk disk 64
	null_disk spare 8
	random old 1
	copy_sectors old 0 /dev/disk 0 2048
	create main "0 131072 delay /dev/disk 0 3000 /dev/disk 0 0"
	create r "0 131072 remap /dev/mapper/main 0 /dev/spare 0 16384"
	message remap 800 >/dev/null &
	until_is 1 field_of main 1
}

#@ idle=1
test_write_waits_for_the_move_of_its_unit() {
	begin_a_move
	sample new 512
	put new 801
	wait
	gives 1 "writes that waited" stat_of repaired
	gives 1/1536 "units used" field 2
	reads 801 1 new || fail "the write that waited was lost"
	reads 802 6 old 802 || fail "the copy"
	equal /dev/disk $((801 * 512)) old $((801 * 512)) 512 || fail "it went to main"
}

#@ idle=1
test_nowait_does_not_wait_for_a_move() {
	load_module
	# A target under remap would have to honour REQ_NOWAIT too, so the disk itself is slow.
	null_disk main 64 irqmode=2 completion_nsec=2000000000
	null_disk spare 8
	create r "0 131072 remap /dev/main 0 /dev/spare 0 16384"
	local reads unit mover
	for unit in {100..10000..8}; do
		# Eight units, which are read one after the other while nobody may use any of them.
		message remap $((unit * 8)) 64 >/dev/null &
		mover=$!
		until read -r reads _ </sys/block/main/inflight && [ "$reads" = 1 ]; do sleep 0.1; done
		fio --name=n --filename="$DEV" --ioengine=io_uring --nowait=1 --direct=1 --rw=write --bs=4k \
			--offset=$((unit * 4096)) --size=32k >fio.log 2>&1 || true
		# A round in which the move ended before that says nothing.
		if [ -e "/proc/$mover" ]; then break; fi
	done
	grep -q "Resource temporarily unavailable" fio.log || fail "no EAGAIN: $(cat fio.log)"
	gives 0 "writes that waited" stat_of repaired
	wait
}

# Main takes two seconds for a write. COMMAND comes while one is in flight, which will fail if BAD is 1.
write_in_flight_during() {
	load_module
	null_disk disk 64
	[ "${BAD:-0}" = 0 ] || bad disk 800 800
	null_disk spare 8
	create main "0 131072 delay /dev/disk 0 0 /dev/disk 0 2000"
	create r "0 131072 remap /dev/mapper/main 0 /dev/spare 0 16384"
	sample one 4096
	put one 800 &
	local writer=$!
	until_is 1 from 2 attribute inflight
	"$@" >/dev/null
	wait $writer
}

#@ idle=1
test_write_in_flight_is_not_lost_by_a_move() {
	write_in_flight_during message remap 800
	reads 800 8 one || fail "a write in flight was lost"
	# It was waited for, and then copied.
	gives 1/1536 "units used" field 2
	equal one 0 /dev/spare $((REGION * 512)) 4096 || fail "the copy is not the write"
}

#@ idle=1
test_write_in_flight_elsewhere_is_whole() {
	write_in_flight_during message remap 1600
	reads 800 8 one || fail "a write in flight was lost"
}

#@ idle=1
test_suspend_waits_for_a_write_in_flight() {
	write_in_flight_during dm suspend r noflush
	dm resume r
	reads 800 8 one || fail "a write in flight was lost"
}

#@ idle=1
test_a_write_that_fails_while_a_suspend_waits_for_it() {
	BAD=1 write_in_flight_during dm suspend r
	dm resume r
	gives 1 "units relocated" stat_of relocated
	reads 800 8 one || fail "a write that was relocated during a suspend was lost"
}

# What fails on one CPU is tried again there, one after the other; another CPU does not wait for that.
#@ cpus=2 idle=1
test_a_storm_on_one_cpu_does_not_stall_another() {
	load_module
	# A disk that answers late, on the CPU that asked.
	null_disk main 64 irqmode=2 completion_nsec=300000000
	bad main 8000 9000
	null_disk spare 8
	create r "0 131072 remap /dev/main 0 /dev/spare 0 16384"
	taskset -c 0 fio --name=storm --filename="$DEV" --ioengine=libaio --direct=1 --rw=read --bs=4k \
		--offset=$((8000 * 512)) --size=96k --iodepth=24 --continue_on_error=read >/dev/null 2>&1 &
	local errors inflight
	until asked errors stat_of read_errors && [ "$errors" -ge 24 ]; do sleep 0.25; done
	fails taskset -c 1 dd if="$DEV" of=/dev/null bs=4k skip=1100 count=1 iflag=direct
	asked inflight from 1 attribute inflight
	[ "${inflight% *}" -gt 0 ] || fail "it waited for the others"
	wait
}

# A move that waits for main holds up nobody who only looks.
test_looking_waits_for_no_disk() {
	load_module
	null_disk disk 64
	null_disk spare 8
	create main "0 131072 linear /dev/disk 0"
	create r "0 131072 remap /dev/mapper/main 0 /dev/spare 0 16384"
	message remap 1600
	replace main "0 131072 delay /dev/disk 0 100000000 /dev/disk 0 0"
	message remap 800 >/dev/null &
	until_is 1 field_of main 1
	local what
	gives "1/1536 rw 2/2 closed" status field 2 8 9 10
	dm table r >/dev/null
	for what in ping info stats debug suspects breaker scan cache reason help; do message "$what" >/dev/null; done
	gives "1600 2048 8/8" list message list
	gives 1 "reads that are held" field_of main 1
	replace main "0 131072 linear /dev/disk 0"
	wait
	gives 2/1536 "units used" field 2
}
