# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
# The user's command on real devices.

# The library waits for udev when a device comes or goes.
disks() {
	unset DM_DISABLE_UDEV
	/lib/systemd/systemd-udevd --daemon
	two_disks
}

# ctl WORDS...: remapctl, with what it says in the file said.
ctl() { remapctl "$@" >said 2>&1 || { cat said; return 1; }; }

# ctl_refuses REASON WORDS...
ctl_refuses() {
	local reason=$1
	shift
	if remapctl "$@" >said 2>&1; then fail "not refused: remapctl $*"; fi
	grep -qF -- "$reason" said || fail "no reason '$reason' in: $(cat said)"
}

test_format_create_list_remove() {
	disks
	ctl format /dev/main /dev/spare --unit 32768
	ctl create r /dev/main /dev/spare
	same "0 131072 remap /dev/main 0 /dev/spare 0 16384 2 unit 32768" "$(cat said)" "table line"
	random one 4
	put one
	bad main 1000 1000
	put one
	ctl list r
	same "sector 960 is at 2048 of the spare, 64 of 64 blocks valid" "$(cat said)" list
	ctl --json status r
	grep -q '"health":"relocated"' said || fail "$(cat said)"
	ctl status
	grep -q "^r: relocated, 1/192 spare units used, " said || fail "$(cat said)"
	# What is in use is not touched.
	ctl_refuses "/dev/spare: in use" repair /dev/main /dev/spare
	ctl_refuses "/dev/spare: in use" format /dev/main /dev/spare
	ctl remove r
	ctl check /dev/main /dev/spare
	grep -q ": whole, commit [0-9]*, 1 units relocated" said || fail "$(cat said)"
	ctl create r /dev/main /dev/spare
	holds one
	dm create other "0 8 error"
	ctl_refuses "other has no remap target" remove other
}

test_dump_and_restore_move_an_array_to_another_spare() {
	disks
	null_disk spare2 8
	create r "0 131072 remap /dev/main 0 /dev/spare 0 16384"
	random one 1
	put one
	message remap 800 80 >/dev/null
	random one 1
	put one
	dmsetup remove --retry r
	remapctl dump /dev/main /dev/spare >kept
	copy_sectors /dev/spare 2048 /dev/spare2 2048 12288
	ctl restore /dev/main /dev/spare2 kept
	remapctl dump /dev/main /dev/spare2 | cmp - kept
	ctl create r /dev/main /dev/spare2
	holds one
	gives 10/1536 "units used" field 2
}

test_repair_after_damage() {
	disks
	create r "0 131072 remap /dev/main 0 /dev/spare 0 16384"
	random one 1
	put one
	message remap 800 80 >/dev/null
	dmsetup remove --retry r
	junk /dev/spare 0 2048
	local status=0
	remapctl check /dev/main /dev/spare >said || status=$?
	same 4 "$status" "exit status of a check that found damage"
	# What cannot be read may be newer.
	bad spare 0 2047
	ctl_refuses "cannot be read, so it may be newer; '--force unreadable' overwrites it" repair /dev/main /dev/spare
	good spare 0 2047
	ctl repair /dev/main /dev/spare
	ctl check /dev/main /dev/spare
	ctl create r /dev/main /dev/spare
	holds one
}

test_import_bad_blocks() {
	disks
	ctl create r /dev/main /dev/spare
	random one 1
	put one
	printf '500\n501\n600\n' >list
	ctl import r list --dry-run
	gives 0/1536 "units used by a dry run" field 2
	ctl import r list
	same "relocated 2 ranges of 6 sectors" "$(cat said)" import
	same "1000 1200" "$(message list | cut -d' ' -f1 | xargs)" list
	holds one
	printf '0x0 +\n0x0 0x10000 +\n0x10000 0x200 -\n' >map
	ctl import r map --form ddrescue
	same "128 1000 1200" "$(message list | cut -d' ' -f1 | xargs)" list
	echo 99999999 >list
	ctl_refuses "are not all on the device" import r list
	dmsetup remove --retry r
	same "$(printf '64\n65\n66\n67\n500\n501\n502\n503\n600\n601\n602\n603')" \
		"$(remapctl dump /dev/main /dev/spare --form badblocks)" "bad blocks"
}

test_scan() {
	disks
	create r "0 131072 remap /dev/main 0 /dev/spare 0 16384"
	bad main 20000 20000
	ctl scan r
	same "r: stopped, pass 0, 0 of 16384 units read, 0 KiB a second, at most 4096" "$(cat said)" "before"
	ctl scan r start --rate 1000000 --follow
	grep -qx "r: stopped, pass 1, all 16384 units read, .*, at most 1000000, took [0-9]* s, found 1 units that cannot be read and 0 weak ones, moved 0" said ||
		fail "$(cat said)"
	grep -qx "  trouble near sector 0" said || fail "$(cat said)"
	ctl --json scan r
	grep -q '"found":1,.*"regions":\[{"score":4,"sector":0}\]' said || fail "$(cat said)"
	ctl scan r start --rate 1
	ctl scan r pause
	grep -q "^r: paused, pass 2, " said || fail "$(cat said)"
	ctl scan r stop
	ctl_refuses "invalid value 'later'" scan r later
	dm create other "0 8 error"
	ctl_refuses "other has no remap target" scan other
}

test_watch_sees_a_change() {
	disks
	ctl create r /dev/main /dev/spare
	remapctl watch r --count 1 >seen &
	until [ -s seen ]; do sleep 0.1; done
	message remap 800
	wait $! || fail "watch failed"
	same 2 "$(wc -l <seen)" "lines"
	grep -q "r: relocated, 1/1536" seen || fail "$(cat seen)"
}

test_metadata_on_main_too() {
	disks
	ctl format /dev/main /dev/spare --main-metadata
	ctl create r /dev/main /dev/spare
	gives 4/4 regions field 9
	random one 1
	put one
	message remap 800 80 >/dev/null
	dmsetup remove --retry r
	zeroes /dev/spare 0 2048
	zeroes /dev/main 126968 2048
	ctl create r /dev/main /dev/spare
	gives 4/4 "regions after repair" field 9
	holds one
	dmsetup remove --retry r
	# An older copy of the spare, or a new disk in its place, is not believed.
	copy_sectors /dev/spare 0 old 0 16384
	remapctl create r /dev/main /dev/spare >/dev/null
	message remap 1600
	dmsetup remove --retry r
	copy_sectors old 0 /dev/spare 0 16384
	refused "the spare's metadata are older than main's" \
		dm create r "0 126968 remap /dev/main 0 /dev/spare 0 16384"
	wipe spare
	refused "the spare's metadata are older than main's" \
		dm create r "0 126968 remap /dev/main 0 /dev/spare 0 16384"
}

# Device-mapper's own I/O goes past the page cache of the spare, which stays as long as somebody has
# it open.
test_what_a_page_cache_kept_is_not_believed() {
	disks
	create r "0 131072 remap /dev/main 0 /dev/spare 0 16384"
	random one 1
	put one
	message remap 800 >/dev/null
	dmsetup remove --retry r
	exec 9</dev/spare
	cat <&9 >/dev/null
	create r "0 131072 remap /dev/main 0 /dev/spare 0 16384"
	message remap 1600 80 >/dev/null
	random one 1
	put one
	dmsetup remove --retry r
	ctl check /dev/main /dev/spare
	grep -q ": whole, commit [0-9]*, 11 units relocated$" said || fail "$(cat said)"
	junk /dev/spare 0 2048
	ctl repair /dev/main /dev/spare
	# What was written is what others see now.
	remapctl dump /dev/main /dev/spare >now
	copy_sectors /dev/spare 0 kept 0 16384
	same "$(cat now)" "$(remapctl dump /dev/main kept)" "through the page cache"
	exec 9<&-
	ctl check /dev/main /dev/spare
	create r "0 131072 remap /dev/main 0 /dev/spare 0 16384"
	gives 11/1536 "units used" field 2
	holds one
}

test_check_and_dump_of_an_active_array() {
	disks
	create r "0 131072 remap /dev/main 0 /dev/spare 0 16384"
	message remap 800 >/dev/null
	ctl check /dev/main /dev/spare
	grep -q ": whole, commit [0-9]*, 1 units relocated, in use$" said || fail "$(cat said)"
	message remap 1600 80 >/dev/null
	ctl --json check /dev/main /dev/spare
	grep -q '"active":true' said || fail "$(cat said)"
	ctl check /dev/main /dev/spare
	grep -q ": whole, commit [0-9]*, 11 units relocated, in use$" said || fail "$(cat said)"
	same 11 "$(remapctl dump /dev/main /dev/spare --form badblocks --block-size 4096 | wc -l)" "units in a dump"
	# It is looked at while it changes, until it stands still.
	while :; do
		message remap 4000 8 >/dev/null
		message unremap 4000 >/dev/null
	done &
	local status=0
	remapctl check /dev/main /dev/spare >said 2>&1 || status=$?
	kill $!
	wait $! || true
	case $status in
	0) grep -q ": whole, " said || fail "$(cat said)" ;;
	8) grep -q "the array is in use, and changed whenever it was read" said || fail "$(cat said)" ;;
	*) fail "exit status $status: $(cat said)" ;;
	esac
	ctl check /dev/main /dev/spare
}

# The module and the tool agree on areas in which the regions are as long.
test_a_spare_of_another_length() {
	disks
	ctl format /dev/main /dev/spare --spare-len 8192
	local len status
	for len in 8191 8184 14344; do
		status=0
		remapctl check /dev/main /dev/spare --spare-len $len >said || status=$?
		same 4 "$status" "exit status"
		if grep -q usable said; then fail "$(cat said)"; fi
		ctl_refuses "cannot be repaired" repair /dev/main /dev/spare --spare-len $len
		refused "$(tail -n 1 said | sed 's/.*repaired: //')" \
			dm create r "0 131072 remap /dev/main 0 /dev/spare 0 $len"
	done
	refused "the metadata are for a spare area of 8192 sectors" \
		dm create r "0 131072 remap /dev/main 0 /dev/spare 0 8191"
	ctl check /dev/main /dev/spare --spare-len 8192
	create r "0 131072 remap /dev/main 0 /dev/spare 0 8192"
}

# stopped NUMBER WORDS...: remapctl, killed when it waits for the disks for the NUMBERth time.
stopped() {
	local number=$1
	shift
	strace -qq -o /dev/null -e trace=fdatasync -e "inject=fdatasync:signal=KILL:when=$number" \
		remapctl "$@" >said 2>&1 && fail "not stopped: $(cat said)"
	return 0
}

# Main's stale data are not shown, whenever it is stopped.
test_a_restore_that_is_stopped() {
	disks
	create r "0 131072 remap /dev/main 0 /dev/spare 0 16384"
	message remap 0 2048 >/dev/null
	random one 1
	put one
	dmsetup remove --retry r
	remapctl dump /dev/main /dev/spare >kept
	local uuid number
	uuid=$(sed -n 's/.*"array": "\(.*\)".*/\1/p' kept)
	for number in 3 4 8; do
		stopped $number restore /dev/main /dev/spare kept --force "$uuid"
		case $number in
		4)
			refused "format or restore was interrupted: run it again" \
				dm create r "0 131072 remap /dev/main 0 /dev/spare 0 16384"
			ctl_refuses "'--force unfinished' overwrites it" restore /dev/main /dev/spare kept
			ctl restore /dev/main /dev/spare kept --force unfinished
			;;
		*)
			create r "0 131072 remap /dev/main 0 /dev/spare 0 16384"
			holds one
			dmsetup remove --retry r
			;;
		esac
		ctl check /dev/main /dev/spare || ctl repair /dev/main /dev/spare
	done
	create r "0 131072 remap /dev/main 0 /dev/spare 0 16384"
	holds one
}

test_import_of_what_cannot_be_read() {
	disks
	ctl create r /dev/main /dev/spare
	random one 1
	put one
	bad main 1002 1002
	printf '400\n500\n501\n502\n503\n504\n600\n' >list
	if remapctl import r list >said 2>&1; then fail "$(cat said)"; fi
	grep -q "^sectors 1000 to 1009: .*'lossy'" said || fail "$(cat said)"
	same 1 "$(grep -c ^sectors said)" "ranges that stay"
	same "800 1008 1200" "$(message list | cut -d' ' -f1 | xargs)" list
	ctl import r list --lossy
	same "800 1000 1008 1200" "$(message list | cut -d' ' -f1 | xargs)" list
	# Other errors end it.
	bad spare 2048 14335
	printf '700\n800\n' >list
	ctl_refuses "its spare unit fails" import r list
	same 0 "$(grep -c '^sectors' said)" "ranges that stay"
}
