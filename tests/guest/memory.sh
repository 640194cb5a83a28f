# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
# What is served from where: NUMA nodes, the spare units put aside for each CPU, and what happens without memory.

# numa_of NODE: whose map its CPUs search.
numa_of() { message numa | sed -n "s/^node $1: map of node \([0-9]*\).*/\1/p"; }

# cache_of NAME: a counter of the units that are put aside.
cache_of() { line_of cache "$1"; }

# seen_from_each_cpu FILE: r begins with it.
seen_from_each_cpu() {
	local cpu
	for cpu in /sys/devices/system/cpu/cpu[0-9]*; do
		grep -q 0 "$cpu/online" 2>/dev/null ||
			taskset -c "${cpu##*cpu}" dd if="$DEV" bs=1M count=1 iflag=direct status=none | cmp "$1" - ||
			fail "from ${cpu##*/}"
	done
}

# moved FIRST SECTORS: main has what was there before, until it is written anew, on the spare.
moved() {
	message remap "$1" "$2" >/dev/null
	random one 1
	put one
}

#@ cpus=2 nodes=2
test_each_node_has_its_map() {
	remap_on
	same "0 1" "$(numa_of 0) $(numa_of 1)" "whose maps"
	moved 0 256
	seen_from_each_cpu one
	dm suspend r
	dm resume r
	seen_from_each_cpu one
	same 2 "$(message numa | grep -c "allocated [1-9][0-9]* local, 0 remote")" "nodes served locally"
	# A map that is loaded is copied.
	dm remove r
	create r "0 131072 remap /dev/main 0 /dev/spare 0 16384"
	seen_from_each_cpu one
	moved 512 64
	seen_from_each_cpu one
}

#@ cpus=2 nodes=2 bare=1
test_a_node_without_memory() {
	remap_on
	same "0 0" "$(numa_of 0) $(numa_of 1)" "whose maps"
	moved 0 256
	seen_from_each_cpu one
}

# ends_by_itself: the shortage does.
ends_by_itself() {
	local _ memory
	for _ in {1..40}; do
		if asked memory field 12 && [ "$memory" = ok ]; then return; fi
		sleep 0.25
	done
	fail "still short: $(dm status r)"
}

#@ cpus=2 nodes=2
test_maps_are_given_up_while_memory_is_short() {
	remap_on
	gives ok memory field 12
	no_nodes
	moved 0 64
	gives short memory field 12
	# All search that of the node on which the device was made.
	same "$(numa_of 0)" "$(numa_of 1)" "whose maps"
	seen_from_each_cpu one
	# A suspect would take of what is left.
	bad main 1024 1024
	fails get 1024 8
	gives 0 suspects field 4
	nodes_again
	ends_by_itself
	same "0 1" "$(numa_of 0) $(numa_of 1)" "whose maps"
	good main 1024 1024
	seen_from_each_cpu one
	bad main 1024 1024
	fails get 1024 8
	gives 1 suspects field 4
}

# A process that may have no more memory asks for what takes some.
test_a_memory_cgroup_at_its_limit() {
	remap_on
	mkdir -p /tmp/cgroup
	mount -t cgroup2 none /tmp/cgroup
	echo +memory >/tmp/cgroup/cgroup.subtree_control
	mkdir /tmp/cgroup/small
	random one 1
	put one
	bad main 512 519
	(
		echo "$BASHPID" >/tmp/cgroup/small/cgroup.procs
		echo 0 >/tmp/cgroup/small/memory.high
		message remap 0 256 >/dev/null
		copy_sectors one 512 "$DEV" 512 8
	) || fail "refused at the limit"
	gives 33/1536 "units used" field 2
	gives ok memory field 12
	bad main 0 255
	reads 0 2048 one || fail "what was moved at the limit"
}

test_units_put_aside() {
	remap_on
	gives 0/0/0 "put aside, hits, misses" field 11
	# Units that are not neighbours.
	for at in $(seq 0 16 1008); do message remap "$at" >/dev/null; done
	gives 0/62/2 "put aside, hits, misses" field 11
	gives 2 refills cache_of refills
	# One that is, and whose neighbour has the last of what was put aside.
	message remap 1016 >/dev/null
	gives 1 neighbours cache_of near
	message remap 2048 >/dev/null
	gives 31/62/3 "put aside, hits, misses" field 11
	dm suspend r
	dm resume r
	gives 0/62/3 "put aside, hits, misses after a suspend" field 11
	gives 66/1536 "units used" field 2
}

# on_cpu CPU MESSAGE...
on_cpu() {
	local cpu=$1
	shift
	taskset -c "$cpu" dmsetup message r 0 "$@" >/dev/null
}

#@ cpus=2 hotplug=1
test_units_put_aside_for_a_cpu_that_goes() {
	remap_on
	for at in 0 16 32; do
		on_cpu 0 remap $at
		on_cpu 1 remap $((at + 8000))
	done
	# Each CPU's lie together.
	same "0 8 16 256 264 272" "$(message list | awk -v from="$REGION" '{ print $2 - from }' | xargs)" "units of the spare"
	gives 58 "put aside" cache_of put_aside
	echo 0 >/sys/devices/system/cpu/cpu1/online
	message remap 20000 $(((1536 - 6) * 8)) >/dev/null
	gives 1536/1536 "units used" field 2
	gives 0 "put aside" cache_of put_aside
	gives exhausted health field 1
	echo 1 >/sys/devices/system/cpu/cpu1/online
	refused "no spare unit is left" on_cpu 1 remap 16000
	message unremap 8000 >/dev/null
	on_cpu 1 remap 16000
	gives 1536/1536 "units used" field 2
}
