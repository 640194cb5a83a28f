// SPDX-License-Identifier: GPL-2.0

//! The executor: carries out what the machines of the engine ask for.
//!
//! A machine is stepped under the lock of the engine, for as long as it decides. What it asks for,
//! I/O, a pause or the end of all I/O that went where an older map said, is begun when the lock is
//! let go, and nobody waits for it: its end makes the machine ready for the next step.
//!
//! Each CPU has a lane, which steps the machines that bios or messages began on that CPU.

pub(crate) mod attend;
pub(crate) mod buffer_pool;
pub(crate) mod buffers;
pub(crate) mod commit;
pub(crate) mod crew;
pub(crate) mod delayed_tasks;
mod io;
mod lane;
pub(crate) mod machines;
mod notices;
pub(crate) mod pool;
mod quiesce;
pub(crate) mod regions;
pub(crate) mod report;
mod sleep;
pub(crate) mod task;
mod writer;
