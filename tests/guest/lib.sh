# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the guest tests share. A test fails when a command in it does, or when
# the kernel complains.

NULLB=/sys/kernel/config/nullb
DEV=/dev/mapper/r
# Sectors of a region of metadata on a small spare; behind the first begin the spare's units.
# shellcheck disable=SC2034
REGION=2048

# run_test FUNCTION: runs it and takes everything down. Another test may run in this guest unless there are traces.
run_test() {
	cd /tmp || exit
	echo 7 >/proc/sys/kernel/printk
	"$1"
	take_down
	if [ -e /run/traces ]; then
		give_back
		as_new || exit 195
	fi
}

# begin_anew: the module and the disks of most tests, and what a guest is like that no test has run in.
begin_anew() {
	two_disks
	traces >/run/traces
}

# as_new: whether the guest is again as it was before the test.
as_new() {
	local disk node was is
	kill -KILL -1 2>/dev/null
	remove_modules || return
	for disk in "$NULLB"/*/; do folder remove "$disk"; done
	for node in /dev/mapper/*; do [ "$node" = /dev/mapper/control ] || folder remove "$node"; done
	if [ -d /dev/disk ]; then rm -r /dev/disk /dev/block; fi
	folder empty /tmp /root
	kmsg clear
	two_disks
	traces >/tmp/traces
	mapfile was </run/traces
	mapfile is </tmp/traces
	[ "${was[*]}" = "${is[*]}" ] || { diff /run/traces /tmp/traces; false; }
}

# give_back: has the host take its disks out.
give_back() {
	local disk
	if [ ! -h /dev/disk0 ]; then return; fi
	echo "give back"
	for disk in /dev/disk[0-9]*; do
		if [[ $(readlink "$disk") = nvme* ]]; then spent; else gone "$disk"; fi
		folder remove "$disk"
	done
}

# remove_modules: all, the newest first.
remove_modules() {
	local loaded module
	mapfile -t loaded </proc/modules
	for module in "${loaded[@]%% *}"; do rmmod "$module" || return; done
}

# traces: what a test could leave.
traces() {
	local mounts swaps
	mapfile -t mounts </proc/mounts
	mapfile -t swaps </proc/swaps
	printf '%s\n' "${mounts[@]}" "${swaps[@]}" /sys/module/* /sys/block/* "$NULLB"/* /dev/* /dev/mapper/* /mnt/* /run/spent*
}

# spent: the guest cannot be made as new again.
spent() { : >/run/spent; }

fail() {
	echo "FAILED: $*"
	exit 1
}

# same WANT GOT WHAT
same() {
	[ "$1" = "$2" ] || fail "$3: want '$1', got '$2'"
}

# gives WANT WHAT COMMAND...: the command prints just that. It runs in this shell, where $(...) would be a process.
gives() {
	local want=$1 what=$2 lines IFS
	shift 2
	"$@" >/tmp/given
	mapfile -t lines </tmp/given
	IFS=$'\n'
	same "$want" "${lines[*]}" "$what"
}

# refused PATTERN COMMAND...: the command fails, and the last lines of the kernel log say why.
refused() {
	local pattern=$1
	shift
	kmsg clear
	if "$@" >/tmp/refused 2>&1; then fail "not refused: $*"; fi
	kmsg has "$pattern" || {
		dmesg | tail -5
		fail "no reason '$pattern' for: $*"
	}
}

load_module() {
	[ -d /sys/module/dm_remap ] || insmod "$MODULES/dm_remap.ko"
}

# null_disk NAME MEGABYTES [ATTRIBUTE=VALUE...]: /dev/NAME, in memory, with settable bad sectors. The machine
# may have been saved with it.
null_disk() {
	local name=$1 size=$2 pair
	shift 2
	if [ -d "$NULLB/$name" ]; then
		if [ $# = 0 ] && [ "$(<"$NULLB/$name/size")" = "$size" ]; then return; fi
		folder remove "$NULLB/$name"
	fi
	folder make "$NULLB/$name"
	echo 1 >"$NULLB/$name/memory_backed"
	echo "$size" >"$NULLB/$name/size"
	for pair in "$@"; do echo "${pair#*=}" >"$NULLB/$name/${pair%%=*}"; done
	echo 1 >"$NULLB/$name/power"
	[ -b "/dev/$name" ] || fail "no /dev/$name"
}

# scsi_disk [PARAMETER=VALUE...]: a disk of scsi_debug, 64 MiB; prints its name.
scsi_disk() {
	insmod "$MODULES/crc-t10dif.ko"
	insmod "$MODULES/scsi_debug.ko" dev_size_mb=64 delay=0 "$@"
	basename /sys/bus/pseudo/drivers/scsi_debug/adapter*/host*/target*/*/block/*
}

# bad DISK FIRST LAST: reads and writes of these sectors fail. good: they work again.
bad() { echo "+$2-$3" >"$NULLB/$1/badblocks"; }
good() { echo "-$2-$3" >"$NULLB/$1/badblocks"; }

# two_disks [MAIN_MEGABYTES [SPARE_MEGABYTES]]: the module, /dev/main and /dev/spare.
two_disks() {
	load_module
	null_disk main "${1:-64}"
	null_disk spare "${2:-8}"
}

# remap_on [MAIN_MEGABYTES [SPARE_MEGABYTES [FEATURES]]]: the device r over two null_blk disks.
remap_on() {
	local main=${1:-64} spare=${2:-8}
	two_disks "$main" "$spare"
	create r "0 $((main * 2048)) remap /dev/main 0 /dev/spare 0 $((spare * 2048)) ${3:-}"
}

# create NAME TABLE: a table may have several lines.
create() {
	local table lines
	printf -v table %b "$2"
	mapfile -t lines <<<"$table"
	dm create "$1" "${lines[@]}"
	[ -b "/dev/mapper/$1" ] || fail "no /dev/mapper/$1"
}

# replace NAME LINE...: gives a device another table.
replace() {
	dm load "$@"
	dm suspend "$1"
	dm resume "$1"
}

# hold_entries COUNT EVERY: gives the array on /dev/main and /dev/spare, which is not active, so many entries, of every
# EVERYth unit.
hold_entries() {
	remapctl dump /dev/main /dev/spare >kept
	awk -v n="$1" -v every="$2" '
		/"relocated": \[/ {
			print "  \"relocated\": ["
			for (i = 0; i < n; i++)
				printf "{\"unit\":%d,\"spare\":%d,\"valid\":\"ff\"}%s\n", every * i, i, i < n - 1 ? "," : ""
			print "  ],"
			skip = 1
		}
		skip && /\],/ { skip = 0; next }
		!skip' kept >bigger
	remapctl restore /dev/main /dev/spare bigger --force "$(sed -n 's/.*"array": "\(.*\)".*/\1/p' kept)" >/dev/null
}

# wipe DISK: zeroes, so that a spare of at most 8 MiB is formatted anew.
wipe() { zeroes "/dev/$1" 0 16384; }

# power_cut DISK...: what is in their caches is lost, while r uses them.
power_cut() {
	local disk
	for disk; do echo 0 >"$NULLB/$disk/power"; done
	dm remove r
	for disk; do echo 1 >"$NULLB/$disk/power"; done
}

# attribute FILE: what r has in that file of its folder in sysfs.
attribute() {
	local block name value
	for block in /sys/block/dm-*; do
		read -r name <"$block/dm/name"
		if [ "$name" = r ]; then
			read -r value <"$block/$1"
			echo "$value"
		fi
	done
}
# commits: the number of the last commit. events: how many there were.
commits() { message info | sed -n 's/^metadata: .* commit //p'; }
events() { dm events r; }
# disk_stat N DISK: the Nth number that the kernel counts of a disk (Documentation/block/stat.rst of the kernel).
disk_stat() {
	local fields
	read -ra fields <"/sys/block/$2/stat"
	echo "${fields[$1 - 1]}"
}
sectors() { blockdev --getsz "$1"; }
message() { dm message r 0 "$@"; }
# line_of MESSAGE NAME: what follows the name in what is answered.
line_of() {
	local lines line
	message "$1" >/tmp/answer
	mapfile -t lines </tmp/answer
	for line in "${lines[@]}"; do
		[[ $line != "$2 "* ]] || echo "${line#"$2 "}"
	done
}
# stat_of NAME: one of the counters.
stat_of() { line_of stats "$1"; }
# asked VARIABLE COMMAND...: sets the variable to the line that the command prints, without the process that $(...) is.
asked() {
	local asked_for=$1
	shift
	"$@" >/tmp/asked
	read -r "${asked_for?}" </tmp/asked
}
# until_is WANT COMMAND...: waits until the command prints that.
until_is() {
	local want=$1 got
	shift
	until asked got "$@" && [ "$got" = "$want" ]; do sleep 0.25; done
}
# from N COMMAND...: what the command prints, from its Nth word on.
from() {
	local first=$1 words
	shift
	"$@" >/tmp/whole
	read -ra words </tmp/whole
	echo "${words[*]:first - 1}"
}
# field N...: those fields of the status of r, of which the first is behind the target's name.
field() { field_of r "$@"; }
# field_of NAME N...
field_of() {
	local words fields=() number
	dm status "$1" >/tmp/status
	shift
	read -ra words </tmp/status
	for number; do fields+=("${words[number + 2]}"); done
	echo "${fields[*]}"
}

# random FILE MEGABYTES, sample FILE BYTES: some of the 32 MiB that the machine was saved with.
random() { sample "$1" $(($2 << 20)); }
sample() {
	: >"$1"
	copy /run/random $((RANDOM * 512)) "$1" 0 "$2" 1048576
}
# put FILE [SECTOR [BYTES]]: writes a file to r, in bios of 1 MiB or BYTES where that is possible.
put() {
	local size
	size size "$1"
	copy "$1" 0 "$DEV" "$((${2:-0} * 512))" "$size" "${3:-1048576}"
}
# get SECTOR SECTORS: reads from r without the page cache.
get() { copy "$DEV" $(($1 * 512)) - 0 $(($2 * 512)) $(($2 * 512)); }
# copy_sectors FROM SECTOR TO SECTOR SECTORS: files or disks, of which neither is cut. zeroes TO SECTOR SECTORS,
# junk TO SECTOR SECTORS: what may be there instead.
copy_sectors() { copy "$1" $(($2 * 512)) "$3" $(($4 * 512)) $(($5 * 512)) 1048576; }
zeroes() { copy_sectors /dev/zero 0 "$@"; }
junk() { copy_sectors /run/random $RANDOM "$@"; }
# part FILE SECTOR SECTORS
part() { copy "$1" $(($2 * 512)) - 0 $(($3 * 512)) $(($3 * 512)); }
# reads SECTOR SECTORS FILE [AT]: r has there what the file has from its sector AT on.
reads() { equal "$DEV" $(($1 * 512)) "$3" $((${4:-0} * 512)) $(($2 * 512)); }
# holds FILE: r begins with what the file has.
holds() {
	local size
	size size "$1"
	equal "$DEV" 0 "$1" 0 "$size" || fail "r does not hold $1"
}
# fails COMMAND...
fails() {
	if "$@" >/dev/null 2>&1; then fail "should have failed: $*"; fi
}

# pulled DISK: has the host take the disk out, which it does when it reads the word.
pulled() {
	echo pull
	gone "$1"
}
# gone DISK: waits until the host has taken it out.
gone() {
	local disk
	disk=$(readlink "$1")
	while [ -e "/sys/block/$disk" ]; do sleep 0.1; done
}

# injectors [NAME=VALUE...]: how allocations of the slab and of pages are made to fail.
injectors() {
	local injector pair
	spent
	for injector in failslab fail_page_alloc; do
		for pair in verbose=0 ignore-gfp-wait=N "$@"; do
			echo "${pair#*=}" >"/sys/kernel/debug/$injector/${pair%%=*}"
		done
	done
	echo 0 >/sys/kernel/debug/fail_page_alloc/min-order
}

# workers_fail PERCENT: so many of the allocations of the kernel's workers fail.
workers_fail() {
	local task name
	injectors task-filter=Y times=1000000 "probability=$1"
	for task in /proc/[0-9]*; do
		read -r name <"$task/comm"
		[[ $name != kworker/* ]] || echo 1 >"$task/make-it-fail"
	done
}

# no_nodes: no memory for nodes of maps. nodes_again: there is.
no_nodes() {
	spent
	echo 1 >/sys/kernel/slab/dm_remap_node/failslab
	for pair in cache-filter=Y ignore-gfp-wait=N probability=100 interval=1 times=-1 verbose=0; do
		echo "${pair#*=}" >"/sys/kernel/debug/failslab/${pair%%=*}"
	done
}
nodes_again() { echo 0 >/sys/kernel/debug/failslab/probability; }

# What is left of the disks goes with the machine, and the module if nothing holds it.
take_down() {
	cd /
	dm remove_all
	if [ -d /sys/module/dm_remap ]; then
		# A scan ends soon after its device.
		local users _
		for _ in {1..50}; do
			read -r users </sys/module/dm_remap/refcnt
			if [ "$users" = 0 ]; then return; fi
			sleep 0.1
		done
		same 0 "$users" "users of the module"
	fi
}

# Fails if memory is leaked. kmemleak overlooks single objects, to which stale pointers are left, so
# this says something only after hundreds of cycles of what might leak.
no_leak() {
	echo scan >/sys/kernel/debug/kmemleak
	echo scan >/sys/kernel/debug/kmemleak
	if grep -q . /sys/kernel/debug/kmemleak; then
		head -60 /sys/kernel/debug/kmemleak
		fail "memory leaked"
	fi
}
