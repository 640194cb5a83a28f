# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# The disks of benchmarks in a guest, and the device r over /dev/main and /dev/spare.

NULLB=/sys/kernel/config/nullb

# null_disk NAME MEGABYTES [ATTRIBUTE=VALUE...]: /dev/NAME, in memory.
null_disk() {
	local folder=$NULLB/$1 pair
	remove_disk "$1"
	mkdir "$folder"
	for pair in memory_backed=1 "size=$2" "${@:3}" power=1; do
		echo "${pair#*=}" >"$folder/${pair%%=*}"
	done
}
remove_disk() { [ ! -d "$NULLB/$1" ] || rmdir "$NULLB/$1"; }
# bad DISK FIRST LAST: makes reads and writes of these sectors fail.
bad() { echo "+$2-$3" >"$NULLB/$1/badblocks"; }
sectors() { blockdev --getsz "$1"; }

# message WORD...: sends a message to r, and prints the answer.
message() { dmsetup message r 0 "$@"; }
# stat_of NAME: a counter of r.
stat_of() { message stats | sed -n "s/^$1 //p"; }

# hold_entries COUNT EVERY [MAIN SPARE]: gives the inactive array on these disks COUNT entries, for
# every EVERYth unit.
hold_entries() {
	local main=${3:-/dev/main} spare=${4:-/dev/spare} array
	remapctl dump "$main" "$spare" >kept
	awk -v n="$1" -v every="$2" -v entry='{"unit":%d,"spare":%d,"valid":"ff"}\n' '
		/"relocated": \[/ {
			print "  \"relocated\": ["
			for (i = 0; i < n; i++)
				printf (i ? "," : "") entry, every * i, i
			print "  ],"
			skip = 1
		}
		skip && /\],/ { skip = 0; next }
		!skip' kept >bigger
	array=$(sed -n 's/.*"array": "\(.*\)".*/\1/p' kept)
	remapctl restore "$main" "$spare" bigger --force "$array" --force changes >/dev/null
	rm kept bigger
}
