#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The cost of commits: their rate, alone and grouped, beside the flush rate of the
# device, the bytes written for a commit with 10, 1000 and a million entries, and
# the time to read a million entries. Times are of this machine; compare ratios.

# shellcheck source=tests/bench/disks.sh
. /payload/disks.sh
set -eu
cd /tmp
insmod "$MODULES/dm_remap.ko"
DEV=/dev/mapper/r

now() { date +%s%N; }
# fio's writes a second.
rate() {
	fio --name=w --ioengine=libaio --direct=1 --rw=write --bs=4k --minimal "$@" | cut -d';' -f49
}
# The generation of the last commit.
commits() { message info | sed -n 's/^metadata: .* commit //p'; }
# Bytes written to the spare.
written() { awk '{ print $7 * 512 }' /sys/block/spare/stat; }

SLOW="cache_size=64 irqmode=2 completion_nsec=500000 hw_queue_depth=256"
echo "== Commits a second, on disks of 0.5 ms for each request"
# shellcheck disable=SC2086
null_disk main 64 $SLOW
# shellcheck disable=SC2086
null_disk spare 64 $SLOW
# shellcheck disable=SC2086
null_disk plain 64 $SLOW
dmsetup create r --table "0 131072 remap /dev/main 0 /dev/spare 0 131072 3 breaker 0 0"
bad main 0 65535
flushes=$(rate --filename=/dev/plain --size=2M --fsync=1)
alone=$(rate --filename="$DEV" --size=2M --iodepth=1)
first=$(commits)
grouped=$(rate --filename="$DEV" --offset=2M --size=4M --iodepth=32)
last=$(commits)
many=$(rate --filename="$DEV" --offset=8M --size=16M --iodepth=256)
echo "bare disk, a flush after each write   $flushes"
echo "relocated writes, one at a time       $alone"
echo "relocated writes, 32 at a time        $grouped"
echo "relocated writes, 256 at a time       $many"
echo "1024 relocations, 32 at a time, in $((last - first)) commits"
awk -v f="$flushes" -v a="$alone" -v g="$grouped" \
	'BEGIN { printf "alone %.2f, grouped %.2f of the flush rate\n", a / f, g / f }'
dmsetup remove r
for disk in main spare plain; do remove_disk "$disk"; done

echo "== A relocation by message, of 3200, without device time"
null_disk main 64
null_disk spare 64
dmsetup create r --table "0 131072 remap /dev/main 0 /dev/spare 0 131072"
begun=$(now)
message remap 0 25600
echo "$((($(now) - begun) / 3200)) ns"
dmsetup remove r
for disk in main spare; do remove_disk "$disk"; done

# A spare with room for two million units; only written sectors take memory.
null_disk main 16384
null_disk spare 8192
size=$(sectors /dev/spare)
table="0 $(sectors /dev/main) remap /dev/main 0 /dev/spare 0 $size"

echo "== Bytes of a commit, and the time to read all entries"
for count in 10 1000 1000000; do
	dmsetup create r --table "$table"
	dmsetup remove r
	hold_entries "$count" 1
	begun=$(now)
	dmsetup create r --table "$table"
	ended=$(now)
	before=$(written)
	for unit in $(seq 8); do message remap $(((1500000 + unit) * 8)) >/dev/null; done
	bytes=$((($(written) - before) / 8 - 4096))
	echo "$count entries: $bytes bytes a commit, read in $(((ended - begun) / 1000000)) ms"
	dmsetup remove r
	dd if=/dev/zero of=/dev/spare bs=1M count=200 oflag=direct status=none
	dd if=/dev/zero of=/dev/spare bs=1M seek=$((size / 2048 - 200)) oflag=direct status=none \
		2>/dev/null || true
done
