// SPDX-License-Identifier: GPL-2.0

//! What keeps a dying disk from using up the spare.
//!
//! A disk that is unplugged, or that fails as a whole, reports the same errors as a bad sector. So
//! units are relocated only as long as few fail at a time, and few in a day. When too many do, the
//! breaker opens: errors pass to whoever asked, until an administrator says that the disk is well
//! again.

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

/// How many units may fail in a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Budget {
    /// An eighth of the spare units that are free, and at least [`LEAST_BUDGET`]; no limit where
    /// [`Limit`] has none.
    #[default]
    Usual,
    /// So many; 0 for no limit.
    Units(u64),
}

impl Budget {
    /// The most that may be asked for.
    pub const MOST: u64 = 1 << 32;

    /// How many units that is while `free` spare units are; `None` for no limit.
    const fn units(self, limit: Limit, free: u64) -> Option<u64> {
        match self {
            Self::Units(0) => None,
            Self::Units(units) => Some(units),
            Self::Usual if limit.units == 0 => None,
            Self::Usual if free / 8 > LEAST_BUDGET => Some(free / 8),
            Self::Usual => Some(LEAST_BUDGET),
        }
    }
}

/// What the usual budget is at least: a small spare is there to be used.
pub const LEAST_BUDGET: u64 = 256;

const DAY_SECONDS: u64 = 86_400;

/// Why the breaker is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trip {
    /// More units failed than the limit allows.
    TooMany,
    /// More units failed in a day than the budget allows.
    TooManyInADay,
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
            Self::TooManyInADay => "too many units fail in a day",
            Self::Unreadable => "nothing on main can be read",
            Self::Unwritable => "nothing on main can be written",
        }
    }
}

/// Counts units against so many in so much time.
///
/// # Invariants
///
/// Each unit that is counted owes `price`, and each millisecond pays as much back as there may be
/// units: `owed` is what was left to be paid at `at`.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    owed: u64,
    /// In milliseconds.
    at: u64,
}

impl Bucket {
    /// What is owed now, and what a unit costs, where there may be `units` in `seconds`.
    fn owed(self, now: u64, units: u64, seconds: u64) -> (u64, u64) {
        let paid = now.saturating_sub(self.at).saturating_mul(units);
        (self.owed.saturating_sub(paid), seconds.saturating_mul(1000))
    }

    /// How many more units may be counted now.
    fn left(self, now: u64, units: u64, seconds: u64) -> u64 {
        let (owed, price) = self.owed(now, units, seconds);
        let most = units.saturating_mul(price);
        most.saturating_sub(owed).checked_div(price).unwrap_or(0)
    }

    /// As it is with one unit more.
    fn with_one(self, now: u64, units: u64, seconds: u64) -> Self {
        let (owed, price) = self.owed(now, units, seconds);
        // INVARIANT: What was paid is taken off, and one unit more owes its price.
        Self {
            owed: owed.saturating_add(price),
            at: now,
        }
    }
}

/// How many units may still fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// At once; `None` where there is no limit.
    pub now: Option<u64>,
    /// How many may in a day, and how many of these are left; `None` where there is no limit.
    pub day: Option<(u64, u64)>,
}

/// Counts the units that fail.
#[derive(Clone, Copy, Debug)]
pub struct Breaker {
    limit: Limit,
    budget: Budget,
    rate: Bucket,
    day: Bucket,
    open: Option<Trip>,
}

impl Breaker {
    /// A closed breaker.
    pub const fn new(limit: Limit, budget: Budget) -> Self {
        const EMPTY: Bucket = Bucket { owed: 0, at: 0 };
        Self {
            limit,
            budget,
            rate: EMPTY,
            day: EMPTY,
            open: None,
        }
    }

    /// Sets the limit; where it is another, what failed before is forgotten for it.
    pub fn set_limit(&mut self, limit: Limit) {
        if limit != self.limit {
            (self.limit, self.rate) = (limit, Bucket::default());
        }
    }

    /// Sets the budget; where it is another, what failed before is forgotten for it.
    pub fn set_budget(&mut self, budget: Budget) {
        if budget != self.budget {
            (self.budget, self.day) = (budget, Bucket::default());
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
        *self = Self::new(self.limit, self.budget);
        was_open
    }

    /// How many units may still fail at `now`, in milliseconds of a clock that does not go back,
    /// while `free` spare units are.
    pub fn left(&self, now: u64, free: u64) -> Left {
        let Limit { units, seconds } = self.limit;
        let day = self.budget.units(self.limit, free);
        Left {
            now: (units > 0).then(|| self.rate.left(now, units, seconds)),
            day: day.map(|units| (units, self.day.left(now, units, DAY_SECONDS))),
        }
    }

    /// Whether one more unit that fails at `now` may be dealt with, while `free` spare units are.
    /// Otherwise the breaker is open from now on.
    pub fn admit(&mut self, now: u64, free: u64) -> bool {
        let left = self.left(now, free);
        if self.open.is_some() {
            return false;
        }
        if left.now == Some(0) {
            self.trip(Trip::TooMany);
        } else if left.day.is_some_and(|(_, left)| left == 0) {
            self.trip(Trip::TooManyInADay);
        }
        self.open.is_none()
    }

    /// Whether so few units failed that one may be dealt with which did not: half of what may fail
    /// is kept for those that do.
    pub fn has_room(&self, now: u64, free: u64) -> bool {
        let left = self.left(now, free);
        let is_half = |left: u64, units: u64| left > 0 && left >= units / 2;
        self.open.is_none()
            && left.now.is_none_or(|now| is_half(now, self.limit.units))
            && left.day.is_none_or(|(units, day)| is_half(day, units))
    }

    /// Takes note that one more unit was dealt with at `now`, when `free` spare units were.
    pub fn count(&mut self, now: u64, free: u64) {
        let Limit { units, seconds } = self.limit;
        self.rate = self.rate.with_one(now, units, seconds);
        if let Some(units) = self.budget.units(self.limit, free) {
            self.day = self.day.with_one(now, units, DAY_SECONDS);
        }
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

    impl Breaker {
        /// Deals with a unit if it may.
        fn take(&mut self, now: u64, free: u64) -> bool {
            let is_admitted = self.admit(now, free);
            if is_admitted {
                self.count(now, free);
            }
            is_admitted
        }
    }

    /// How many units are admitted at these times.
    fn admitted(limit: Limit, times: impl IntoIterator<Item = u64>) -> usize {
        let mut breaker = Breaker::new(limit, Budget::Units(0));
        let times = times.into_iter();
        times.filter(|&now| breaker.take(now, FREE)).count()
    }

    /// As many spare units as a usual spare has.
    const FREE: u64 = 1 << 18;

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
        let mut breaker = Breaker::new(Limit::new(2, 1).unwrap(), Budget::Usual);
        let mut admit = |now| breaker.take(now, FREE);
        assert!(admit(0) && admit(0) && !admit(0) && !admit(1_000_000));
        assert_eq!(breaker.open(), Some(Trip::TooMany));
        assert!(breaker.rearm() && !breaker.rearm());
        assert!(breaker.take(1_000_000, FREE));
        breaker.trip(Trip::Unreadable);
        breaker.set_limit(NO_LIMIT);
        assert!(!breaker.take(2_000_000, FREE));
        assert_eq!(breaker.open(), Some(Trip::Unreadable));
    }

    /// What failed before is forgotten for a limit that is another, and only then.
    #[test]
    fn another_limit_begins_anew() {
        let two = Limit::new(2, 1000).unwrap();
        let mut breaker = Breaker::new(two, Budget::Units(3));
        assert!(breaker.take(0, FREE));
        let left = |breaker: &Breaker| {
            let Left { now, day } = breaker.left(0, FREE);
            (now, day)
        };
        assert_eq!(left(&breaker), (Some(1), Some((3, 2))));
        breaker.set_limit(two);
        breaker.set_budget(Budget::Units(3));
        assert_eq!(left(&breaker), (Some(1), Some((3, 2))));
        breaker.set_limit(Limit::new(4, 1000).unwrap());
        assert_eq!(left(&breaker), (Some(4), Some((3, 2))));
        breaker.set_budget(Budget::Units(5));
        assert_eq!(left(&breaker), (Some(4), Some((5, 5))));
    }

    /// None is left for units that did not fail where the last one may fail.
    #[test]
    fn half_of_one_is_kept() {
        let mut breaker = Breaker::new(Limit::new(1, 1000).unwrap(), Budget::Units(0));
        assert!(breaker.has_room(0, FREE));
        breaker.count(0, FREE);
        assert!(!breaker.has_room(0, FREE));
    }

    /// Each reason is told from the others.
    #[test]
    fn reasons() {
        let all = [
            Trip::TooMany,
            Trip::TooManyInADay,
            Trip::Unreadable,
            Trip::Unwritable,
        ];
        for (at, why) in all.iter().enumerate() {
            assert!(why.reason().contains(' '));
            assert!(all[..at].iter().all(|other| other.reason() != why.reason()));
        }
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
        // As many may fail in a day as at once.
        assert!(Limit::new(Budget::MOST, 1).is_some());
        assert!(Limit::new(Budget::MOST + 1, 1).is_none());
    }

    const DAY: u64 = DAY_SECONDS * 1000;

    /// How many days the spare lasts, of so many units, while one fails each `every` milliseconds.
    fn days(units: u64, every: u64) -> Option<u64> {
        let mut breaker = Breaker::new(Limit::DEFAULT, Budget::Usual);
        let (mut free, mut now) = (units, 0);
        while free > 0 {
            if !breaker.take(now, free - 1) {
                return None;
            }
            free -= 1;
            now += every;
        }
        Some(now / DAY)
    }

    /// A gigabyte of spare: what is faster than the budget opens the breaker, and what is slower
    /// lasts for months.
    #[test]
    fn a_trickle_does_not_empty_the_spare() {
        for every in [313, 400, 1000, 2400] {
            assert_eq!(days(FREE, every), None, "{every}");
        }
        for every in [DAY / LEAST_BUDGET + 1000, DAY / 200] {
            assert!(days(FREE, every).is_some_and(|days| days > 500));
        }
        // What the budget would allow, were it not an eighth of what is left.
        let mut breaker = Breaker::new(Limit::DEFAULT, Budget::Usual);
        let (mut free, mut day) = (FREE, 0);
        while free > FREE / 20 {
            while breaker
                .left(day * DAY, free)
                .day
                .is_some_and(|(_, left)| left > 0)
            {
                breaker.rate = Bucket::default();
                assert!(breaker.take(day * DAY, free));
                free -= 1;
            }
            day += 1;
        }
        assert!(day > 20, "{day}");
    }

    /// Units that can still be read leave room for those that fail, and open nothing.
    #[test]
    fn half_is_kept_for_units_that_fail() {
        let mut breaker = Breaker::new(Limit::DEFAULT, Budget::Units(8));
        let mut moved = 0;
        while breaker.has_room(0, FREE) {
            breaker.count(0, FREE);
            moved += 1;
        }
        assert_eq!((moved, breaker.open()), (5, None));
        assert!(breaker.take(0, FREE));
        breaker.trip(Trip::Unreadable);
        assert!(!breaker.has_room(DAY, FREE));
        assert!(Breaker::new(NO_LIMIT, Budget::Usual).has_room(0, 0));
    }

    #[test]
    fn the_budget_of_a_day() {
        let mut breaker = Breaker::new(Limit::DEFAULT, Budget::Units(3));
        assert_eq!(breaker.left(0, FREE).day, Some((3, 3)));
        assert!((0..3).all(|n| breaker.take(n * 60_000, FREE)));
        assert_eq!(breaker.left(180_000, FREE).day, Some((3, 0)));
        // A third of a day later there is one again.
        assert_eq!(breaker.left(DAY / 3 + 1, FREE).day, Some((3, 1)));
        assert!(!breaker.take(180_000, FREE));
        assert_eq!(breaker.open(), Some(Trip::TooManyInADay));
        assert!(breaker.rearm() && breaker.take(180_000, FREE));
        for (budget, limit, free, want) in [
            (Budget::Usual, Limit::DEFAULT, FREE, Some(FREE / 8)),
            (Budget::Usual, Limit::DEFAULT, 1536, Some(LEAST_BUDGET)),
            (Budget::Usual, NO_LIMIT, FREE, None),
            (Budget::Units(0), Limit::DEFAULT, FREE, None),
            (Budget::Units(7), NO_LIMIT, 1, Some(7)),
        ] {
            let left = Breaker::new(limit, budget).left(0, free);
            assert_eq!(left.day, want.map(|units| (units, units)));
        }
    }

    proptest! {
        /// In no stretch of time are more admitted than the limit and what it gives back.
        #[test]
        fn never_more_than_the_limit(
            units in 1u64..50, seconds in 1u64..20,
            waits in prop::collection::vec(0u64..3000, 1..300),
        ) {
            let mut breaker = Breaker::new(Limit { units, seconds }, Budget::Units(0));
            let (mut now, mut times) = (0, Vec::new());
            for wait in waits {
                now += wait;
                if breaker.take(now, FREE) {
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
        fn never_overflows(
            units in any::<u64>(), seconds in any::<u64>(), budget in any::<Option<u64>>(), free in any::<u64>(),
            times in prop::collection::vec(any::<u64>(), 1..50),
        ) {
            if let Some(limit) = Limit::new(units, seconds) {
                let budget = budget.map_or(Budget::Usual, Budget::Units);
                let mut breaker = Breaker::new(limit, budget);
                for now in times {
                    breaker.take(now, free);
                    breaker.left(now, free);
                }
            }
        }
    }
}
