// SPDX-License-Identifier: GPL-2.0

//! The user's command on real devices.

crate::tests![];
