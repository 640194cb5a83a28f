// SPDX-License-Identifier: GPL-2.0

//! File systems on a disk on which more and more places cannot be written while they run. What can be read is

crate::tests![];
