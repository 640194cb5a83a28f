// SPDX-License-Identifier: GPL-2.0

//! Units that are written version after version, and what of that a crash may leave behind.

#![forbid(unsafe_code)]

pub mod log;
pub mod replay;
pub mod units;
pub mod versions;
