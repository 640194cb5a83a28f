#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# dracut's module for arrays of dm-remap. Its own module 'dm' takes the devices down at shutdown, which marks
# arrays as clean.

# Called by dracut: whether the module is wanted.
check() {
	require_binaries remapctl dmsetup || return 1
	# shellcheck disable=SC2154 # dracut's.
	[ -n "$hostonly" ] || return 255
	grep -q '^[[:space:]]*[^#[:space:]]' "${dracutsysrootdir:-}/etc/remaptab" 2>/dev/null || return 255
	return 0
}

# Called by dracut.
depends() {
	echo dm
}

# Called by dracut.
installkernel() {
	# The others are for data of an array that move to another disk.
	instmods dm_remap dm_clone dm_zero
}

# Called by dracut.
install() {
	inst_multiple remapctl dmsetup blkid
	inst_rules 59-remap.rules
	inst_simple /etc/remaptab
	# shellcheck disable=SC2154 # dracut's.
	if dracut_module_included systemd; then
		inst_simple "${systemdsystemunitdir:?}/remap-activate@.service"
		inst_simple "${systemdsystemunitdir:?}/remap-last-resort@.timer"
		inst_simple "${systemdsystemunitdir:?}/remap-last-resort@.service"
	fi
	# What udev missed, and a spare that does not come: without systemd there is no timer.
	inst_hook initqueue/timeout 60 "${moddir:?}/remap-last-resort.sh"
}
