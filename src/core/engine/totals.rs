// SPDX-License-Identifier: GPL-2.0

//! What the entries of a map amount to.

use crate::blocks::Blocks;
use crate::index::{
    Entry,
    State, //
};

/// What the entries of a map amount to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    /// Units that are suspects.
    pub(super) suspects: u64,
    /// Units that are relocated.
    pub(super) relocated: u64,
    /// Blocks of relocated units whose data are lost.
    pub(super) lost_blocks: u64,
}

impl Totals {
    /// Adds or subtracts the entry of a unit with `all` blocks.
    pub(super) fn count(&mut self, entry: Option<Entry>, all: Blocks, change: fn(u64, u64) -> u64) {
        match entry.map(|entry| entry.state) {
            Some(State::Suspect) => self.suspects = change(self.suspects, 1),
            Some(State::Relocated { valid, .. }) => {
                let lost = u64::from(all.minus(valid).count());
                self.relocated = change(self.relocated, 1);
                self.lost_blocks = change(self.lost_blocks, lost);
            }
            Some(State::Main) | None => {}
        }
    }
}
