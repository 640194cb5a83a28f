// SPDX-License-Identifier: GPL-2.0

//! Writes that wait for a spare unit (`queue_if_no_spare`): until one is free, the device is
//! suspended, or an administrator had time enough to do something about it.

use crate::bio_context::BioContext;
use kernel_ext::device_mapper::{
    BioQueue,
    OwnedBio, //
};

/// The writes that wait, and for how long they may.
#[derive(Default)]
pub(crate) struct Parked {
    bios: BioQueue<BioContext>,
    count: u64,
    /// When the first of them came, in milliseconds of the instance.
    since: u64,
    /// For how many seconds, if at all.
    patience: Option<u64>,
    /// They waited for so long in vain, and no spare unit was free since.
    in_vain: bool,
}

impl Parked {
    /// How many wait.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// For how many milliseconds more those that wait may, if any do.
    pub(crate) fn left(&self, now: u64) -> Option<u64> {
        let patience = self.seconds().saturating_mul(1000);
        (self.count > 0).then(|| patience.saturating_sub(now.saturating_sub(self.since)))
    }

    /// Starts anew with this patience.
    pub(crate) fn start(&mut self, patience: Option<u64>) {
        (self.patience, self.in_vain) = (patience, false);
    }

    /// Whether one more may wait.
    pub(crate) fn may_wait(&self) -> bool {
        self.patience.is_some() && !self.in_vain
    }

    /// Adds one at the moment `now`.
    pub(crate) fn push(&mut self, bio: OwnedBio<BioContext>, now: u64) {
        if self.count == 0 {
            self.since = now;
        }
        self.count += 1;
        self.bios.push(bio);
    }

    /// All that wait, of which none does then.
    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = OwnedBio<BioContext>> {
        self.count = 0;
        self.bios.take_all()
    }

    /// For how many seconds they may wait.
    pub(crate) fn seconds(&self) -> u64 {
        self.patience.unwrap_or(0)
    }

    /// Takes note of whether the last of them waited in vain, so that none waits any more.
    pub(crate) fn set_in_vain(&mut self, in_vain: bool) {
        self.in_vain = in_vain;
    }
}
