// SPDX-License-Identifier: GPL-2.0

//! Sectors that fail: what the caller sees, what is used up, what is counted.

crate::tests![];
