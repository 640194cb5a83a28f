# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# After a reboot: the copy was made again, and the move comes to its end while the file system is in use.
set -euxo pipefail

new=$(realpath /dev/disk/by-path/*-scsi-0:0:2:0)
systemctl start srv-disk.mount
[ "$(findmnt -no SOURCE /srv/disk)" = /dev/mapper/safe ]
dmsetup table safe-copy | grep ' clone '
cmp /etc/fstab /srv/disk/before
remapctl retire safe --to "$new"
grep moved /etc/remaptab
[ "$(findmnt -no SOURCE /srv/disk)" = /dev/mapper/safe ]
dmsetup table safe | grep ' linear '
[ ! -e /dev/mapper/safe-copy ]
uname -r
