// SPDX-License-Identifier: GPL-2.0

//! What is remembered, and what happens when it cannot be.

crate::tests![];
