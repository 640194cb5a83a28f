// SPDX-License-Identifier: GPL-2.0

//! Changes that one commit makes durable.

use super::change::Change;
use super::memory::{
    Full,
    List,
    Memory, //
};
use crate::metadata::record::{
    Record,
    PER_COMMIT, //
};
use crate::metadata::standing::End;

/// The most changes of a group.
pub const CHANGES: usize = 96;
/// The most spare units that a group retires or frees, each.
pub const SPARES: usize = PER_COMMIT - CHANGES;
/// The most spare units that one change retires: those that failed, and that where the unit was.
pub const RETIRED_PER_CHANGE: usize = 9;

/// Changes that one commit makes durable.
pub struct Group<M: Memory> {
    pub(super) changes: List<M::Changes>,
    /// Spare units that failed.
    pub(super) retired: List<M::SpareUnits>,
    /// Spare units that nothing needs once the commit is durable.
    pub(super) freed: List<M::SpareUnits>,
    /// A commit is wanted even if nothing changes.
    pub(super) is_wanted: bool,
    /// Somebody waits for the commit of what changes.
    pub(super) is_awaited: bool,
    /// The commit says that the array is shut down in order, and how it is then.
    pub(super) end: Option<End>,
}

impl<M: Memory> Group<M> {
    /// An empty group in this memory: [`CHANGES`] changes, and twice [`SPARES`] spare units.
    pub fn new(changes: M::Changes, retired: M::SpareUnits, freed: M::SpareUnits) -> Self {
        Self {
            changes: List::new(changes),
            retired: List::new(retired),
            freed: List::new(freed),
            is_wanted: false,
            is_awaited: false,
            end: None,
        }
    }

    /// Whether a commit is due. Changes wait for others to come, until somebody waits for them.
    pub(super) fn is_due(&self) -> bool {
        let is_lonely = self.changes.is_empty() && !self.retired.is_empty();
        self.is_wanted || is_lonely || (self.is_awaited && !self.changes.is_empty())
    }

    /// Whether one change more fits, with the spare units that it retires.
    pub(super) fn has_room(&self) -> bool {
        self.changes.room() > 0
            && self.freed.room() > 0
            && self.retired.room() >= RETIRED_PER_CHANGE
            && self.records() + 1 + RETIRED_PER_CHANGE <= PER_COMMIT
    }

    /// Adds a change.
    pub(super) fn push(&mut self, change: Change) -> Result<(), Full> {
        self.changes.push(change)
    }

    /// How many records the commit has.
    pub(super) fn records(&self) -> usize {
        self.changes.len() + self.retired.len()
    }

    /// Its records: each unit before the spare units that it gave up.
    pub(super) fn iter(&self) -> impl Iterator<Item = Record> + '_ {
        let retired = self.retired.iter();
        let retired = retired.map(|&spare| Record::Retired { spare });
        self.changes.iter().map(Change::record).chain(retired)
    }

    pub(super) fn clear(&mut self) {
        self.changes.clear();
        self.retired.clear();
        self.freed.clear();
        (self.is_wanted, self.is_awaited, self.end) = (false, false, None);
    }
}
