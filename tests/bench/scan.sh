#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The cost of a scan: the reads of clients with and without it, the CPU time of its thread without
# clients, and its memory on large disks. The clock of the guest counts instructions, so that only
# the scan makes a difference.

# shellcheck source=tests/bench/disks.sh
. /payload/disks.sh
set -eu
cd /tmp
insmod "$MODULES/dm_remap.ko"
DEV=/dev/mapper/r

SECONDS_EACH=8
# A disk that takes 0.1 ms for each request.
null_disk main 4096 memory_backed=0 irqmode=2 completion_nsec=100000
null_disk spare 8
dmsetup create r --table "0 $(sectors /dev/main) remap /dev/main 0 /dev/spare 0 16384"

# others: the reads of clients a second, and the 99th percentile of their latency in microseconds.
others() {
	fio --name=o --filename="$DEV" --ioengine=libaio --direct=1 --rw=randread --bs=4k --iodepth=32 \
		--randseed=1 --runtime="$SECONDS_EACH" --time_based --minimal |
		awk -F';' '{ sub(/.*=/, "", $30); print $8, $30 }'
}

# busy: the busy time of the CPU in hundredths of a second.
busy() { awk '{ print ($1 - $2) * 100 }' /proc/uptime; }
# busy_in SECONDS
busy_in() {
	local before
	before=$(busy)
	sleep "$1"
	echo "$(busy) $before" | awk '{ print $1 - $2 }'
}

echo "== Reads of clients, alternately without and with a scan"
for _ in 1 2; do
	without=$(others)
	message scan start >/dev/null
	with=$(others)
	message scan pause >/dev/null
	echo "$without $with"
done | awk '{
	printf "%d and %d a second, 99 %% within %d and %d us\n", $1, $3, $2, $4
	a += $1; b += $3; c += $2; d += $4
} END { printf "with a scan: %.4f of the rate, and %.4f of the 99th percentile\n", b / a, d / c }'
message scan | grep "^rate"

echo "== The scan alone"
without=$(busy_in 60)
message scan start >/dev/null
sleep 10
echo "$(busy_in 60) $without" | awk '{ printf "%.2f %% of a CPU\n", ($1 - $2) / 60 }'
message scan | grep "^rate"
message scan stop >/dev/null
dmsetup remove r

# free: kilobytes of free memory.
free() {
	local cache
	sleep 2
	echo 3 >/proc/sys/vm/drop_caches
	for cache in /sys/kernel/slab/*/shrink; do echo 1 >"$cache"; done
	# The free pages in the lists of the CPUs are not in MemFree.
	awk '$1 == "MemFree:" { free = $2 } $1 == "count:" { free += 4 * $2 } END { print free }' \
		/proc/meminfo /proc/zoneinfo
}

# memory_of TERABYTES: the memory of targets of that size, and of their scans; the mean of eight.
memory_of() {
	local at sectors=$(($1 << 31)) empty made scanning
	null_disk huge $((8 * $1 << 20)) memory_backed=0
	for at in 1 2 3 4 5 6 7 8; do null_disk "small$at" 64; done
	empty=$(free)
	for at in 1 2 3 4 5 6 7 8; do
		dmsetup create "t$at" \
			--table "0 $sectors remap /dev/huge $(((at - 1) * sectors)) /dev/small$at 0 131072"
	done
	made=$(free)
	for at in 1 2 3 4 5 6 7 8; do dmsetup message "t$at" 0 scan start >/dev/null; done
	sleep 10
	scanning=$(free)
	echo "$1 TiB: $(((empty - made) / 8)) KiB for a target," \
		"$(((made - scanning) / 8)) KiB for its scan"
	for at in 1 2 3 4 5 6 7 8; do dmsetup remove "t$at"; done
	for at in 1 2 3 4 5 6 7 8; do remove_disk "small$at"; done
	remove_disk huge
}

echo "== Memory"
# The first target allocates the shared memory.
memory_of 1 >/dev/null
memory_of 1
memory_of 16
memory_of 64
