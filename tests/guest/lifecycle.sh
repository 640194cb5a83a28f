# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Suspend, resume, reload, removal, and the module's own life.

TABLE="0 131072 remap /dev/main 0 /dev/spare 0 16384"

test_suspend_keeps_the_map() {
	remap_on
	random one 4
	put one
	message remap 800 80
	random one 4
	put one
	for _ in 1 2 3; do
		dm suspend r
		dm resume r
	done
	holds one
	gives 10/1536 "units used" field 2
}

test_no_moves_while_suspended() {
	remap_on
	dm suspend r
	refused "the device is suspended" message remap 8
	dm resume r
	message remap 8
}

test_reload_hands_the_map_over() {
	remap_on
	random one 4
	put one
	message remap 800 80
	random one 4
	put one
	replace r "$TABLE"
	holds one
	gives 10/1536 "units used" field 2
	message unremap 800
	holds one
	refused "in use by another remap device" dm create s "$TABLE"
}

test_reload_read_only_and_back() {
	remap_on
	random one 1
	put one
	message remap 800
	dmsetup load r --readonly --table "$TABLE"
	dm suspend r
	dm resume r
	holds one
	gives ro mode field 8
	replace r "$TABLE"
	gives rw mode field 8
	put one
	holds one
}

test_load_and_clear_changes_nothing() {
	remap_on
	random one 1
	put one
	message remap 800
	random one 1
	put one
	for _ in {1..5}; do
		dm load r "$TABLE"
		dmsetup clear r
	done
	holds one
	gives 1/1536 "units used" field 2
	refused "in use by another remap device" dm create s "$TABLE"
}

test_reload_with_another_layout_is_refused() {
	remap_on
	refused "live table of this device lays out the same sectors differently" \
		dm load r "0 131072 remap /dev/main 0 /dev/spare 8 8192"
	dm remove r
	wipe spare
	create r "0 131072 remap /dev/main 0 /dev/spare 8 8192"
}

test_second_activation_is_refused() {
	remap_on
	null_disk other 8
	refused "in use by another remap device" dm create s "$TABLE"
	refused "in use by another remap device" \
		dm create s "0 8192 remap /dev/other 0 /dev/spare 8192 8192"
	refused "in use by another remap device" \
		dm create s "0 64 remap /dev/main 131008 /dev/other 0 8192"
	dm remove r
	create s "$TABLE"
	dm remove s
}

test_noflush_suspend_under_load() {
	remap_on
	message remap 0 800
	fio --name=w --filename="$DEV" --ioengine=libaio --direct=1 --rw=randwrite --bs=4k-64k --size=8M \
		--iodepth=16 --verify=crc32c --do_verify=1 --verify_fatal=1 --time_based=0 --minimal >fio.log &
	for _ in {1..15}; do
		dm suspend r noflush
		dm resume r
	done
	wait $! || fail "$(cat fio.log)"
}

test_reload_under_load() {
	remap_on
	message remap 0 800
	fio --name=w --filename="$DEV" --ioengine=libaio --direct=1 --rw=randwrite --bs=4k-64k --size=8M \
		--iodepth=16 --verify=crc32c --do_verify=1 --verify_fatal=1 --minimal >fio.log &
	for _ in {1..10}; do
		replace r "$TABLE"
	done
	wait $! || fail "$(cat fio.log)"
	gives 100/1536 "units used" field 2
}

test_table_recreates_the_device() {
	remap_on
	local table
	table=$(dm table r)
	dm remove r
	create r "$table"
	gives "$table" table dm table r
}

test_unload_with_a_device_open_is_refused() {
	remap_on
	fails rmmod dm_remap
	[ -d /sys/module/dm_remap ] || fail "the module is gone"
	dm remove r
	rmmod dm_remap
}

# moves_and_errors: a life of a device, and tables that are refused.
moves_and_errors() {
	create r "$TABLE"
	message remap 0 80 >/dev/null
	copy /dev/zero 0 "$DEV" $((62 << 16)) $((2 << 16)) $((1 << 16))
	fails get 16000 8
	fails dm create s "0 131072 remap /dev/main 0 /dev/other 0 16384"
	fails dm create s "0 8 remap /dev/other 0 /dev/spare 0 4"
	dm remove r
	wipe spare
}

#@ seconds=300 leaks=1
test_100_loads_moves_errors_and_refused_tables_do_not_leak() {
	two_disks
	null_disk other 8
	bad main 8000 8001
	bad main 16000 16000
	rmmod dm_remap
	for _ in 1 2 3 4 5; do
		reload "$MODULES/dm_remap.ko" dm_remap 19
		insmod "$MODULES/dm_remap.ko"
		for _ in $(seq "$CYCLES"); do moves_and_errors; done
		rmmod dm_remap
	done
	no_leak
}

test_main_under_a_stack_of_targets() {
	two_disks
	null_disk spare2 8
	bad main 8000 8001
	create low "$TABLE"
	create r "0 131072 remap /dev/mapper/low 0 /dev/spare2 0 16384"
	random one 8
	put one
	holds one
	gives 0/1536 "units used above" field 2
	dm status low | grep -q " 1/1536 " || fail "units used below"
}

# each_failing WHAT WORDS...: has the allocations of one thing fail, one after the other, each STEPth of
# them; sets how many failed and how many times what was done failed with them.
each_failing() {
	injectors
	nth $((RANDOM % STEP + 1)) "$STEP" "$@" >/tmp/failing || fail "nth $*"
	cat /tmp/failing
	read -r _ made _ _ _ needed _ </tmp/failing
}

#@ seconds=400 leaks=1
test_failing_allocations() {
	local made needed params=${TABLE#* * remap }
	two_disks
	# What counts as an allocation that fails may be a request of null_blk, which then is not answered.
	echo 100 | tee /sys/block/main/queue/io_timeout >/sys/block/spare/queue/io_timeout
	create r "0 131072 error"
	each_failing constructor r 131072 "$params"
	[ "$made" -ge $((100 / STEP + 1)) ] || fail "only $made of the constructor's allocations failed"
	[ "$STEP" -gt 1 ] || [ "$needed" -ge 100 ] || fail "the constructor needed only $needed allocations"
	# On a blank spare, that is formatted.
	each_failing load r 131072 "$params"
	each_failing message r "remap %"
	gives "$((made + 1 - needed))/1536" "units used" field 2
	message list >before
	each_failing message r checkpoint
	each_failing message r list
	each_failing message r stats
	each_failing load r 131072 "$params"
	message list | cmp before - || fail "units were forgotten"
	gives 2/2 regions field 9
	message remap 0 8000 >/dev/null
	each_failing message r "unremap %"
	dm remove r
	no_leak
}

# A third of what the kernel's workers allocate fails, in commits and elsewhere: each write works or fails, and
# what was acknowledged is kept.
test_failing_allocations_of_the_workers() {
	two_disks
	# The disks have their memory before anything fails.
	zeroes /dev/main 6144 4096
	wipe spare
	create r "$TABLE 3 breaker 0 0"
	bad main 8000 8511
	workers_fail 33
	units try "$DEV" 936 1063 200 >story
	injectors probability=0
	[ "$(cat /sys/kernel/debug/failslab/times)" -lt 999990 ] || fail "no allocation failed"
	units check "$DEV" story
	gives "wrote 2 of 2 regions" checkpoint message checkpoint
	units write "$DEV" 936 1063 50 >>story
	dm remove r
	create r "$TABLE"
	units check "$DEV" story
}
