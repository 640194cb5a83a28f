// SPDX-License-Identifier: GPL-2.0

//! The kernel abstractions of rust/ by themselves: their KUnit suites.

crate::tests![];
