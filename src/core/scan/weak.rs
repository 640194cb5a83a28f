// SPDX-License-Identifier: GPL-2.0

//! Which reads were so slow that the disk must have tried again and again.

/// How many times slower than others a read must be.
const TIMES: u64 = 8;
/// How slow it must be at least, in milliseconds: an idle disk that spins up, or one that is
/// shared, is not weak.
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
    /// Whether a read that took so many milliseconds was slow.
    pub fn is_slow(&self, milliseconds: u64) -> bool {
        let usual = self.mean.unwrap_or(0);
        let now = milliseconds.saturating_mul(WEIGHT);
        milliseconds >= LEAST && now > usual.saturating_mul(TIMES)
    }

    /// Has a read count for those that follow.
    pub fn learn(&mut self, milliseconds: u64) {
        let now = milliseconds.saturating_mul(WEIGHT);
        let mean = self.mean.unwrap_or(now);
        self.mean = Some(mean - mean / WEIGHT + now / WEIGHT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_is_much_slower_than_usual_and_not_only_a_little_slow() {
        let mut usual = Usual::default();
        assert!(usual.is_slow(500));
        for _ in 0..50 {
            assert!(!usual.is_slow(10));
            usual.learn(10);
        }
        assert!(!usual.is_slow(499));
        assert!(usual.is_slow(500));
        assert!(usual.is_slow(2000));
    }

    #[test]
    fn a_slow_disk_is_not_weak_everywhere() {
        let mut usual = Usual::default();
        for _ in 0..50 {
            usual.learn(10);
        }
        for _ in 0..4 {
            usual.learn(3000);
        }
        assert!(!usual.is_slow(3000));
        for _ in 0..100 {
            usual.learn(3000);
        }
        assert!(!usual.is_slow(20_000));
        assert!(usual.is_slow(60_000));
    }

    #[test]
    fn no_number_is_too_large() {
        let mut usual = Usual::default();
        for milliseconds in [u64::MAX, 0, u64::MAX, u64::MAX] {
            usual.is_slow(milliseconds);
            usual.learn(milliseconds);
        }
        assert!(!usual.is_slow(u64::MAX));
    }
}
