// SPDX-License-Identifier: GPL-2.0

//! Memory is short, and what makes it less short is a write that has to be relocated, for which memory is needed.

crate::tests![];
