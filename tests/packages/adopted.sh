# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# After a reboot: the file system of the adopted disk was mounted by its UUID, from the array. The disk is that with the
# SCSI target TARGET.
set -euxo pipefail

systemctl start srv-disk.mount
[ "$(findmnt -no SOURCE /srv/disk)" = /dev/mapper/safe ]
cmp /etc/os-release /srv/disk/before
echo 3 >/proc/sys/vm/drop_caches
for number in $(seq 0 $(($(cat /root/count) - 1))); do
	cmp /root/data "/srv/disk/data$number"
done
dmsetup status safe | grep -q ' remap relocated 3/'
remapctl status safe
main=$(realpath /dev/disk/by-path/*-scsi-0:0:"$TARGET":0)
[ "$(lsblk -no FSTYPE "$main" | head -1)" = remap_member ]
uname -r
