# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# After a loss of power: the first COUNT files, which were acknowledged, are there.
set -euxo pipefail

uname -r
systemctl start srv-disk.mount
[ "$(findmnt -no SOURCE /srv/disk)" = /dev/mapper/safe ]
for number in $(seq 1 "$COUNT"); do
	cmp /root/data "/srv/disk/kept$number"
done
dmsetup status safe
dmsetup status safe | grep -q ' remap relocated 3/'
remapctl status safe
