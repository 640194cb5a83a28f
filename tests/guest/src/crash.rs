// SPDX-License-Identifier: GPL-2.0

//! The power goes while units are being relocated. Written are 64 units that cannot be written on main and as

crate::tests![];
