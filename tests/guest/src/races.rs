// SPDX-License-Identifier: GPL-2.0

//! Units that are moved while others use them.

crate::tests![];
