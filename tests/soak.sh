#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Five minutes of verified writes and reads, in mixed sizes and depths, while
# units are relocated and moved back by message. Run by `make soak`.

set -eu
# shellcheck source=tests/bench/disks.sh
. /payload/disks.sh
DEV=/dev/mapper/r
seconds=300

fail() {
	echo "FAILED: $*"
	exit 1
}

insmod "$MODULES/dm_remap.ko"
null_disk main 64
null_disk spare 8
dmsetup create r --table "0 131072 remap /dev/main 0 /dev/spare 0 16384"

# job NAME OFFSET DEPTH SIZES
job() {
	fio --name="$1" --filename="$DEV" --offset="$2" --size=4M --ioengine=libaio --direct=1 \
		--rw=randrw --rwmixwrite=70 --bsrange="$4" --blockalign=512 --iodepth="$3" \
		--eta=never --time_based --runtime=$seconds --verify=crc32c --verify_fatal=1 --verify_backlog=64 \
		--output="/tmp/$1.log" &
}
job small 0 1 512-8k
job medium 4M 8 4k-64k
job large 8M 32 64k-512k

end=$((SECONDS + seconds))
moves=0
while [ $SECONDS -lt $end ]; do
	unit=$((RANDOM % 3072))
	message remap $((unit * 8)) 64 >/dev/null
	for back in 0 16 40; do message unremap $((unit * 8 + back)) >/dev/null 2>&1 || true; done
	moves=$((moves + 1))
	# The spare fills up over time: move everything back.
	if [ $((moves % 200)) = 0 ]; then
		message list | while read -r sector _; do
			[ "$sector" = more ] || message unremap "$sector" >/dev/null
		done
	fi
done
for job in $(jobs -p); do wait "$job" || { cat /tmp/*.log; fail "a job failed"; }; done
for name in small medium large; do
	grep -E '^ *(read|write): IOPS' /tmp/$name.log | sed "s/^/$name:/"
	if grep -qi 'verify:.*bad\|verify failed' /tmp/$name.log; then fail "a mismatch in $name"; fi
done
message stats | grep -E '^(remapped|unremapped|repaired|redirected|read_errors|write_errors) '
[ "$(stat_of remapped)" -gt 100 ] || fail "too few units were moved"
[ "$(stat_of repaired)" -gt 0 ] || fail "no bio met a unit that was being moved"
dmsetup remove r
rmmod dm_remap
echo "no mismatch in $seconds seconds"
