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

# move_units: moves units to the spare and back, forever.
move_units() {
	local unit
	while true; do
		unit=$((RANDOM % 64 + 936))
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
	[ "$(grep -c ^ack /tmp/story)" -ge 5 ] || fail "killed too early to say anything"
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

#@ disks=scsi:64M:write@8000+512,scsi:16M cut=6..12
test_killed_under_load_1() { killed_under_load; }
#@ disks=scsi:64M:write@8000+512,scsi:16M cut=6..12
test_killed_under_load_2() { killed_under_load; }
#@ disks=scsi:64M:write@8000+512,scsi:16M cut=6..12
test_killed_under_load_3() { killed_under_load; }
