// SPDX-License-Identifier: GPL-2.0

//! The scan finds what fails before anybody asks for it.

crate::tests![];
