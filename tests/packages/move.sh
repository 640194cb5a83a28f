# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# On the same machine and disks as adopt.sh: the data of the array begin to move to a new disk, and the machine goes down
# before the command has brought that to its end.
set -euxo pipefail

new=$(realpath /dev/disk/by-path/*-scsi-0:0:2:0)
systemctl start srv-disk.mount
[ "$(findmnt -no SOURCE /srv/disk)" = /dev/mapper/safe ]
remapctl retire safe --to "$new" &
tool=$!
until [ -e /dev/mapper/safe-copy ]; do sleep 0.1; done
# Whoever has the lock keeps the command from its end.
exec 9>/run/remapctl.lock
flock 9
kill -KILL "$tool"
wait "$tool" || true
dmsetup table safe-copy | grep ' clone '
remapctl status
remapctl status | grep 'safe *moving'
[ "$(lsblk -no FSTYPE "$new" | head -1)" = remap_member ]
cmp /etc/os-release /srv/disk/before
cp /etc/fstab /srv/disk/before
sync
uname -r
