// SPDX-License-Identifier: GPL-2.0

//! What stands on disk, and how it gets there and back.
//!
//! The state of an array (where each relocated unit is, which spare units are bad) is kept in
//! several *regions*, each of which can stand for it alone. A region has two slots for
//! *checkpoints*, which hold the whole state, and a ring of *log* blocks, each of which holds one
//! commit. Commits are numbered by a *generation*; the log block of a generation has a fixed place
//! in the ring, and a checkpoint carries the generation of the last commit that is in it.
//!
//! The state is the newest whole checkpoint and all log blocks that follow it without a gap.
//! Nothing that is needed for that is ever overwritten, so a power cut at any instant leaves the
//! state before a commit or the state after it. Since a new checkpoint is due when half of the ring
//! is used, the older checkpoint leads to the same state when the newer one is damaged.
//!
//! `include/uapi/linux/dm-remap.h` and `Documentation/format.rst` have the same byte by byte.

pub mod array;
pub mod block;
pub mod journal;
mod le;
pub mod load;
pub mod main_sum;
pub mod record;
pub mod replay;
pub mod standing;
pub mod storage;
pub mod survey;
pub mod update;
pub mod uuid;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
pub(crate) mod memory;
