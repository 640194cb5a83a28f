// SPDX-License-Identifier: GPL-2.0

//! Disks that are gone, and not bad: no spare unit is used for them.

crate::tests![];
