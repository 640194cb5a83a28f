// SPDX-License-Identifier: GPL-2.0

//! When regions of the metadata that failed are tried again without a commit.

/// How long to wait at first, in milliseconds, and how often that is doubled at most: to an hour
/// and a half.
const FIRST_PAUSE: u64 = 10_000;
const MOST_DOUBLED: u32 = 9;

/// When regions that failed are tried again.
#[derive(Default)]
pub(crate) struct RegionRetry {
    /// When they were tried last, in milliseconds of the instance.
    tried_at: u64,
    /// How often in a row that was in vain.
    in_vain: u32,
}

impl RegionRetry {
    /// How many milliseconds pass between two tries: twice as many each time, since a disk may take
    /// seconds for each block that fails.
    pub(crate) fn pause(&self) -> u64 {
        FIRST_PAUSE << self.in_vain.min(MOST_DOUBLED)
    }

    /// No region is missing.
    pub(crate) fn note_complete(&mut self) {
        self.in_vain = 0;
    }

    /// Whether those that are missing are to be tried now, which is noted.
    pub(crate) fn is_due(&mut self, now: u64) -> bool {
        if now.saturating_sub(self.tried_at) < self.pause() {
            return false;
        }
        self.tried_at = now;
        self.in_vain = self.in_vain.saturating_add(1);
        true
    }
}
