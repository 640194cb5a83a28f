# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# The cost of an I/O through remap, beside a bare disk, dm-linear, and a dm-linear table made by
# hand. Prints lines `cost DEVICE OPERATION BYTES ORDER DEPTH CPUS MINIMUM MEDIAN`.

# shellcheck source=tests/bench/disks.sh
. /payload/disks.sh
set -eu
cd /tmp
insmod "$MODULES/dm_remap.ko"
DEV=/dev/mapper/r
# Sectors of a metadata region on these spares. The units of a spare follow its first region.
REGION=2048

UNIT=4096
# Main has four million units, and the spare has room for half of them. Every second unit is
# relocated.
null_disk main 16384 memory_backed=0
null_disk spare 8448
MAIN=$(sectors /dev/main)
SPARE=$(sectors /dev/spare)

# measure NAME DEVICE OPERATION BYTES FIRST STRIDE COUNT ORDER DEPTH CPUS
measure() {
	local name=$1
	shift
	echo "cost $name $2 $3 $7 $8 $9 $(cost "$@")"
}

# at_random NAME DEVICE [FIRST STRIDE COUNT]: 4 KiB at random, one at a time; first reads, then
# writes.
at_random() {
	local operation
	for operation in write read; do
		measure "$1" "$2" $operation $UNIT "${3:-0}" "${4:-$UNIT}" "${5:-1000000}" random 1 1
	done
}

# in_all_ways NAME DEVICE FIRST: other sizes, orders and depths, behind the relocated units.
in_all_ways() {
	local operation
	for operation in read write; do
		measure "$1" "$2" $operation 4096 "$3" 4096 100000 seq 1 1
		measure "$1" "$2" $operation 4096 "$3" 4096 100000 random 32 1
		measure "$1" "$2" $operation 65536 "$3" 65536 10000 seq 1 1
		measure "$1" "$2" $operation 1048576 "$3" 1048576 1000 seq 1 1
		for ((cpus = 2; cpus <= $(nproc); cpus *= 2)); do
			measure "$1" "$2" $operation 4096 "$3" 4096 100000 random 1 $cpus
		done
	done
}

# across NAME DEVICE COUNT: 64 KiB across the first of COUNT units of which every second is on the
# spare, if there are enough.
across() {
	[ "$3" -lt 8000 ] || measure "$1_across" "$2" read 65536 0 65536 1000 seq 1 1
}

# by_hand COUNT: a dm-linear table that maps every second unit of the first 2 * COUNT to the spare.
by_hand() {
	awk -v n="$1" -v end="$MAIN" 'BEGIN {
		for (i = 0; i < n; i++)
			print i * 16, 8, "linear /dev/spare", i * 8 "\n" i * 16 + 8, 8, "linear /dev/main", i * 16 + 8
		print n * 16, end - n * 16, "linear /dev/main", n * 16
	}' >by_hand
}

# at_hits COUNT: a thousand of COUNT relocated units, and the same units of the spare with
# dm-linear.
at_hits() {
	local step=$(($1 / 1000))
	dmsetup create lspare --table "0 $SPARE linear /dev/spare 0"
	at_random "spare_$1" /dev/mapper/lspare $((REGION * 512)) $((step * UNIT)) 1000
	dmsetup remove lspare
	at_random "remap_$1_hit" "$DEV" 0 $((step * 2 * UNIT)) 1000
}

# used NAME: kilobytes of memory of that kind.
used() { awk -v name="$1:" '$1 == name { print $2 }' /proc/meminfo; }
# what_is_used: bytes of the slab, of vmalloc and of per-CPU memory.
what_is_used() {
	echo $((1024 * ($(used Slab) + $(used VmallocUsed) + $(used Percpu))))
}

# nodes: bytes of the map nodes, including the reserve and the overhead of the slab.
nodes() { awk '$1 == "dm_remap_node" { print $3 * $4 }' /proc/slabinfo; }

# of_a_target: the memory of a target of 100 MiB without entries, with a spare of 64 MiB; the mean
# of ten.
of_a_target() {
	local before at
	null_disk small_main 1200 memory_backed=0
	for at in $(seq 0 10); do null_disk "small$at" 64; done
	# The first target allocates the shared memory.
	dmsetup create t0 --table "0 204800 remap /dev/small_main 2048000 /dev/small0 0 131072"
	before=$(what_is_used)
	for at in $(seq 10); do
		dmsetup create "t$at" \
			--table "0 204800 remap /dev/small_main $(((at - 1) * 204800)) /dev/small$at 0 131072"
	done
	echo "memory target $((($(what_is_used) - before) / 10))"
	for at in $(seq 0 10); do dmsetup remove "t$at"; done
}

# of_entries COUNT BEFORE: the bytes of the nodes for each entry, if there are enough entries.
of_entries() {
	[ "$1" -ge 100000 ] || return 0
	awk -v count="$1" -v bytes=$(($(nodes) - $2)) \
		'BEGIN { print "memory entry_of_" count, bytes / count }'
}

# moves COUNT: the cost of one of 3200 relocations by message, with all I/O and commits.
moves() {
	local begun=$EPOCHREALTIME ended
	message remap $((MAIN / 2)) 25600 >/dev/null
	ended=$EPOCHREALTIME
	echo "move $1 $(((${ended/./} - ${begun/./}) * 1000 / 3200))"
}

table="0 $MAIN remap /dev/main 0 /dev/spare 0 $SPARE 3 breaker 0 0"
# with_entries COUNT: activates an array with COUNT entries, and prints the microseconds that this
# took.
with_entries() {
	local before begun=$EPOCHREALTIME ended
	dmsetup create r --table "$table"
	ended=$EPOCHREALTIME
	if [ "$1" != 0 ]; then
		dmsetup remove r
		hold_entries "$1" 2
		before=$(nodes)
		begun=$EPOCHREALTIME
		dmsetup create r --table "$table"
		ended=$EPOCHREALTIME
		of_entries "$1" "$before"
	fi
	echo "load $1 $((${ended/./} - ${begun/./}))"
}

# By then the kernel has done its deferred work after boot.
sleep 20
parts
of_a_target
echo "module $(stat -c %s "$MODULES/dm_remap.ko")"
at_random raw /dev/main
in_all_ways raw /dev/main 0
dmsetup create linear --table "0 $MAIN linear /dev/main 0"
at_random linear /dev/mapper/linear
in_all_ways linear /dev/mapper/linear 0
for count in $HANDS; do
	by_hand "$count"
	dmsetup create hand by_hand
	at_random "hand_$count" /dev/mapper/hand 4096 8192 "$count"
	across "hand_$count" /dev/mapper/hand "$count"
	dmsetup remove hand
done
# The tools need exclusive access to main.
dmsetup remove linear
for count in $COUNTS; do
	with_entries "$count"
	at_random "remap_${count}_far" "$DEV" $((MAIN * 256))
	[ "$count" = 0 ] || {
		at_random "remap_${count}_miss" "$DEV" 4096 8192 "$count"
		at_hits "$count"
	}
	in_all_ways "remap_$count" "$DEV" $((MAIN * 256))
	across "remap_$count" "$DEV" "$count"
	moves "$count"
	dmsetup remove r
done
