// SPDX-License-Identifier: GPL-2.0

//! Bad input: each has a named reason and changes nothing.

crate::tests![];
