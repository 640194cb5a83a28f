# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
# Disks that are gone, and not bad: no spare unit is used for them.

# no_unit_used: whatever failed.
no_unit_used() {
	local words
	words=$(field 2)
	same 0 "${words%/*}" "units used"
}

#@ disks=scsi:64M,scsi:16M
test_a_scsi_disk_is_offline() {
	load_module
	create r "0 131072 remap /dev/disk0 0 /dev/disk1 0 32768"
	random one 1
	put one
	local disk
	disk=$(readlink /dev/disk0)
	echo offline >"/sys/block/$disk/device/state"
	fails put one 2048
	fails get 0 8
	no_unit_used
	echo running >"/sys/block/$disk/device/state"
	message rearm
	put one 2048
	reads 0 2048 one || fail "what was written before"
	gives "0/3584 closed" "afterwards" field 2 10
}

# ten_units_moved: r over two disks, ten units of which are on the spare, and the file `one` on it.
ten_units_moved() {
	load_module
	create r "0 131072 remap /dev/disk0 0 /dev/disk1 0 32768"
	message remap 800 80
	random one 1
	put one
}

#@ disks=scsi:64M,scsi:16M pull=0
test_main_is_pulled() {
	ten_units_moved
	fio --name=w --filename="$DEV" --ioengine=libaio --direct=1 --rw=randrw --bs=4k --size=32M --iodepth=8 \
		--time_based --runtime=60 --minimal >fio.log 2>&1 &
	pulled /dev/disk0
	wait $! || true
	fails put one 2048
	gives 10/3584 "units used" field 2
	# What is on the spare is there still.
	reads 800 80 one 800 || fail "units on the spare"
	fails get 880 8
}

#@ disks=scsi:64M,scsi:16M pull=1
test_the_spare_is_pulled() {
	ten_units_moved
	pulled /dev/disk1
	# What was moved cannot be had, and main's old copy is not shown for it.
	fails get 800 8
	fails copy_sectors one 0 "$DEV" 800 8
	# All else works.
	reads 0 800 one 0 || fail "units on main"
	put one 2048
	reads 2048 2048 one || fail "a write to main"
}

# turn: from now on the disk fails all writes, or it takes them again.
turn() { blkdiscard -f -z -o 60M -l 4096 /dev/disk0 2>/dev/null || true; }

# Reads go on, so only a write to the copies of the metadata on main tells.
#@ disks=nvme:64M:turns
test_main_turns_read_only() {
	load_module
	null_disk spare 8
	remapctl format /dev/disk0 /dev/spare --main-metadata
	create r "0 126968 remap /dev/disk0 0 /dev/spare 0 16384"
	gives 4/4 regions field 9
	random one 1
	put one
	turn
	fails copy_sectors one 0 /dev/disk0 120000 8
	fails put one 2048
	no_unit_used
	gives "tripped open 2/4" "while it cannot be written" field 1 10 9
	kmsg has "nothing on main can be written" || fail "nothing in the kernel log"
	reads 0 2048 one || fail "what was written before"
	turn
	message rearm
	put one 2048
	reads 2048 2048 one || fail "a write afterwards"
	message checkpoint
	gives "4/4 closed" "afterwards" field 9 10
	no_unit_used
}

#@ idle=1
test_main_does_not_answer_in_time() {
	two_disks
	echo 1000 >/sys/block/main/queue/io_timeout
	create r "0 131072 remap /dev/main 0 /dev/spare 0 16384"
	random one 1
	put one
	echo -1 >"$NULLB/main/timeout_inject/times"
	echo 100 >"$NULLB/main/timeout_inject/probability"
	if put one 2048 2>said; then fail "a write that is not answered"; fi
	grep -q "timed out" said || fail "$(cat said)"
	fails get 0 8
	echo 0 >"$NULLB/main/timeout_inject/probability"
	no_unit_used
	gives "healthy closed 0" "health, breaker and suspects" field 1 10 4
	holds one
	put one 2048
	reads 2048 2048 one || fail "a write afterwards"
}
