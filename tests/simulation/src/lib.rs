// SPDX-License-Identifier: GPL-2.0

//! The engine over simulated disks: one thread, one seed, every order of events.
//!
//! Clients read, write and flush; disks fail, in single sectors or as a whole, lose what they have
//! in a volatile cache, and tear what they were writing when the power went. Each read is compared
//! with the values that its sectors may hold, and every request must end.

#![forbid(unsafe_code)]

pub mod config;
pub mod coverage;
pub mod disk;
pub mod exhaust;
pub mod memory;
pub mod oracle;
pub mod runs;
pub mod storage;
mod task;
pub mod world;
