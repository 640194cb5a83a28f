# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Adopts a disk with a root file system, which is a copy of that of the running system.
set -euxo pipefail

uname -r
main=$(realpath /dev/disk/by-path/*-scsi-0:0:0:0) spare=$(realpath /dev/disk/by-path/*-scsi-0:0:1:0)
remapctl adopt "$main" --spare "$spare" --name root
udevadm settle
mkdir /srv/root
mount /dev/mapper/root /srv/root
cp /etc/remaptab /srv/root/etc/remaptab
echo "/dev/mapper/root / ext4 errors=remount-ro 0 1" >/srv/root/etc/fstab
umount /srv/root
dd if=/etc/remaptab of=/dev/vdc conv=fsync
