// SPDX-License-Identifier: GPL-2.0

//! Flushes, discards, zeroes, flags and read-only devices.

crate::tests![];
