# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# On the same machine and disks as first_use.sh, after a shutdown with an active array.
set -euxo pipefail

main=$(realpath /dev/disk/by-path/*-scsi-0:0:0:0) spare=$(realpath /dev/disk/by-path/*-scsi-0:0:1:0)
uname -r
dmsetup create safe --table "0 $(blockdev --getsz "$main") remap $main 0 $spare 0 $(blockdev --getsz "$spare")"
dd if=/dev/mapper/safe bs=4096 count=3000 iflag=direct | cmp - /root/data
dmsetup status safe | grep -q ' remap relocated 3/'
dmsetup remove --retry safe
