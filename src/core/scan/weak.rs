// SPDX-License-Identifier: GPL-2.0

//! Which reads were so slow that the disk must have tried again and again.

/// How many times slower than others a read must be.
const TIMES: u64 = 8;
/// How slow it must be at least, in milliseconds: an idle disk that spins up, or one that is shared, is not weak.
const LEAST: u64 = 500;
/// Of how many reads, roughly, the mean is.
const WEIGHT: u64 = 16;

/// What reads of the same length usually take.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usual {
    /// The mean, in 1/[`WEIGHT`] of a millisecond; `None` before the first read.
    mean: Option<u64>,
}

impl Usual {
    /// Whether a read that took so many milliseconds was slow. It counts for those that follow if it was not.
    pub fn is_slow(&mut self, milliseconds: u64) -> bool {
        let now = milliseconds.saturating_mul(WEIGHT);
        let mean = self.mean.unwrap_or(now);
        if milliseconds >= LEAST && now > mean.saturating_mul(TIMES) {
            return true;
        }
        self.mean = Some(mean - mean / WEIGHT + now / WEIGHT);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_is_much_slower_than_usual_and_not_only_a_little_slow() {
        let mut usual = Usual::default();
        for _ in 0..50 {
            assert!(!usual.is_slow(10));
        }
        assert!(!usual.is_slow(499));
        assert!(usual.is_slow(2000));
        // It does not become usual by that.
        assert!(usual.is_slow(2000));
    }

    #[test]
    fn a_slow_disk_is_not_weak_everywhere() {
        let mut usual = Usual::default();
        for _ in 0..100 {
            assert!(!usual.is_slow(3000));
        }
        assert!(!usual.is_slow(20_000));
        assert!(usual.is_slow(60_000));
    }
}
