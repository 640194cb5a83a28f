// SPDX-License-Identifier: GPL-2.0

//! The map: what goes where, and how bios are cut.

crate::tests![];
