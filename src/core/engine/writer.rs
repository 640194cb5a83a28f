// SPDX-License-Identifier: GPL-2.0

//! The state of what is written to the metadata.

use crate::metadata::journal::Dead;
use crate::metadata::record::Record;
use crate::metadata::update::{
    Update,
    Which, //
};

/// What is being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Job {
    Commit,
    /// A checkpoint of these regions, and the last record that was written.
    Checkpoint(Which, Option<Record>),
}

/// The state of what is written.
#[derive(Debug)]
pub(super) struct Writer {
    /// The number of the group that is gathered; the one before is the last that was begun.
    pub(super) gathering: u64,
    /// The number of the last group that is durable.
    pub(super) durable: u64,
    /// Nothing can be committed any more, until the metadata are loaded anew.
    pub(super) is_read_only: bool,
    pub(super) update: Option<(Update, Job)>,
    /// A checkpoint that somebody wants.
    pub(super) wanted: Option<Which>,
    /// How many checkpoints have ended, and what the last one of all regions came to.
    pub(super) checkpoints: u64,
    pub(super) last_whole: Result<usize, Dead>,
    /// How many commits pass before regions that failed are tried again.
    pub(super) commits_to_wait: u32,
}

impl Writer {
    pub(super) const fn new() -> Self {
        Self {
            gathering: 1,
            durable: 0,
            is_read_only: false,
            update: None,
            wanted: None,
            checkpoints: 0,
            last_whole: Ok(0),
            commits_to_wait: 0,
        }
    }

    /// The number of the group that is gathered.
    pub(super) fn gathering(&self) -> u64 {
        self.gathering
    }
}
