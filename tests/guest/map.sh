# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
# The map: what goes where, and how bios are cut.

# A 4 MiB pattern over units relocated as the arguments say, written and read in 1 MiB bios.
pattern_over() {
	remap_on
	random one 4
	random two 4
	put one
	local units=("$@") unit
	for unit in "${units[@]}"; do message remap $((unit * 8)); done
	gives "${#units[@]}" remapped stat_of remapped
	holds one
	put two
	holds two
	[ "$(stat_of redirected)" -ge "${#units[@]}" ] || fail "nothing was redirected"
}

test_empty_map_passes() {
	remap_on
	random one 4
	put one
	holds one
	equal one 0 /dev/main 0 4194304
	gives 0 redirected stat_of redirected
}

test_twenty_adjacent_units() { pattern_over $(seq 20 39); }
test_alternating_units() { pattern_over $(seq 1 2 40); }
test_both_ends_of_a_bio() { pattern_over 0 255 256 511 512 767; }
test_first_and_last_unit_of_device() {
	remap_on 4
	random one 4
	put one
	message remap 0
	message remap 8191
	holds one
	random two 4
	put two
	holds two
	gives 2/1536 "units used" field 2
}

test_unaligned_bios() {
	remap_on
	random one 2
	put one
	message remap 808 240
	# 1 MiB in pieces that begin and end within units.
	random two 1
	put two 3 7680
	copy_sectors two 0 one 3 2048
	holds one
	reads 805 333 one 805 || fail "an unaligned read is wrong"
}

test_relocated_data_are_not_on_main() {
	remap_on
	random one 1
	put one
	message remap 800
	random two 1
	put two
	equal two 409600 /dev/main 409600 4096 && fail "main was written under a relocated unit"
	equal one 409600 /dev/main 409600 4096 || fail "main was touched under a relocated unit"
	equal two 0 /dev/main 0 409600
	holds two
}

test_single_sectors_of_a_unit() {
	remap_on
	random one 1
	put one
	message remap 80
	local s
	for s in 80 83 87; do
		sample sector 512
		put sector $s
		copy_sectors sector 0 one $s 1
	done
	holds one
}

test_4k_logical_blocks() {
	load_module
	null_disk main 64 blocksize=4096
	null_disk spare 8
	create r "0 131072 remap /dev/main 0 /dev/spare 0 16384"
	gives 4096 "logical block" blockdev --getss "$DEV"
	random one 4
	put one
	message remap 800 80
	holds one
	put one
	holds one
	message info | grep -q "block: 4096 bytes" || fail "block size in info"
}

test_4k_spare_raises_the_block() {
	load_module
	null_disk main 64
	null_disk spare 8 blocksize=4096
	create r "0 131072 remap /dev/main 0 /dev/spare 0 16384"
	gives 4096 "logical block" blockdev --getss "$DEV"
	gives 4096 "physical block" blockdev --getpbsz "$DEV"
	message info | grep -q "block: 4096 bytes" || fail "block size in info"
	random one 2
	message remap 8 16
	put one
	holds one
}

test_limits_are_stacked() {
	load_module
	null_disk main 64 max_sectors=64
	null_disk spare 8 max_sectors=32
	create r "0 131072 remap /dev/main 0 /dev/spare 0 16384"
	gives 4096 "physical block" blockdev --getpbsz "$DEV"
	gives 16 "max_hw_sectors_kb" attribute queue/max_hw_sectors_kb
	random one 2
	message remap 800 80
	put one
	holds one
}

test_limits_of_main_are_stacked() {
	load_module
	null_disk main 64 max_sectors=32
	null_disk spare 8 max_sectors=64
	create r "0 131072 remap /dev/main 0 /dev/spare 0 16384"
	gives 16 "max_hw_sectors_kb" attribute queue/max_hw_sectors_kb
}

test_main_and_spare_offsets() {
	two_disks
	create r "0 65536 remap /dev/main 4099 /dev/spare 1001 8192"
	random one 4
	put one
	equal one 0 /dev/main $((4099 * 512)) 4194304 || fail "main offset"
	message remap 800 8
	random two 1
	put two
	cp one want
	copy_sectors two 0 want 0 2048
	holds want
	equal two $((800 * 512)) /dev/spare $(((1001 + REGION) * 512)) 4096 || fail "spare offset"
	gives "800 3049 8/8" list message list
}

test_several_targets_in_a_table() {
	two_disks
	create r "0 8192 remap /dev/main 0 /dev/spare 0 8192\n8192 4096 linear /dev/main 8192\n12288 8192 remap /dev/main 12288 /dev/spare 8192 8192"
	random one 10
	put one
	equal one 0 /dev/main 0 10485760 || fail "the targets are not side by side"
	message remap 100
	dm message r 12288 remap 12300
	fails message remap 12300
	holds one
	random one 10
	put one
	holds one
	gives "96 2048 8/8" "list of the first" dm message r 0 list
	gives "12296 10240 8/8" "list of the second" dm message r 12288 list
}

test_short_last_unit() {
	load_module
	null_disk main 4
	null_disk spare 8
	create r "0 8189 remap /dev/main 0 /dev/spare 0 16384"
	sample one $((8189 * 512))
	put one
	message remap 8188
	gives "8184 2048 5/5" list message list
	holds one
	sample one $((8189 * 512))
	put one
	holds one
}

# A tree of small files and one of large ones.
test_buffered_file_system() {
	local tree trees=(/usr/share/perl5 /usr/lib/x86_64-linux-gnu/systemd)
	remap_on 64 8
	mkfs.ext4 -q "$DEV"
	mkdir /tmp/m
	mount "$DEV" /tmp/m
	cp -r "${trees[@]}" /tmp/m/
	message remap 0 1600
	sync
	echo 3 >/proc/sys/vm/drop_caches
	for tree in "${trees[@]}"; do diff --no-dereference -r "$tree" "/tmp/m/${tree##*/}"; done
	umount /tmp/m
	e2fsck -fn "$DEV"
}

# The filter's regions are many units there.
test_units_far_apart_on_a_large_device() {
	local end=$((1 << 33)) sector
	load_module
	null_disk main $((end >> 11)) memory_backed=0
	null_disk spare 8
	create r "0 $end remap /dev/main 0 /dev/spare 0 16384"
	random one 1
	set -- 0 $(((1 << 32) + 4096)) $(((1 << 32) + 4104)) $((end - 8))
	for sector; do
		message remap "$sector"
		part one $((sector % 1000)) 8 >"unit$sector"
		put "unit$sector" "$sector"
	done
	gives 4 "writes to the spare" stat_of redirected
	for sector; do
		reads "$sector" 8 "unit$sector" || fail "the unit at $sector"
	done
	get $(((1 << 32) + 3584)) 1024 >large
	equal large $((512 * 512)) "unit$2" 0 4096 || fail "a unit within a large read"
	equal large $((520 * 512)) "unit$3" 0 4096 || fail "the unit behind it"
	gives 10 "pieces to the spare" stat_of redirected
	get 16 8 >large
	get $(((1 << 32) + 4088)) 8 >large
	gives 10 "reads beside them go to main" stat_of redirected
}
