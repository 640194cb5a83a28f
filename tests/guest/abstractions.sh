# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The kernel abstractions of rust/ by themselves: their KUnit suites.

# suite NAME: runs one suite of the module and prints what failed.
suite() {
	load_module
	local debugfs=/sys/kernel/debug/kunit/dm_remap_$1
	[ -e "$debugfs/run" ] || fail "no suite $1"
	echo 1 >"$debugfs/run"
	grep -q "^ok 1 dm_remap_$1" "$debugfs/results" || fail "$(cat "$debugfs/results")"
	grep -q "^    ok 1 " "$debugfs/results" || fail "no test ran: $(cat "$debugfs/results")"
}

test_text() { suite text; }
test_per_cpu() { suite per_cpu; }
test_published() { suite published; }
test_slab() { suite slab; }
#@ cpus=2 nodes=2
test_numa() { suite numa; }
test_kthread() { suite kthread; }
test_workqueue() { suite workqueue; }
test_bio() { suite bio; }
test_ratelimit() { suite ratelimit; }
test_crc32c() { suite crc32c; }
test_random() { suite random; }
