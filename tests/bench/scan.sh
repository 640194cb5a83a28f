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

SECONDS_EACH=10
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

# with_scan, without_scan: what others do then.
with_scan() {
	message scan start >/dev/null
	others
	message scan pause >/dev/null
}
without_scan() { others; }

echo "== Reads of others, without a scan and with one, in turn"
for round in 1 2 3 4 5 6; do
	# Whatever else changes with time is for the one as often as for the other.
	if ((round % 2)); then
		without=$(without_scan)
		with=$(with_scan)
	else
		with=$(with_scan)
		without=$(without_scan)
	fi
	echo "$without $with"
done | awk '{
	printf "%d and %d a second, 99 %% within %d and %d us\n", $1, $3, $2, $4
	a += $1; b += $3; c += $2; d += $4
} END { printf "with a scan %.3f of the rate, and %.3f of the time of 99 %%\n", b / a, d / c }'

echo "== The scan alone"
message scan start >/dev/null
sleep 5
before=$(ticks)
sleep "$SECONDS_EACH"
echo "$(($(ticks) - before)) $SECONDS_EACH" | awk '{ printf "%.2f %% of a CPU\n", $1 / $2 }'
message scan | grep "^rate"
