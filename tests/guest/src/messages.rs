// SPDX-License-Identifier: GPL-2.0

//! What messages do when they are right.

crate::tests![];
