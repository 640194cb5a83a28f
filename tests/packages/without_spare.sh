# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# The spare of the adopted disk is not there: the array is not activated, and nobody sees old data.
set -euxo pipefail

uname -r
main=$(realpath /dev/disk/by-path/*-scsi-0:0:0:0)
until [ "$(systemctl show -P Result remap-last-resort@safe.service)" = exit-code ]; do sleep 1; done
[ ! -e /dev/mapper/safe ]
[ "$(lsblk -no FSTYPE "$main" | head -1)" = remap_member ]
[ ! -e /dev/disk/by-uuid/5e3a1c9e-6c0b-4d0f-8a5e-2f6d1b7c9a10 ]
[ -z "$(findmnt -no SOURCE /srv/disk)" ]
if remapctl activate --without-spare safe 2>/tmp/reason; then exit 1; fi
grep -q 'is not there, and without it relocated data are missing' /tmp/reason
journalctl -b -u remap-last-resort@safe.service | grep -q 'is not there'
remapctl status
