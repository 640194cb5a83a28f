# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The kernel abstractions of rust/ by themselves: their KUnit suites.

# suites NAME...: runs suites of the module, and prints what failed. A module whose suites are not wanted is loaded in
# less time, so guests begin without.
suites() {
	remove_modules
	printf '*' >/sys/module/kunit/parameters/filter_glob
	load_module
	printf none >/sys/module/kunit/parameters/filter_glob
	local name debugfs line passed ran
	for name; do
		debugfs=/sys/kernel/debug/kunit/dm_remap_$name passed='' ran=''
		[ -e "$debugfs/run" ] || fail "no suite $name"
		echo 1 >"$debugfs/run"
		while IFS= read -r line; do
			case $line in
			"ok 1 dm_remap_$name"*) passed=1 ;;
			"    ok 1 "*) ran=1 ;;
			esac
		done <"$debugfs/results"
		[ "$passed$ran" = 11 ] || fail "$(cat "$debugfs/results")"
	done
}

test_suites() {
	suites text per_cpu published slab kthread workqueue bio ratelimit crc32c random device_mapper
	# There are no others.
	local all=(/sys/kernel/debug/kunit/dm_remap_*)
	same 12 "${#all[@]}" suites
}
#@ cpus=2 nodes=2
test_numa() { suites numa; }
