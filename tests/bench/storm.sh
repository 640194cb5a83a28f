#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A disk on which 200 sectors fail, each after two seconds: the time of queries, and that of reads of
# good sectors, without and with I/O to the bad ones.

# shellcheck source=tests/bench/disks.sh
. /payload/disks.sh
set -eu
cd /tmp
insmod "$MODULES/dm_remap.ko"
DEV=/dev/mapper/r

BAD=200
# A bad sector in every 64 KiB of the first part of main; readers use the rest.
STRIDE=128
END=131072
FIRST_GOOD=$((BAD * STRIDE * 512))
SECONDS_EACH=10

# A disk that takes 0.1 ms for each request.
null_disk disk 64 irqmode=2 completion_nsec=100000 hw_queue_depth=256
null_disk spare 8
# One that fails, after two seconds.
null_disk slow 64 memory_backed=0 irqmode=2 completion_nsec=2000000000 hw_queue_depth=1024
bad slow 0 $((END - 1))
awk -v bad=$BAD -v stride=$STRIDE -v end=$END 'BEGIN {
	for (i = 0; i < bad; i++) {
		at = i * stride + 37
		print next_at + 0, at - next_at, "linear /dev/disk", next_at + 0
		print at, 1, "linear /dev/slow", at
		next_at = at + 1
	}
	print next_at, end - next_at, "linear /dev/disk", next_at
}' | dmsetup create main
dmsetup create r --table "0 $END remap /dev/mapper/main 0 /dev/spare 0 16384 3 breaker 0 0"

# others: the 99th percentile of the latency of 4 KiB reads of good sectors, in microseconds, and how
# many a second.
others() {
	fio --name=o --filename="$DEV" --offset=$FIRST_GOOD --ioengine=libaio --direct=1 --rw=randread \
		--bs=4k --iodepth=8 --randseed=1 --runtime="$SECONDS_EACH" --time_based --minimal |
		awk -F';' '{ sub(/.*=/, "", $30); print $30, $8 }'
}

# at_bad WAY FIRST COUNT: reads or writes so many bad sectors, each with its neighbours, all at once.
at_bad() {
	fio --name=b --filename="$DEV" --offset=$(($2 * STRIDE * 512)) --size=$(($3 * STRIDE * 512)) \
		--ioengine=libaio --direct=1 --rw="$1" --bs=32k --blockalign=$((STRIDE * 512)) \
		--iodepth="$3" --minimal >/dev/null 2>&1 || true
}

# queries: the longest of a thousand of each query, in microseconds.
queries() {
	local query longest
	for query in status table stats info list suspects scan numa cache debug ping; do
		longest=$(worst 1000 r $query)
		echo "$query $longest"
	done
}

queries >quiet
without=$(others)
# Reads fail again and again; the first write of each unit moves it.
while true; do at_bad randread $((BAD / 2)) $((BAD / 2)); done &
reader=$!
at_bad randwrite 0 $((BAD / 2)) &
until message stats | grep -q "^read_errors [1-9]"; do sleep 0.1; done
queries >busy
with=$(others)
kill $reader
echo "== The longest of 1000 queries in microseconds, without and with $BAD bad sectors in use"
join quiet busy
echo "== Reads of good sectors, alternately without and with them"
echo "$without $with" | awk '{ printf "99 %% within %d and %d us, %d and %d a second\n", $1, $3, $2, $4 }'
message stats | grep "^read_errors\|^write_errors\|^relocated"
