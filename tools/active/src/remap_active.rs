// SPDX-License-Identifier: GPL-2.0

//! Active arrays, as device-mapper shows them: requests to the kernel, and typed answers.
//!
//! `remapctl` and the guest tests share this crate, so that both read a status line, the counters
//! and the lists in one way.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod answer;
pub mod list;
pub mod mapper;
pub mod status;
pub mod table;

/// The name of the target type.
pub const TYPE: &str = "remap";
