// SPDX-License-Identifier: GPL-2.0

//! An update of the metadata, one phase after the other.
//!
//! The journal says which block is to be written to which regions; whoever has the devices does
//! all of a phase at once or in any order, tells what became of it, and asks for the next phase.
//!
//! | phase | orders | then |
//! |---|---|---|
//! | `Log` | the commit's block, to each good region of the spare | `LogOnMain` if a region took it |
//! | `LogOnMain` | the commit's block, to each good region of main | `Mark` |
//! | `Mark` | a misplaced block, to each region that now misses commits | `Mark`, up to four times |
//! | `Records` | a block of records, to the unused slot of each wanted region | `Records`, then `Flush` |
//! | `Flush` | a flush of each region whose records were written | `Heads` |
//! | `Heads` | the head, to each region whose records are durable | end |

use super::array::Head;
use super::standing::Standing;
use crate::region_layout::{
    Slot,
    MAX_REGIONS, //
};

/// How many other places of a log are tried to mark a region that misses commits.
pub(super) const MARKS: u64 = 4;

/// I/O on one region. Blocks are counted from the region's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegionIo {
    /// Write a block, which may be lost until a flush.
    Write(u64),
    /// Write a block so that it is durable; that says nothing of other blocks.
    WriteThrough(u64),
    /// Make durable all that was written to the region.
    Flush,
}

/// The I/O of one phase on each region, to be done at once or in any order.
pub type Orders = [Option<RegionIo>; MAX_REGIONS];

/// Which regions a checkpoint is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// All that the array has.
    All,
    /// Those that miss commits.
    Dropped,
}

/// How far a checkpoint has come in one region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The region is left as it is.
    Left,
    /// The checkpoint is being written to this slot.
    Writing(Slot),
    /// A block of records could not be written: the slot's head is that of an older checkpoint.
    NoRecords,
    /// The head, or what makes the records durable, failed: there may be a head or not.
    NoHead,
    /// The checkpoint is there.
    Written,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The commit's block on the spare.
    Log,
    /// The same on main: main's regions never have a commit that the spare's miss, since such a
    /// spare is refused as stale.
    LogOnMain,
    /// The mark of regions that miss commits, so many places ahead.
    Mark(u64),
    /// The block of records of this number, and how many records it holds.
    Records(u64, u32),
    Flush,
    Heads,
}

/// An update that is under way.
#[derive(Clone, Debug)]
pub struct Update {
    /// What is to be ordered next; none at the end.
    pub(super) next: Option<Phase>,
    /// The phase whose orders are being carried out.
    pub(super) phase: Phase,
    pub(super) standing: Standing,
    /// How many records a commit has.
    pub(super) records: usize,
    /// The head of a checkpoint, and how many blocks of records it has.
    pub(super) head: Option<(Head, u64)>,
    pub(super) progress: [Progress; MAX_REGIONS],
    /// The commit reached no region of the spare.
    pub(super) is_lost: bool,
}
