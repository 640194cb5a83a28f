# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# The cost of a bio by the clock through remap, beside a bare disk, dm-linear, and a dm-linear table
# made by hand. Prints `cost DEVICE OPERATION BYTES ORDER DEPTH CPUS PICOSECONDS`, with the words of
# cost.sh, a line for each repetition, and `load DEVICE MICROSECONDS`. All devices exist together,
# and each repetition measures all of them.

# shellcheck source=tests/bench/disks.sh
. /payload/disks.sh
set -eu
cd /tmp
insmod "$MODULES/dm_remap.ko"
insmod "$MODULES/bio_cost.ko"

RUN=/sys/module/bio_cost/parameters/run
CPUS=$(nproc)
UNIT=4096
# Every second unit is relocated.
STRIDE=$((2 * UNIT))
PIECES=100000
# Sectors of a spare, and of each of the metadata regions at its start and its end.
SPARE=17301504
REGION=210944
# 1 MiB is a single request.
WAYS="irqmode=0 submit_queues=$CPUS max_sectors=2048"

# disk NAME MEGABYTES [ATTRIBUTE=VALUE...]
disk() {
	# shellcheck disable=SC2086
	null_disk "$@" $WAYS
}

# pair NAME: main_NAME and mapper/spare_NAME. They store only metadata, not the data of units.
pair() {
	disk "main_$1" 16384 memory_backed=0
	disk "meta_$1" $((2 * REGION / 2048))
	disk "data_$1" $(((SPARE - 2 * REGION) / 2048)) memory_backed=0
	dmsetup create "spare_$1" <<-END
		0 $REGION linear /dev/meta_$1 0
		$REGION $((SPARE - 2 * REGION)) linear /dev/data_$1 0
		$((SPARE - REGION)) $REGION linear /dev/meta_$1 $REGION
	END
}

# loaded NAME TABLE: creates the device of a table in a file, and prints the time that this took.
loaded() {
	local begun=$EPOCHREALTIME ended
	dmsetup create "$1" "$2"
	ended=$EPOCHREALTIME
	echo "load $1 $((${ended/./} - ${begun/./}))"
}

# by_hand: a dm-linear table that maps the relocated units to the spare.
by_hand() {
	pair hand
	local main="linear /dev/main_hand" spare="linear /dev/mapper/spare_hand"
	awk -v n=$PIECES -v end="$MAIN" -v main="$main" -v spare="$spare" 'BEGIN {
		for (i = 0; i < n; i++)
			print i * 16, 8, spare, i * 8 "\n" i * 16 + 8, 8, main, i * 16 + 8
		print n * 16, end - n * 16, main, n * 16
	}' >table
	loaded "hand_$PIECES" table
}

# with_entries COUNT: creates remap_COUNT, an array with COUNT entries, and lspare_COUNT, dm-linear
# on its spare.
with_entries() {
	pair "$1"
	echo "0 $MAIN remap /dev/main_$1 0 /dev/mapper/spare_$1 0 $SPARE 3 breaker 0 0" >table
	dmsetup create "remap_$1" table
	dmsetup remove "remap_$1"
	[ "$1" = 0 ] || hold_entries "$1" 2 "/dev/main_$1" "/dev/mapper/spare_$1"
	loaded "remap_$1" table
	dmsetup create "lspare_$1" --table "0 $SPARE linear /dev/mapper/spare_$1 0"
}

# cost NAME DEVICE OPERATION BYTES FIRST STRIDE COUNT ORDER DEPTH CPUS
cost() {
	local picoseconds
	echo "${*:2}" >$RUN
	read -r picoseconds <$RUN
	echo "cost $1 $3 $4 $8 $9 ${10} $picoseconds"
}

# at_random NAME DEVICE FIRST STRIDE COUNT: 4 KiB at random, one at a time, from one and more CPUs.
at_random() {
	local operation cpus
	for operation in read write; do
		for ((cpus = 1; cpus <= CPUS; cpus *= 2)); do
			cost "$1" "/dev/$2" $operation $UNIT "$3" "$4" "$5" random 1 $cpus
		done
	done
}

# far NAME DEVICE: units behind all entries; at random, and in other orders, depths and sizes.
far() {
	local operation first=$((MAIN * 256))
	at_random "$1_far" "$2" $first $UNIT 1000000
	for operation in read write; do
		cost "$1_far" "/dev/$2" $operation $UNIT $first $UNIT 1000000 seq 1 1
		cost "$1_far" "/dev/$2" $operation $UNIT $first $UNIT 1000000 random 32 1
		cost "$1_far" "/dev/$2" $operation 1048576 $first 1048576 4000 seq 1 1
	done
}

# at_entries COUNT: between the entries, at a thousand of them, and at all; the last two also on the
# spare.
at_entries() {
	local step=$(($1 / 1000))
	at_random "remap_$1_miss" "mapper/remap_$1" $UNIT $STRIDE "$1"
	at_random "spare_$1" "mapper/lspare_$1" $((REGION * 512)) $((step * UNIT)) 1000
	at_random "remap_$1_hit" "mapper/remap_$1" 0 $((step * STRIDE)) 1000
	at_random "spare_$1_all" "mapper/lspare_$1" $((REGION * 512)) $UNIT "$1"
	at_random "remap_$1_hits" "mapper/remap_$1" 0 $STRIDE "$1"
}

# all: measures each device once.
all() {
	local count
	far raw raw
	far linear mapper/linear
	far "hand_$PIECES" "mapper/hand_$PIECES"
	at_random "hand_$PIECES" "mapper/hand_$PIECES" $UNIT $STRIDE $PIECES
	at_random "hand_${PIECES}_hits" "mapper/hand_$PIECES" 0 $STRIDE $PIECES
	for count in $COUNTS; do
		far "remap_$count" "mapper/remap_$count"
		[ "$count" = 0 ] || at_entries "$count"
	done
}

disk raw 16384 memory_backed=0
MAIN=$(sectors /dev/raw)
dmsetup create linear --table "0 $MAIN linear /dev/raw 0"
by_hand
for count in $COUNTS; do with_entries "$count"; done
for _ in $(seq "$REPETITIONS"); do all; done
