#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What a scan at its default rate costs: reads of others with and without it, in turn, and the CPU time of its
# thread while nobody else reads. Times are of this machine; compare ratios.

# shellcheck source=tests/guest/lib.sh
. /payload/tests/lib.sh
set -eu
cd /tmp
load_module

SECONDS_EACH=15
# A disk that takes 0.1 ms for each request.
null_disk main 4096 memory_backed=0 irqmode=2 completion_nsec=100000
null_disk spare 8
create r "0 $(sectors /dev/main) remap /dev/main 0 /dev/spare 0 16384"

# others: reads a second, and the microseconds within which 99 of 100 are done.
others() {
	fio --name=o --filename="$DEV" --ioengine=libaio --direct=1 --rw=randread --bs=4k --iodepth=4 \
		--runtime="$SECONDS_EACH" --time_based --minimal | awk -F';' '{ sub(/.*=/, "", $30); print $8, $30 }'
}

# ticks: hundredths of a second of CPU time that the thread has used.
ticks() {
	local thread
	thread=$(grep -lx "remap/$(</sys/block/main/dev)" /proc/[0-9]*/comm)
	awk '{ print $14 + $15 }' "${thread%comm}stat"
}

echo "== Reads of others, without a scan and with one, in turn"
for _ in 1 2 3; do
	without=$(others)
	message scan start >/dev/null
	with=$(others)
	rate=$(message scan | sed -n 's/^rate //p')
	message scan pause >/dev/null
	echo "$without $with $rate" | awk '{
		printf "%d and %d a second, ratio %.3f; 99 %% within %d and %d us, ratio %.3f; the scan at %s KiB a second\n",
			$1, $3, $3 / $1, $2, $4, $4 / $2, $5
	}'
done

echo "== The scan alone"
message scan start >/dev/null
sleep 5
before=$(ticks)
sleep "$SECONDS_EACH"
echo "$(($(ticks) - before)) $SECONDS_EACH" | awk '{ printf "%.2f %% of a CPU\n", $1 / $2 }'
message scan | grep "^rate"
