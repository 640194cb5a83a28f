# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# After another reboot, with the old disks or without: the file system is on the new disk, which is that with the SCSI
# target TARGET, and has all data.
set -euxo pipefail

new=$(realpath /dev/disk/by-path/*-scsi-0:0:"$TARGET":0)
systemctl start srv-disk.mount
[ "$(findmnt -no SOURCE /srv/disk)" = "$new" ]
cmp /etc/fstab /srv/disk/before
for number in $(seq 0 $(($(cat /root/count) - 1))); do
	cmp /root/data "/srv/disk/data$number"
done
[ ! -e /dev/mapper/safe ]
uname -r
