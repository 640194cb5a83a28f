# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Writes files to the adopted disk, and prints the number of each that the file system has acknowledged.
set -euxo pipefail

uname -r
systemctl start srv-disk.mount
rm /srv/disk/data*
number=0
while number=$((number + 1)); do
	dd if=/root/data of="/srv/disk/kept$number" bs=1M conv=fsync
	echo "acknowledged $number"
done
