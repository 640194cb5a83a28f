# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
# Memory is short, and what makes it less short is a write that has to be relocated, for which memory is needed.

#@ seconds=5000 memory=384 disks=scsi:256M:write@4096+8:write@20480+24:write@40960+64:write@61440+64:write@81920+64,scsi:16M
test_swap_under_pressure() {
	load_module
	create r "0 524288 remap /dev/disk0 0 /dev/disk1 0 32768 3 breaker 0 0"
	mkswap "$DEV" >/dev/null
	swapon "$DEV"
	workers_fail 5
	local name free
	while read -r name free _; do [ "$name" != MemAvailable: ] || break; done </proc/meminfo
	hog $((free / 1024 + 30)) "$SWAP" || fail "hog"
	injectors probability=0
	cat /proc/swaps
	[ "$(cat /sys/kernel/debug/failslab/times)" -lt 999990 ] || fail "no allocation failed"
	[ "$(stat_of relocated)" -gt 3 ] || fail "nothing was relocated"
	if dmesg | grep -iE 'write-error on swap|read-error on swap|out of memory'; then fail "swapping failed"; fi
	swapoff "$DEV"
}
