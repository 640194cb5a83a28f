// SPDX-License-Identifier: GPL-2.0

//! Writes that wait for a spare unit (`queue_if_no_spare`): until one is free, the device is
//! suspended, or an administrator had time enough to do something about it.

use super::memory::Memory;
use super::notice::Notice;
use super::task::Key;
use super::Engine;

impl<M: Memory> Engine<M> {
    /// Sets for how many seconds writes wait for a spare unit, if at all, from now on.
    pub fn set_no_spare_timeout(&mut self, timeout: Option<u64>) {
        (self.queue.timeout, self.queue.is_in_vain) = (timeout, false);
    }

    /// How many writes wait for a spare unit.
    pub fn waiting_for_spare(&self) -> u64 {
        self.queue.waiting
    }

    /// In how many milliseconds [`Self::expire`] is to be called, if any write waits.
    pub fn no_spare_deadline(&self, now: u64) -> Option<u64> {
        let timeout = self.queue.timeout.unwrap_or(0).saturating_mul(1000);
        let waited = now.saturating_sub(self.queue.since);
        let is_due = self.queue.waiting > 0 && !self.queue.is_in_vain;
        is_due.then(|| timeout.saturating_sub(waited))
    }

    /// Has the writes fail that wait for a spare unit, if they did for too long.
    pub fn expire(&mut self, now: u64) {
        if self.no_spare_deadline(now) != Some(0) {
            return;
        }
        self.queue.is_in_vain = true;
        let seconds = self.queue.timeout.unwrap_or(0);
        self.tell(Notice::GaveUp(self.queue.waiting, seconds));
        self.wake(Key::Spare);
    }
}
