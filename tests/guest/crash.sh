# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Machines that are killed while units are being relocated. What is acknowledged is printed, and so is
# known after the kill.

TABLE="0 131072 remap /dev/disk0 0 /dev/disk1 0 32768"

# fill UNIT VERSION: what a unit holds that was written so.
fill() { yes "unit $1 version $2" | head -c 4096; }

# write_units: writes to 64 units that cannot be written and to as many beside them, forever.
write_units() {
	local unit version
	for version in $(seq 100000); do
		unit=$((RANDOM % 128 + 936))
		fill "$unit" "$version" >/tmp/block
		echo "begin $unit $version"
		put /tmp/block $((unit * 8))
		echo "ack $unit $version"
	done
}

# move_units: moves two of the units that can be written to the spare, and one of them back, forever.
move_units() {
	local unit
	while true; do
		unit=$((RANDOM % 63 + 936))
		message remap $((unit * 8)) 16 >/dev/null
		message unremap $((unit * 8)) >/dev/null
	done
}

# versions UNIT: the last that was acknowledged, and the last that was begun.
versions() {
	awk -v unit="$1" '$2 != unit { next } $1 == "ack" { ack = $3 } $1 == "begin" { begun = $3 }
		END { print ack + 0, begun + 0 }' /tmp/story
}

# check_units: each unit holds what was last acknowledged, or what was under way.
check_units() {
	local unit acked begun found
	grep -aE "^(begin|ack) [0-9]+ [0-9]+" /run/said | tr -d '\r' >/tmp/story
	[ "$(grep -c ^ack /tmp/story)" -ge 1 ] || fail "killed too early to say anything"
	awk '{ print $2 }' /tmp/story | sort -u >/tmp/units
	while read -r unit; do
		read -r acked begun <<<"$(versions "$unit")"
		get $((unit * 8)) 8 >/tmp/block
		found=0
		if ! cmp -s -n 4096 /tmp/block /dev/zero; then
			found=$(head -1 /tmp/block | cut -d' ' -f4)
			fill "$unit" "$found" | cmp - /tmp/block || fail "unit $unit is torn"
		fi
		[ "$found" = "$acked" ] || [ "$found" = "$begun" ] ||
			fail "unit $unit: version $found, $acked was acknowledged, $begun begun"
	done </tmp/units
}

killed_under_load() {
	load_module
	create r "$TABLE"
	if [ "$BOOT" = 1 ]; then
		move_units &
		write_units
	fi
	check_units
	same 2/2 "$(field 9)" regions
	echo "$(grep -c ^ack /tmp/story) writes acknowledged, $(field 2) units used"
}

# mark WORDS...: puts them into the log of writes, as one word.
mark() {
	local IFS=-
	dmsetup message lw 0 mark "$*"
}

# Every write to main and spare is logged, in the order in which it became durable. After each flush and
# each FUA write the power could have gone: the array must be readable, and hold what was acknowledged.
#@ seconds=600
test_every_point_of_a_log() {
	load_module
	null_disk disk 72 cache_size=8
	null_disk journal 64
	bad disk 8000 8511
	create lw "0 147456 log-writes /dev/disk /dev/journal"
	create main "0 131072 linear /dev/mapper/lw 0"
	create spare "0 16384 linear /dev/mapper/lw 131072"
	create r "0 131072 remap /dev/mapper/main 0 /dev/mapper/spare 0 16384"
	move_units &
	local mover=$! unit version
	for version in $(seq "$WRITES"); do
		unit=$((RANDOM % 128 + 936))
		fill "$unit" "$version" >/tmp/block
		mark begin "$unit" "$version"
		dd if=/tmp/block of="$DEV" bs=4096 seek="$unit" oflag=direct,dsync conv=notrunc status=none
		mark ack "$unit" "$version"
	done
	kill $mover
	wait $mover || true
	local name
	for name in r main spare lw; do dmsetup remove "$name"; done
	replay /dev/journal 131072 16384 >said || fail "replay: $(cat said)"
	cat said
	[ "$(cut -d' ' -f1 said)" -ge "$WRITES" ] || fail "too few points"
}

#@ disks=scsi:64M:write@8000+512,scsi:16M cut=4..8
test_killed_under_load_1() { killed_under_load; }
#@ disks=scsi:64M:write@8000+512,scsi:16M cut=4..8
test_killed_under_load_2() { killed_under_load; }
