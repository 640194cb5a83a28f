// SPDX-License-Identifier: GPL-2.0

//! Several threads read and write while disks fail, units are moved, and the device is suspended and

crate::tests![];
