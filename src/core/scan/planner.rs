// SPDX-License-Identifier: GPL-2.0

//! In which order a pass reads.
//!
//! Sectors fail in clusters: most that fail have others that fail, or will, within some tens of
//! megabytes (Bairavasundaram et al., "An analysis of latent sector errors in disk drives",
//! SIGMETRICS 2007), and errors that are found soon after each other are near each other
//! (Schroeder, Damouras, Gill, "Understanding latent sector errors and how to protect against
//! them", FAST 2010). So a pass reads first the regions that gave trouble in passes before, then
//! what is near units that are known to have failed, and then all of main in order, but whenever a
//! unit is found to fail it reads first what is near that one. Some of it is read twice, which
//! costs little where few units fail.
//!
//! In order means oldest first: a pass goes on where the one before was interrupted, and what lies
//! before that place was read later than what lies behind it.

use super::health::{
    region_units,
    Spot, //
};
use crate::fixed::Fixed;
use crate::geometry::Unit;
use core::ops::Range;

/// How many places wait at most; others are found in order.
const PLACES: usize = 32;

/// What is known of main while a pass is under way.
pub trait Known {
    /// The first unit at or after another that is known to have failed.
    fn failed(&self, from: Unit) -> Option<Unit>;
    /// The worst of the regions that gave trouble and are better than `last`, and its units.
    fn weak(&self, last: Option<Spot>) -> Option<(Spot, Range<u64>)>;
}

/// What a pass reads next.
#[derive(Clone, Debug)]
pub struct Planner {
    units: u64,
    /// How many units are near one: those of a region, on either side.
    near: u64,
    /// What is near units that were found to fail in this pass, or the region that is being read.
    places: Fixed<Range<u64>, PLACES>,
    /// The last of the regions that gave trouble; the outer `None` when all of them were read.
    weak: Option<Option<Spot>>,
    /// Near known ones all was read up to here.
    risk: Option<u64>,
    /// All was read up to here.
    next: u64,
}

impl Planner {
    /// For `units` units of `unit_sectors` sectors; goes on in order at `next`, where an earlier
    /// pass was.
    pub fn new(units: u64, unit_sectors: u64, next: u64) -> Self {
        Self {
            units,
            near: region_units(unit_sectors),
            places: Fixed::new(),
            weak: Some(None),
            risk: Some(0),
            next: if next < units { next } else { 0 },
        }
    }

    /// Begins the next pass.
    pub fn begin(&mut self) {
        self.places = Fixed::new();
        (self.weak, self.risk, self.next) = (Some(None), Some(0), 0);
    }

    /// The unit up to which all was read in order.
    pub fn position(&self) -> Unit {
        Unit(self.next)
    }

    /// Some units to be read, `most` at most, in one piece; `None` when all was read.
    pub fn next(&mut self, most: u64, known: &impl Known) -> Option<Range<u64>> {
        let most = most.max(1);
        loop {
            if let Some(units) = self.next_of_places(most) {
                return Some(units);
            }
            if !self.add_weak(known) {
                break;
            }
        }
        if let Some(units) = self.next_risk(most, known) {
            return Some(units);
        }
        let units = cut(self.next, self.units, most)?;
        self.next = units.end;
        Some(units)
    }

    fn next_of_places(&mut self, most: u64) -> Option<Range<u64>> {
        while let Some(place) = self.places.get(0).cloned() {
            if let Some(units) = cut(place.start, place.end, most) {
                let _ = self.places.replace(0, units.end..place.end);
                return Some(units);
            }
            self.places.remove(0);
        }
        None
    }

    /// Has the next region that gave trouble be read; whether there is one.
    fn add_weak(&mut self, known: &impl Known) -> bool {
        let Some(last) = self.weak else {
            return false;
        };
        let found = known.weak(last);
        if let Some((_, units)) = &found {
            // There is room, since no place is left.
            let _ = self.places.push(units.start..units.end.min(self.units));
        }
        self.weak = found.map(|(spot, _)| Some(spot));
        self.weak.is_some()
    }

    /// What is near the next unit that is known to have failed.
    fn next_risk(&mut self, most: u64, known: &impl Known) -> Option<Range<u64>> {
        let from = self.risk?;
        let found = known.failed(Unit(from.saturating_sub(self.near)));
        let units = found.and_then(|unit| {
            let place = self.near(unit);
            cut(place.start.max(from), place.end, most)
        });
        self.risk = units.as_ref().map(|units| units.end);
        units
    }

    fn near(&self, unit: Unit) -> Range<u64> {
        let end = unit.0.saturating_add(self.near).saturating_add(1);
        unit.0.saturating_sub(self.near)..end.min(self.units)
    }

    /// A unit was found to fail.
    pub fn found(&mut self, unit: Unit) {
        let place = self.near(unit);
        let known = |other: &Range<u64>| other.start <= place.end && place.start <= other.end;
        if !self.places.iter().any(known) {
            // One that finds no room is read in order.
            let _ = self.places.push(place);
        }
    }
}

/// The first `most` of some units, if there are any.
fn cut(from: u64, end: u64, most: u64) -> Option<Range<u64>> {
    (from < end).then(|| from..from.saturating_add(most).min(end))
}

#[cfg(test)]
mod tests {
    use super::super::health::{
        Health,
        Trouble, //
    };
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const UNIT_SECTORS: u64 = 8;

    /// Units that failed, and regions that gave trouble.
    struct Past {
        failed: BTreeSet<u64>,
        health: Health<Vec<Spot>>,
    }

    impl Past {
        fn new(failed: impl IntoIterator<Item = u64>, unit_sectors: u64) -> Self {
            Self {
                failed: failed.into_iter().collect(),
                health: Health::new(vec![Spot::default(); 64], unit_sectors),
            }
        }

        fn none() -> Self {
            Self::new([], UNIT_SECTORS)
        }
    }

    impl Known for Past {
        fn failed(&self, from: Unit) -> Option<Unit> {
            self.failed.range(from.0..).next().copied().map(Unit)
        }

        fn weak(&self, last: Option<Spot>) -> Option<(Spot, Range<u64>)> {
            let spot = self.health.next_worst(last)?;
            Some((spot, self.health.units_of(spot)))
        }
    }

    #[test]
    fn without_errors_it_reads_in_order() {
        let mut planner = Planner::new(1000, UNIT_SECTORS, 0);
        let mut expected = 0;
        while let Some(units) = planner.next(64, &Past::none()) {
            assert_eq!(units.start, expected);
            assert!(units.end - units.start <= 64);
            expected = units.end;
        }
        assert_eq!(expected, 1000);
        planner.begin();
        assert_eq!(planner.next(64, &Past::none()), Some(0..64));
    }

    #[test]
    fn it_goes_on_where_it_was_if_that_is_there() {
        let next = |units, next| Planner::new(units, UNIT_SECTORS, next).next(10, &Past::none());
        assert_eq!(next(1000, 500), Some(500..510));
        assert_eq!(next(1000, 1000), Some(0..10));
        // The metadata may say anything.
        assert_eq!(next(1000, u64::MAX), Some(0..10));
        assert_eq!(next(0, 7), None);
    }

    #[test]
    fn it_reads_first_near_what_failed() {
        let past = Past::new([500_000], UNIT_SECTORS);
        let mut planner = Planner::new(1_000_000, UNIT_SECTORS, 0);
        let near = region_units(UNIT_SECTORS);
        let first = 500_000 - near..500_000 - near + 64;
        assert_eq!(planner.next(64, &past), Some(first));
        planner.found(Unit(10));
        assert_eq!(planner.next(64, &past), Some(0..64));
    }

    #[test]
    fn what_is_near_each_unit_that_fails_is_read_once_before_it_goes_on_in_order() {
        let near = region_units(UNIT_SECTORS);
        let mut planner = Planner::new(1_000_000, UNIT_SECTORS, 0);
        let found = [500_000, 900_000, 100_000];
        for unit in found {
            planner.found(Unit(unit));
            planner.found(Unit(unit + 1));
        }
        for unit in found {
            let place = unit - near..unit + near + 1;
            assert_eq!(planner.next(u64::MAX, &Past::none()), Some(place));
        }
        assert_eq!(planner.next(64, &Past::none()), Some(0..64));
    }

    #[test]
    fn regions_that_gave_trouble_come_before_that_and_the_worst_of_them_first() {
        let near = region_units(UNIT_SECTORS);
        let mut past = Past::new([near * 9], UNIT_SECTORS);
        past.health.note(Unit(near * 3), Trouble::Weak);
        past.health.note(Unit(near * 5 + 1), Trouble::Unreadable);
        let mut planner = Planner::new(near * 20, UNIT_SECTORS, 0);
        let first: Vec<_> = (0..4).map_while(|_| planner.next(near, &past)).collect();
        let regions = [5, 3, 8, 9].map(|region| region * near..(region + 1) * near);
        assert_eq!(first, regions);
    }

    type Random<'a> = &'a mut dyn FnMut(u64) -> u64;

    /// Units that failed, as they come on disks: a few places, some units in each.
    fn clusters(seed: u64, units: u64, random: Random<'_>) -> BTreeSet<u64> {
        let mut bad = BTreeSet::new();
        for _ in 0..1 + seed % 4 {
            let middle = random(units);
            for _ in 0..1 + random(20) {
                let unit = middle + random(2 * region_units(UNIT_SECTORS));
                bad.insert(unit.min(units - 1));
            }
        }
        bad
    }

    /// What a pass over bad units comes to.
    #[derive(Default)]
    struct Found {
        /// How many units were read before each of them was found, in sum.
        reads: u64,
        /// How many of them others met first, who read a unit anywhere for each batch of the scan.
        met: u64,
    }

    /// A pass over `bad` units, some of which may be known; a plain one goes in order.
    fn pass(
        mut planner: Planner,
        bad: &BTreeSet<u64>,
        past: &Past,
        is_plain: bool,
        random: Random<'_>,
    ) -> Found {
        let (mut read, mut found, none) = (0, Found::default(), Past::none());
        let mut left = bad.clone();
        while let Some(units) = planner.next(64, if is_plain { &none } else { past }) {
            read += units.end - units.start;
            let now: Vec<_> = left.range(units).copied().collect();
            for unit in now {
                left.remove(&unit);
                found.reads += read;
                if !is_plain {
                    planner.found(Unit(unit));
                }
            }
            // Others read where there is something: near the middle of what is left, in a thousand
            // units.
            if let Some(&unit) = left.iter().nth(left.len() / 2) {
                let met = unit.saturating_sub(500) + random(1000);
                found.met += u64::from(random(100) == 0 && left.contains(&met));
            }
        }
        assert!(left.is_empty());
        found
    }

    #[test]
    fn clustered_errors_are_found_sooner_than_in_order_and_before_others_meet_them() {
        const UNITS: u64 = 4_000_000;
        let mut state = 1u64;
        let mut random = move |below: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let (mut planned, mut plain) = (Found::default(), Found::default());
        for seed in 0..100 {
            let all = clusters(seed, UNITS, &mut random);
            // Every third one was found before.
            let past = Past::new(all.iter().copied().step_by(3), UNIT_SECTORS);
            let bad: BTreeSet<_> = all.difference(&past.failed).copied().collect();
            for (sum, is_plain) in [(&mut planned, false), (&mut plain, true)] {
                let planner = Planner::new(UNITS, UNIT_SECTORS, 0);
                let found = pass(planner, &bad, &past, is_plain, &mut random);
                sum.reads += found.reads;
                sum.met += found.met;
            }
        }
        println!(
            "read {} and {}, met {} and {}",
            planned.reads, plain.reads, planned.met, plain.met
        );
        assert!(
            planned.reads * 4 < plain.reads,
            "{} {}",
            planned.reads,
            plain.reads
        );
        assert!(planned.met * 2 < plain.met, "{} {}", planned.met, plain.met);
    }

    proptest! {
        #[test]
        fn every_unit_is_read_whatever_is_found(
            units in 1u64..20_000,
            unit_sectors in prop::sample::select(vec![8u64, 128, 8192, 1 << 20]),
            next in 0u64..20_000,
            most in 1u64..700,
            failed in prop::collection::btree_set(0u64..20_000, 0..10),
            weak in prop::collection::vec(0u64..20_000, 0..10),
            found in prop::collection::vec((1u32..200, 0u64..20_000), 0..60),
        ) {
            let mut planner = Planner::new(units, unit_sectors, next);
            let mut read = vec![false; units as usize];
            let mut past = Past::new(failed.into_iter().filter(|&unit| unit < units), unit_sectors);
            for unit in weak {
                past.health.note(Unit(unit % units), Trouble::Weak);
            }
            let mut found = found.into_iter().peekable();
            let (mut steps, mut total) = (0u32, 0u64);
            while let Some(some) = planner.next(most, &past) {
                prop_assert!(some.start < some.end && some.end <= units && some.end - some.start <= most);
                total += some.end - some.start;
                read[some.start as usize..some.end as usize].fill(true);
                steps += 1;
                if found.peek().is_some_and(|(at, _)| *at <= steps) {
                    let unit = Unit(found.next().unwrap().1 % units);
                    planner.found(unit);
                    past.health.note(unit, Trouble::Unreadable);
                }
                prop_assert!(total <= units * 150, "it does not end");
            }
            let first = if next < units { next } else { 0 };
            prop_assert!(read[first as usize..].iter().all(|&read| read));
        }
    }
}
