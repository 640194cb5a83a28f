# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
# Main and spare are partitions: nothing is read or written outside of them, whatever fails.

# Where they begin on the disk /dev/whole. Behind what r maps of main is room for two copies of the
# metadata.
MAIN=4096
SPARE=81920
# The table of r.
TABLE="0 65536 remap /dev/whole1 0 /dev/whole2 0 16384"

# outside: what the disk has before, between and behind them. The partition table is in its sector
# 0.
outside() {
	part /dev/whole 0 4096
	part /dev/whole 73736 8184
	part /dev/whole 98304 8192
}
# unchanged: that is as it was, also what the kernel has of it.
unchanged() {
	outside >is
	equal was 0 is 0 8388608 || fail "outside of the partitions: $(cmp was is)"
}

# partitioned [ATTRIBUTE=VALUE...]: r on two partitions of a disk that is full of other data, and
# /tmp/one in its first 32 MiB.
partitioned() {
	load_module
	null_disk whole 52 "$@"
	local at
	for at in 0 26624 53248 79872; do junk /dev/whole $at 26624; done
	printf '%s,69640\n%s,16384\n' $MAIN $SPARE | sfdisk -q --no-tell-kernel /dev/whole
	zeroes /dev/whole $SPARE 16384
	partx -a /dev/whole
	outside >was
	remapctl format /dev/whole1 /dev/whole2 --main-metadata --force main-tail >/dev/null
	create r "$TABLE"
	copy /run/random 0 one 0 33554432 1048576
	put one
}
# bad_main FIRST LAST, bad_spare FIRST LAST: sectors of a partition fail.
bad_main() { bad whole $((MAIN + $1)) $((MAIN + $2)); }
bad_spare() { bad whole $((SPARE + $1)) $((SPARE + $2)); }
# on_main SECTOR FILE AT, on_spare SECTOR FILE AT: a unit of a partition has what the file has from
# its sector AT on.
on_main() { equal "$2" $(($3 * 512)) /dev/whole $(((MAIN + $1) * 512)) 4096 || fail "main at $1"; }
on_spare() { equal "$2" $(($3 * 512)) /dev/whole $(((SPARE + $1) * 512)) 4096 || fail "spare at $1"; }
finished() {
	unchanged
	dm remove r
	unchanged
	partx -d /dev/whole
}

test_bad_sectors_fail() {
	partitioned
	# There is something at the sectors of the disk that have these numbers.
	local sector
	for sector in 0 1003 4096 50000 65535; do
		bad_main $sector $sector
		fails get $sector 1
		fails get $((sector / 8 * 8)) 8
	done
	gives "0/1536 5" "units used and suspects" field 2 4
	good whole 0 106495
	holds one
	finished
}

test_what_fails_once_is_read_and_written() {
	partitioned badblocks_once=1
	local sector
	for sector in 0 1000 4096 50000 65528; do
		bad_main $sector $sector
		reads $sector 8 one $sector || fail "the read at $sector"
		bad_main $sector $sector
		sample two 4096
		copy_sectors two 0 one $sector 8
		put two $sector
		on_main $sector two 0
	done
	gives 0/1536 "units used" field 2
	gives 10 "what came through" stat_of transient
	holds one
	finished
}

test_relocation() {
	partitioned
	local sector unit=$REGION
	for sector in 0 1000 4096 50000 65528; do
		bad_main $sector $((sector + 7))
		sample two 4096
		copy_sectors two 0 one $sector 8
		put two $sector
		on_spare "$unit" two 0
		unit=$((unit + 8))
	done
	gives 5/1536 "units used" field 2
	holds one
	# A spare unit that cannot be written is passed over, one that cannot be read is an error.
	bad_spare "$unit" "$unit"
	bad_main 2000 2000
	put two 2000
	copy_sectors two 0 one 2000 8
	on_spare $((unit + 8)) two 0
	bad_spare "$REGION" "$REGION"
	fails get 0 8
	good whole $((SPARE + REGION)) $((SPARE + REGION))
	holds one
	finished
}

test_remap_and_unremap() {
	partitioned
	message remap 0 80 >/dev/null
	message remap 50000 >/dev/null
	on_spare "$REGION" one 0
	holds one
	sample two 40960
	copy_sectors two 0 one 0 80
	put two
	message unremap 0
	on_main 0 two 0
	# A part of a relocated unit that fails on the spare.
	bad_spare $((REGION + 8)) $((REGION + 8))
	fails get 8 1
	good whole $((SPARE + REGION)) $((SPARE + REGION + 80))
	holds one
	finished
}

test_zeroes_and_discards() {
	partitioned discard=1
	message remap 800 80 >/dev/null
	bad_main 1003 1003
	fallocate --zero-range --keep-size -o $((400 * 512)) -l $((800 * 512)) "$DEV"
	reads 400 800 /dev/zero || fail "zeroes"
	gives 11/1536 "units used" field 2
	zeroes one 400 800
	# The first is on main, the last on the spare.
	blkdiscard -o $((40000 * 512)) -l 65536 "$DEV"
	blkdiscard -o $((840 * 512)) -l 4096 "$DEV"
	reads 40000 128 /dev/zero || fail "what was discarded"
	zeroes one 40000 128
	holds one
	finished
}

test_scan() {
	partitioned
	local sector
	for sector in 0 1003 4096 50000 65535; do bad_main $sector $sector; done
	message scan rate 1000000 >/dev/null
	message scan start >/dev/null
	until_is stopped field 13
	gives 5 found stat_of scan_found
	gives 0/1536 "units used" field 2
	good whole 0 106495
	holds one
	finished
}

test_metadata() {
	partitioned
	gives 4/4 regions field 9
	message remap 0 800 >/dev/null
	message checkpoint >/dev/null
	message remap 800 >/dev/null
	replace r "$TABLE"
	gives 101/1536 "units used" field 2
	dm remove r
	unchanged
	# Those on the spare are gone, those on main make them again.
	zeroes /dev/whole $SPARE 8
	create r "$TABLE"
	gives 101/1536 "units used" field 2
	message remap 1600 >/dev/null
	holds one
	# A region that cannot be written.
	bad_spare 0 $((REGION / 2))
	message remap 2400 >/dev/null
	message checkpoint >/dev/null
	holds one
	finished
}

# io_of FILE DISK NAME: what a control group's io.stat counts of a disk.
io_of() { sed -n "s/^$(<"/sys/block/$2/dev") .*\<$3=\([0-9]*\).*/\1/p" "$1"; }

# What is tried again is done for whoever asked for it.
test_retries_belong_to_the_control_group() {
	null_disk main 64 badblocks_once=1
	remap_on
	mkdir -p /tmp/cgroup
	mount -t cgroup2 none /tmp/cgroup
	echo +io >/tmp/cgroup/cgroup.subtree_control
	mkdir /tmp/cgroup/some
	random one 1
	bad main 1000 1000
	bad main 2000 2000
	(
		echo "$BASHPID" >/tmp/cgroup/some/cgroup.procs
		get 1000 8 >/dev/null
		copy_sectors one 0 "$DEV" 2000 8
	) || fail "what fails once"
	gives 2 "what came through" stat_of transient
	same "2 8192" "$(io_of /tmp/cgroup/some/io.stat main rios) $(io_of /tmp/cgroup/some/io.stat main rbytes)" reads
	same "2 8192" "$(io_of /tmp/cgroup/some/io.stat main wios) $(io_of /tmp/cgroup/some/io.stat main wbytes)" writes
}
