// SPDX-License-Identifier: GPL-2.0

//! What keeps a dying disk from using up the spare.
//!
//! A disk that is unplugged, or that fails as a whole, reports the same errors as a bad sector. So units are
//! relocated only as long as few fail at a time. When too many do, the breaker opens: errors pass to whoever
//! asked, until an administrator says that the disk is well again.

/// How many units may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// So many units at once; 0 for no limit.
    pub units: u64,
    /// And as many again in so many seconds.
    pub seconds: u64,
}

impl Limit {
    /// What holds where nobody said otherwise.
    pub const DEFAULT: Self = Self {
        units: 32,
        seconds: 10,
    };

    /// The limit that two numbers ask for; `None` if they make no sense together.
    pub const fn new(units: u64, seconds: u64) -> Option<Self> {
        let none = units == 0 && seconds == 0;
        let sane = units > 0 && seconds > 0 && units <= 1 << 32 && seconds <= 86_400;
        if none || sane {
            Some(Self { units, seconds })
        } else {
            None
        }
    }
}

/// Why the breaker is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trip {
    /// More units failed than the limit allows.
    TooMany,
    /// Nothing on the device could be read.
    Unreadable,
    /// Nothing on the device could be written.
    Unwritable,
}

impl Trip {
    /// The same in words.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::TooMany => "too many units fail at a time",
            Self::Unreadable => "nothing on main can be read",
            Self::Unwritable => "nothing on main can be written",
        }
    }
}

/// Counts the units that fail.
///
/// # Invariants
///
/// `owed` is at most `limit.units * limit.seconds * 1000`: each unit that failed owes
/// `limit.seconds * 1000` and each millisecond pays `limit.units` back.
#[derive(Clone, Copy, Debug)]
pub struct Breaker {
    limit: Limit,
    owed: u64,
    /// When that was so, in milliseconds.
    at: u64,
    open: Option<Trip>,
}

impl Breaker {
    /// A closed breaker.
    pub const fn new(limit: Limit) -> Self {
        Self {
            limit,
            owed: 0,
            at: 0,
            open: None,
        }
    }

    /// Sets the limit; where it is another, what failed before is forgotten.
    pub fn set_limit(&mut self, limit: Limit) {
        if limit != self.limit {
            *self = Self {
                open: self.open,
                ..Self::new(limit)
            };
        }
    }

    /// Why it is open, if it is.
    pub const fn open(&self) -> Option<Trip> {
        self.open
    }

    /// Opens it.
    pub fn trip(&mut self, why: Trip) {
        self.open = Some(why);
    }

    /// Closes it; what failed before is forgotten. Whether it was open.
    pub fn rearm(&mut self) -> bool {
        let was_open = self.open.is_some();
        *self = Self::new(self.limit);
        was_open
    }

    /// Takes note that one more unit failed at `now`, in milliseconds of a clock that does not go back.
    /// Whether it may be dealt with; otherwise the breaker is open from now on.
    pub fn admit(&mut self, now: u64) -> bool {
        if self.open.is_some() {
            return false;
        }
        let Limit { units, seconds } = self.limit;
        if units == 0 {
            return true;
        }
        let paid = now.saturating_sub(self.at).saturating_mul(units);
        let price = seconds * 1000;
        let owed = self.owed.saturating_sub(paid) + price;
        self.at = now;
        if owed > units * price {
            self.trip(Trip::TooMany);
            return false;
        }
        self.owed = owed;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NO_LIMIT: Limit = Limit {
        units: 0,
        seconds: 0,
    };

    /// How many units are admitted at these times.
    fn admitted(limit: Limit, times: impl IntoIterator<Item = u64>) -> usize {
        let mut breaker = Breaker::new(limit);
        times.into_iter().filter(|&now| breaker.admit(now)).count()
    }

    #[test]
    fn few_at_a_time_pass() {
        assert_eq!(admitted(Limit::DEFAULT, [5; 32]), 32);
        assert_eq!(admitted(Limit::DEFAULT, [5; 33]), 32);
        assert_eq!(
            admitted(Limit::DEFAULT, (0..10_000).map(|n| n * 313)),
            10_000
        );
        assert!(admitted(Limit::DEFAULT, (0..10_000).map(|n| n * 300)) < 2000);
        assert_eq!(admitted(NO_LIMIT, std::iter::repeat_n(5, 100_000)), 100_000);
    }

    #[test]
    fn open_until_rearmed() {
        let mut breaker = Breaker::new(Limit::new(2, 1).unwrap());
        assert!(breaker.admit(0) && breaker.admit(0) && !breaker.admit(0));
        assert_eq!(breaker.open(), Some(Trip::TooMany));
        assert!(!breaker.admit(1_000_000));
        assert!(breaker.rearm() && !breaker.rearm());
        assert!(breaker.admit(1_000_000));
        breaker.trip(Trip::Unreadable);
        breaker.set_limit(NO_LIMIT);
        assert!(!breaker.admit(2_000_000));
        assert_eq!(breaker.open(), Some(Trip::Unreadable));
    }

    #[test]
    fn limits() {
        for (units, seconds, good) in [
            (32, 10, true),
            (0, 0, true),
            (0, 1, false),
            (1, 0, false),
            (1 << 32, 86_400, true),
            ((1 << 32) + 1, 1, false),
            (1, 86_401, false),
        ] {
            assert_eq!(Limit::new(units, seconds).is_some(), good);
        }
    }

    proptest! {
        /// In no stretch of time are more admitted than the limit and what it gives back.
        #[test]
        fn never_more_than_the_limit(
            units in 1u64..50, seconds in 1u64..20,
            waits in prop::collection::vec(0u64..3000, 1..300),
        ) {
            let mut breaker = Breaker::new(Limit { units, seconds });
            let (mut now, mut times) = (0, Vec::new());
            for wait in waits {
                now += wait;
                if breaker.admit(now) {
                    times.push(now);
                }
            }
            for (first, begin) in times.iter().enumerate() {
                for (last, end) in times.iter().enumerate().skip(first) {
                    let most = units * seconds * 1000 + (end - begin) * units;
                    prop_assert!(((last - first + 1) as u64) * seconds * 1000 <= most);
                }
            }
        }

        #[test]
        fn never_overflows(units in any::<u64>(), seconds in any::<u64>(), times in prop::collection::vec(any::<u64>(), 1..50)) {
            if let Some(limit) = Limit::new(units, seconds) {
                let mut breaker = Breaker::new(limit);
                for now in times {
                    breaker.admit(now);
                }
            }
        }
    }
}
