// SPDX-License-Identifier: GPL-2.0

//! What the engine has to say.

use super::obstacle::Obstacle;
use crate::breaker::Trip;
use crate::fixed::Fixed;

/// Something that an administrator should know. Sectors count from the target's first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A unit of main cannot be read at this sector.
    Suspect {
        /// The sector.
        sector: u64,
    },
    /// A write failed and its unit was relocated.
    Relocated {
        /// The first sector that was written.
        sector: u64,
        /// How many blocks of the unit are lost.
        lost: u32,
    },
    /// A write failed and its unit was not relocated.
    Stays {
        /// The first sector that was written.
        sector: u64,
        /// Why.
        why: Obstacle,
    },
    /// The breaker opened.
    Tripped(Trip),
    /// So many per cent of the spare units are used up.
    Level(u8),
    /// So many regions of the metadata are good, of so many.
    Regions(usize, usize),
    /// No region of the spare takes a commit any more.
    ReadOnly,
    /// So many writes waited for a spare unit for so many seconds, in vain.
    GaveUp(u64, u64),
    /// Memory is short, or there is enough again.
    Short(bool),
    /// The map could not be updated for want of memory that was promised: a fault of the program.
    MapIncomplete,
}

/// What is to be said, in order, and whether an event is due.
#[derive(Default)]
pub struct Notices {
    items: Fixed<Notice, 8>,
    is_event_due: bool,
}

impl Notices {
    pub(super) fn add(&mut self, notice: Notice) {
        self.is_event_due = true;
        // The log is limited anyway; the event is raised whatever does not fit.
        let _ = self.items.push(notice);
    }

    pub(super) fn note_change(&mut self) {
        self.is_event_due = true;
    }

    /// What is to be said.
    pub fn iter(&self) -> impl Iterator<Item = &Notice> {
        self.items.iter()
    }

    /// Whether something changed that is worth an event.
    pub fn is_event_due(&self) -> bool {
        self.is_event_due
    }
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that failed, and then worked.
    pub transient: u64,
    /// Units that were relocated since a write failed, or since they were weak.
    pub relocated: u64,
    /// Spare units that were retired.
    pub retired: u64,
    /// How often no spare unit was left.
    pub no_spare: u64,
}
