# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What messages do when they are right.

test_ping_and_info() {
	remap_on
	gives pong ping message ping
	message info >/tmp/info
	grep -qx "main: $(cat /sys/block/main/dev) from sector 0, 131072 sectors" /tmp/info || fail "main"
	grep -qx "units: 16384 main, 1536 spare" /tmp/info || fail "units"
	grep -Eqx "array: [0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}" /tmp/info || fail "array"
	grep -qx "metadata: 2 of 2 regions good, commit 1" /tmp/info || fail "metadata"
}

test_remap_counts_what_it_did() {
	remap_on
	gives "remapped 1 units, 0 already were, 0 blocks lost" "one unit" message remap 803
	gives "remapped 10 units, 1 already were, 0 blocks lost" "eleven units" message remap 800 88
	gives "remapped 2 units, 0 already were, 0 blocks lost" "two touched units" message remap 1607 2
	bad main 2003 2004
	fails message remap 2000
	gives "remapped 1 units, 0 already were, 2 blocks lost" "a lossy one" message remap 2000 lossy
}

test_unremap_copies_back() {
	remap_on
	random one 1
	put one
	message remap 800
	random two 1
	put two
	equal two 409600 /dev/main 409600 4096 && fail "main has the data already"
	message unremap 803
	holds two
	blockdev --flushbufs /dev/main
	equal two 409600 /dev/main 409600 4096 || fail "main does not have the data"
	gives "healthy 0/1536" status field 1 2
	# The unit that was freed is used again.
	message remap 1600 $((1536 * 8))
	gives "exhausted 1536/1536" status field 1 2
}

test_unremap_refuses_where_main_still_fails() {
	remap_on
	random one 1
	bad main 1003 1003
	put one
	refused "sector 1000: main still fails there" message unremap 1000
	gives 1/1536 "units used" field 2
	holds one
	good main 1003 1003
	message unremap 1000
	holds one
}

test_unremap_refuses_lost_blocks() {
	remap_on
	bad main 1003 1003
	message remap 1000 lossy
	good main 1003 1003
	refused "blocks of its unit were lost, write them first" message unremap 1000
	fails get 1003 1
	zeroes "$DEV" 1000 8
	message unremap 1000
	reads 1000 8 /dev/zero || fail "the data that were written"
}

# What is kept of a reason may end within a character.
test_a_long_reason_is_cut_between_characters() {
	remap_on
	local ascii word shown
	for ascii in '' a aa; do
		printf -v word '€%.0s' {1..100}
		fails message "$ascii$word"
		shown=$(message reason)
		[[ $shown == *"$ascii€€€€€€€€"* ]] || fail "of what was refused is said: $shown"
	done
	# A message says no more than fits, and what follows is said as before.
	fails message nothing
	[[ $(message reason) == *nothing* ]] || fail "the reason after that"
}
