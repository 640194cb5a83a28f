// SPDX-License-Identifier: GPL-2.0

//! Units that are written in successive versions, and the versions that a crash may leave behind.

#![forbid(unsafe_code)]

pub mod log;
pub mod replay;
pub mod units;
pub mod versions;
