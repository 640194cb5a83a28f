# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Bad input: each has a named reason and changes nothing.

disks() {
	two_disks
}

# no_table REASON ARGUMENTS...: a table with these arguments is refused.
no_table() {
	local reason=$1
	shift
	refused "$reason" dm create r "0 131072 remap $*"
	dmsetup ls | grep -q '^No devices' || fail "a device was left"
}

test_argument_counts() {
	disks
	no_table "too few arguments" ""
	no_table "too few arguments" /dev/main 0 /dev/spare 0
	no_table "arguments follow the last feature" /dev/main 0 /dev/spare 0 16384 0 x
}

test_not_a_number() {
	disks
	no_table "main start is not a number of sectors" /dev/main x /dev/spare 0 16384
	no_table "main start is not a number of sectors" /dev/main -1 /dev/spare 0 16384
	no_table "spare start is not a number of sectors" /dev/main 0 /dev/spare 0x8 16384
	no_table "spare length is not a number of sectors" /dev/main 0 /dev/spare 0 8M
	no_table "feature count is not a number" /dev/main 0 /dev/spare 0 16384 many
}

test_overflow() {
	disks
	no_table "main start is not a number of sectors" /dev/main 18446744073709551616 /dev/spare 0 16384
	no_table "main device ends before the target does" /dev/main 18446744073709551615 /dev/spare 0 16384
	no_table "spare device ends before the spare area does" \
		/dev/main 0 /dev/spare 18446744073709551608 16
}

test_features() {
	disks
	no_table "unknown feature" /dev/main 0 /dev/spare 0 16384 1 turbo
	no_table "fewer features than the feature count says" /dev/main 0 /dev/spare 0 16384 1
	no_table "unit is not a number of bytes" /dev/main 0 /dev/spare 0 16384 2 unit 4k
	no_table "unit must be a power of two" /dev/main 0 /dev/spare 0 16384 2 unit 12288
	no_table "unit must be a power of two" /dev/main 0 /dev/spare 0 16384 2 unit 65536
	no_table "feature given twice" /dev/main 0 /dev/spare 0 16384 4 unit 4096 unit 4096
	create r "0 131072 remap /dev/main 0 /dev/spare 0 16384 0"
}

test_missing_devices() {
	disks
	no_table "cannot open main device" /dev/none 0 /dev/spare 0 16384
	no_table "cannot open spare device" /dev/main 0 /dev/none 0 16384
	no_table "cannot open main device" /dev/null 0 /dev/spare 0 16384
}

test_device_in_use() {
	disks
	mkfs.ext4 -q /dev/main
	mkdir /tmp/m
	mount /dev/main /tmp/m
	no_table "cannot open main device" /dev/main 0 /dev/spare 0 16384
	umount /tmp/m
}

test_too_small() {
	disks
	no_table "main device ends before the target does" /dev/main 8 /dev/spare 0 16384
	no_table "spare device ends before the spare area does" /dev/main 0 /dev/spare 8 16384
	local reason="spare area has no room for its metadata and one unit"
	no_table "$reason" /dev/main 0 /dev/spare 0 0
	no_table "$reason" /dev/main 0 /dev/spare 0 $((2 * REGION))
	no_table "$reason" /dev/main 0 /dev/spare 0 $((2 * REGION + 7))
	create r "0 131072 remap /dev/main 0 /dev/spare 0 $((2 * REGION + 8))"
}

test_zero_length_target() {
	disks
	fails dm create r "0 0 remap /dev/main 0 /dev/spare 0 16384"
}

test_spare_on_main() {
	disks
	no_table "spare area overlaps main" /dev/main 0 /dev/main 0 16384
	no_table "spare area overlaps main" /dev/main 0 /dev/main 126968 4104
	# Side by side on one disk they are fine.
	create r "0 65536 remap /dev/main 0 /dev/main 65536 8192"
	random one 1
	message remap 0 80
	put one
	holds one
}

test_partitions_of_one_disk() {
	load_module
	null_disk disk 64
	printf '2048,65536\n67584,16384\n' | sfdisk -q --no-tell-kernel /dev/disk
	partx -a /dev/disk
	# The kernel itself keeps a disk and a partition of it from being opened together.
	no_table "cannot open spare device" /dev/disk 0 /dev/disk1 0 16384
	no_table "main device ends before the target does" /dev/disk1 0 /dev/disk2 0 16384
	create r "0 65536 remap /dev/disk1 0 /dev/disk2 0 16384"
	random one 1
	message remap 0 80
	put one
	holds one
	equal one 0 /dev/disk $(((67584 + REGION) * 512)) 40960 || fail "the spare is not on its partition"
	dm remove r
	partx -d /dev/disk
}

test_misaligned_for_the_block() {
	load_module
	null_disk main 64 blocksize=4096
	null_disk spare 8
	local main="main start or length is not a multiple of the block size"
	local spare="spare start or length is not a multiple of the block size"
	refused "$main" dm create r "0 8000 remap /dev/main 1 /dev/spare 0 4800"
	refused "$main" dm create r "0 7999 remap /dev/main 0 /dev/spare 0 4800"
	refused "$spare" dm create r "0 8000 remap /dev/main 0 /dev/spare 1 4800"
	refused "$spare" dm create r "0 8000 remap /dev/main 0 /dev/spare 0 4801"
}

test_zoned_main() {
	load_module
	null_disk main 64 zoned=1 zone_size=4
	null_disk spare 8
	no_table "zoned devices are not supported" /dev/main 0 /dev/spare 0 16384
}

# no_message REASON WORDS...
no_message() {
	local reason=$1
	shift
	refused "$reason" message "$@"
	message reason | grep -qF -- "$reason" || fail "'reason' says: $(message reason)"
	gives "healthy 0/1536 0 0 0 0 0 rw 2/2 closed 0/0/0 ok stopped 0/16384" "state after '$*'" from 4 dm status r
}

test_unknown_messages() {
	remap_on
	gives "no message was refused" reason message reason
	no_message "unknown message 'frobnicate', see 'help'" frobnicate
	no_message "unknown message 'PING', see 'help'" PING
	no_message "unknown message 'look', see 'help'" look start
}

test_message_arguments() {
	remap_on
	no_message "argument missing: want 'remap <sector> [<sectors>] [lossy]'" remap
	no_message "'x' is not a number" remap x
	no_message "too many arguments" remap 1 2 3
	no_message "nothing to do for zero sectors" remap 8 0
	no_message "argument missing: want 'unremap <sector>'" unremap
	no_message "too many arguments: want 'ping'" ping pong
	no_message "'8s' is not a number" unremap 8s
}

test_sectors_out_of_range() {
	remap_on
	no_message "sector 131072 is outside this target" remap 131072
	no_message "sector 131072 is outside this target" remap 131071 2
	no_message "is outside this target" remap 8 18446744073709551615
	no_message "'18446744073709551616' is not a number" remap 18446744073709551616
	no_message "sector 131072 is outside this target" unremap 131072
	no_message "sector 131072 is outside this target" retest 131072
}

test_unremap_what_is_not_relocated() {
	remap_on
	no_message "sector 8 is not relocated" unremap 8
}

test_long_answers_are_whole() {
	remap_on 1024
	message remap 2000000 8800 >/dev/null
	# Who asks comes again with more room than 16 KiB.
	message list >/tmp/first
	[ "$(stat -c %s /tmp/first)" -gt 16384 ] || fail "the answer is too short for this test"
	same 1001 "$(wc -l </tmp/first)" "lines of a long list"
	same "more from 2008000" "$(tail -1 /tmp/first)" "last line"
	message list 2008000 >rest
	same 100 "$(wc -l <rest)" "lines of the rest"
	same 1100 "$(grep -vh more /tmp/first rest | sort -u | wc -l)" units
}

test_help_lists_what_works() {
	remap_on
	local name
	for name in $(message help | sed 's/[: ].*//'); do
		case $name in
		remap | unremap | retest) message "$name" 8 >/dev/null || [ "$name" = retest ] ;;
		*) message "$name" >/dev/null ;;
		esac
	done
	message ping | grep -qx pong || fail "ping"
}
