// SPDX-License-Identifier: GPL-2.0

//! How fast a scan reads: as fast as it may while nobody else does, and less and less while
//! somebody does.

/// Below which part of the ceiling it does not go.
const LEAST_PART: u64 = 64;
/// By which part of the ceiling it becomes faster at a time.
const STEP_PART: u64 = 16;

/// The rate of a scan: additive increase, multiplicative decrease.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Bytes a second.
    rate: u64,
    ceiling: u64,
}

impl Pace {
    /// Begins with the rate it has at least.
    pub fn new(ceiling: u64) -> Self {
        let mut this = Self { rate: 0, ceiling };
        this.set_ceiling(ceiling);
        this
    }

    /// Goes on below another ceiling, in bytes a second.
    pub fn set_ceiling(&mut self, ceiling: u64) {
        self.ceiling = ceiling.max(LEAST_PART);
        self.rate = self.rate.clamp(self.least(), self.ceiling);
    }

    fn least(&self) -> u64 {
        (self.ceiling / LEAST_PART).max(1)
    }

    /// Bytes a second.
    pub fn rate(&self) -> u64 {
        self.rate
    }

    /// After some reads, in which time others asked for `others` requests.
    pub fn adapt(&mut self, others: u64) {
        self.rate = match others {
            0 => {
                let more = self.rate.saturating_add(self.ceiling / STEP_PART);
                more.min(self.ceiling)
            }
            _ => (self.rate / 2).max(self.least()),
        };
    }

    /// For how many milliseconds to wait after `bytes` bytes that took `milliseconds`.
    pub fn pause(&self, bytes: u64, milliseconds: u64) -> u64 {
        let due = bytes.saturating_mul(1000) / self.rate.max(1);
        due.saturating_sub(milliseconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn it_reaches_its_ceiling_alone_and_yields_to_others() {
        let mut pace = Pace::new(64 * MIB);
        assert_eq!(pace.rate(), MIB);
        for _ in 0..16 {
            pace.adapt(0);
        }
        assert_eq!(pace.rate(), 64 * MIB);
        pace.adapt(1);
        assert_eq!(pace.rate(), 32 * MIB);
        for _ in 0..100 {
            pace.adapt(1000);
        }
        assert_eq!(pace.rate(), MIB);
    }

    #[test]
    fn a_pause_makes_up_for_what_was_too_fast() {
        let mut pace = Pace::new(MIB);
        for _ in 0..16 {
            pace.adapt(0);
        }
        assert_eq!(pace.pause(MIB, 0), 1000);
        assert_eq!(pace.pause(MIB / 4, 100), 150);
        assert_eq!(pace.pause(MIB / 4, 1000), 0);
        assert_eq!(pace.pause(u64::MAX, 0), u64::MAX / MIB);
    }

    #[test]
    fn a_lower_ceiling_holds_at_once() {
        let mut pace = Pace::new(64 * MIB);
        for _ in 0..16 {
            pace.adapt(0);
        }
        pace.set_ceiling(MIB);
        assert_eq!(pace.rate(), MIB);
        pace.set_ceiling(0);
        assert!(pace.rate() > 0);
        pace.adapt(5);
        assert!(pace.rate() > 0);
    }

    #[test]
    fn no_ceiling_is_too_high() {
        let mut pace = Pace::new(u64::MAX);
        for _ in 0..40 {
            pace.adapt(0);
        }
        assert_eq!(pace.rate(), u64::MAX);
        assert_eq!(pace.pause(u64::MAX, u64::MAX), 0);
    }
}
