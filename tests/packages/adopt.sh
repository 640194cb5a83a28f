# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# On a stock kernel with the packages: a disk with a file system is adopted, and some of its sectors turn out bad.
set -euxo pipefail

main=$(realpath /dev/disk/by-path/*-scsi-0:0:0:0) spare=$(realpath /dev/disk/by-path/*-scsi-0:0:1:0)
# The metadata of the file system and its first files are before the first bad sector.
mkfs.ext4 -q -b 4096 -N 512 -U 5e3a1c9e-6c0b-4d0f-8a5e-2f6d1b7c9a10 "$main"
mkdir /srv/disk
mount "$main" /srv/disk
cp /etc/os-release /srv/disk/before
umount /srv/disk

remapctl adopt "$main" --spare "$spare" --name safe
udevadm settle
echo "UUID=5e3a1c9e-6c0b-4d0f-8a5e-2f6d1b7c9a10 /srv/disk ext4 defaults,nofail 0 2" >>/etc/fstab
systemctl daemon-reload
mount /srv/disk
[ "$(findmnt -no SOURCE /srv/disk)" = /dev/mapper/safe ]
cmp /etc/os-release /srv/disk/before
# Files until it is full, so that each bad sector is written.
dd if=/dev/urandom of=/root/data bs=1M count=12
count=0
while cp /root/data "/srv/disk/data$count"; do count=$((count + 1)); done
rm "/srv/disk/data$count"
echo "$count" >/root/count
sync
dmsetup status safe
dmsetup status safe | grep -q ' remap relocated 3/'

# The disk by itself is not to be used any more.
[ "$(blkid -p -s TYPE -o value "$main")" = ext4 ]
[ "$(lsblk -no FSTYPE "$main" | head -1)" = remap_member ]
if mount "$main" /mnt/; then
	echo "the bare disk was mounted"
	exit 1
fi
uname -r
