// SPDX-License-Identifier: GPL-2.0

//! The writes that wait for a spare unit.

/// How many writes wait, and for how long they may.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) waiting: u64,
    /// When the first of them came, in milliseconds.
    pub(super) since: u64,
    /// For how many seconds they may wait, if at all.
    pub(super) timeout: Option<u64>,
    /// They waited for so long in vain, and no spare unit was free since.
    pub(super) is_in_vain: bool,
}

impl Queue {
    /// Takes note that a spare unit became free.
    pub(super) fn note_freed(&mut self) {
        self.is_in_vain = false;
    }

    /// Whether a write may wait.
    pub(super) fn may_wait(&self) -> bool {
        self.timeout.is_some() && !self.is_in_vain
    }

    /// One write more waits.
    pub(super) fn enter(&mut self, now: u64) {
        if self.waiting == 0 {
            self.since = now;
        }
        self.waiting = self.waiting.saturating_add(1);
    }

    /// One write less waits. The others wait for the next spare unit, from now on.
    pub(super) fn leave(&mut self, now: u64) {
        self.waiting = self.waiting.saturating_sub(1);
        self.since = now;
    }
}
