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
        FIRST_PAUSE << self.in_vain.saturating_sub(1).min(MOST_DOUBLED)
    }

    /// Whether they are to be tried now, which is noted, if one `is_missing`.
    pub(crate) fn is_due(&mut self, is_missing: bool, now: u64) -> bool {
        if !is_missing {
            self.in_vain = 0;
            return false;
        }
        if now.saturating_sub(self.tried_at) < self.pause() {
            return false;
        }
        self.tried_at = now;
        self.in_vain = self.in_vain.saturating_add(1);
        true
    }
}
