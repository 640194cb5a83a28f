// SPDX-License-Identifier: GPL-2.0

//! In which order a pass reads.
//!
//! Sectors fail in clusters: most that fail have others that fail, or will, within some tens of megabytes
//! (Bairavasundaram et al., "An analysis of latent sector errors in disk drives", SIGMETRICS 2007), and errors
//! that are found soon after each other are near each other (Schroeder, Damouras, Gill, "Understanding latent
//! sector errors and how to protect against them", FAST 2010). So a pass reads first what is near units that are
//! known to have failed, and then all of main in order, but whenever a unit is found to fail it reads first what is
//! near that one. Some of it is read twice, which costs little where few units fail.

use crate::fixed::Fixed;
use crate::geometry::Unit;
use core::ops::Range;

/// How far from a unit that failed others are looked for, in sectors: 16 MiB.
const NEAR: u64 = 16 << 11;
/// How many places wait at most; others are found in order.
const PLACES: usize = 32;

/// What a pass reads next.
#[derive(Clone, Debug)]
pub struct Planner {
    units: u64,
    /// How many units are near one.
    near: u64,
    /// What is near units that were found to fail in this pass.
    places: Fixed<Range<u64>, PLACES>,
    /// Near known ones all was read up to here.
    risk: Option<u64>,
    /// All was read up to here.
    next: u64,
}

impl Planner {
    /// For `units` units of `unit_sectors` sectors; goes on in order at `next`, where an earlier pass was.
    pub fn new(units: u64, unit_sectors: u64, next: u64) -> Self {
        Self {
            units,
            near: (NEAR / unit_sectors.max(1)).max(1),
            places: Fixed::new(),
            risk: Some(0),
            next: if next < units { next } else { 0 },
        }
    }

    /// Begins the next pass.
    pub fn begin(&mut self) {
        self.places = Fixed::new();
        (self.risk, self.next) = (Some(0), 0);
    }

    /// The unit up to which all was read in order.
    pub fn position(&self) -> Unit {
        Unit(self.next)
    }

    /// Some units to be read, `most` at most, in one piece; `None` when all was read. `known` gives the first unit
    /// at or after another that is known to have failed.
    pub fn next(&mut self, most: u64, known: impl Fn(Unit) -> Option<Unit>) -> Option<Range<u64>> {
        let most = most.max(1);
        while let Some(place) = self.places.get(0).cloned() {
            if let Some(units) = cut(place.start, place.end, most) {
                let _ = self.places.replace(0, units.end..place.end);
                return Some(units);
            }
            self.places.remove(0);
        }
        if let Some(units) = self.next_risk(most, known) {
            return Some(units);
        }
        let units = cut(self.next, self.units, most)?;
        self.next = units.end;
        Some(units)
    }

    /// What is near the next unit that is known to have failed.
    fn next_risk(&mut self, most: u64, known: impl Fn(Unit) -> Option<Unit>) -> Option<Range<u64>> {
        let from = self.risk?;
        let found = known(Unit(from.saturating_sub(self.near)));
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
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const UNIT_SECTORS: u64 = 8;

    fn none(_: Unit) -> Option<Unit> {
        None
    }

    fn first_from(units: &BTreeSet<u64>) -> impl Fn(Unit) -> Option<Unit> + '_ {
        |unit| units.range(unit.0..).next().copied().map(Unit)
    }

    #[test]
    fn without_errors_it_reads_in_order() {
        let mut planner = Planner::new(1000, UNIT_SECTORS, 0);
        let mut expected = 0;
        while let Some(units) = planner.next(64, none) {
            assert_eq!(units.start, expected);
            assert!(units.end - units.start <= 64);
            expected = units.end;
        }
        assert_eq!(expected, 1000);
        planner.begin();
        assert_eq!(planner.next(64, none), Some(0..64));
    }

    #[test]
    fn it_goes_on_where_it_was_if_that_is_there() {
        assert_eq!(
            Planner::new(1000, UNIT_SECTORS, 500).next(10, none),
            Some(500..510)
        );
        assert_eq!(
            Planner::new(1000, UNIT_SECTORS, 1000).next(10, none),
            Some(0..10)
        );
        assert_eq!(Planner::new(0, UNIT_SECTORS, 7).next(10, none), None);
    }

    #[test]
    fn it_reads_first_near_what_failed() {
        let known = BTreeSet::from([500_000]);
        let mut planner = Planner::new(1_000_000, UNIT_SECTORS, 0);
        let near = NEAR / UNIT_SECTORS;
        assert_eq!(
            planner.next(64, first_from(&known)),
            Some(500_000 - near..500_000 - near + 64)
        );
        planner.found(Unit(10));
        assert_eq!(planner.next(64, first_from(&known)), Some(0..64));
    }

    /// Runs of units that failed, as they come on disks: a few places, some units in each.
    fn clusters(seed: u64, units: u64, random: &mut impl FnMut(u64) -> u64) -> BTreeSet<u64> {
        let mut bad = BTreeSet::new();
        for _ in 0..1 + seed % 4 {
            let middle = random(units);
            for _ in 0..1 + random(20) {
                bad.insert((middle + random(2 * NEAR / UNIT_SECTORS)).min(units - 1));
            }
        }
        bad
    }

    /// How many units a pass reads before each of `bad` is found, on average, where `known` failed before.
    fn time_to_find(
        mut planner: Planner,
        bad: &BTreeSet<u64>,
        known: &BTreeSet<u64>,
        looks: bool,
    ) -> f64 {
        let (mut read, mut sum) = (0, 0);
        let mut left = bad.clone();
        while let Some(units) = match looks {
            true => planner.next(64, first_from(known)),
            false => planner.next(64, none),
        } {
            read += units.end - units.start;
            let found: Vec<_> = left.range(units).copied().collect();
            for unit in found {
                left.remove(&unit);
                sum += read;
                if looks {
                    planner.found(Unit(unit));
                }
            }
        }
        assert!(left.is_empty());
        sum as f64 / bad.len() as f64
    }

    #[test]
    fn clustered_errors_are_found_sooner_than_in_order() {
        const UNITS: u64 = 4_000_000;
        let mut state = 1u64;
        let mut random = move |below: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let (mut planned, mut in_order) = (0.0, 0.0);
        for seed in 0..100 {
            let all = clusters(seed, UNITS, &mut random);
            // Every third one was found before.
            let known: BTreeSet<_> = all.iter().copied().step_by(3).collect();
            let bad: BTreeSet<_> = all.difference(&known).copied().collect();
            if bad.is_empty() {
                continue;
            }
            planned += time_to_find(Planner::new(UNITS, UNIT_SECTORS, 0), &bad, &known, true);
            in_order += time_to_find(Planner::new(UNITS, UNIT_SECTORS, 0), &bad, &known, false);
        }
        println!("planned {planned:.0}, in order {in_order:.0}");
        assert!(planned * 4.0 < in_order, "{planned} {in_order}");
    }

    proptest! {
        #[test]
        fn every_unit_is_read_whatever_is_found(
            units in 1u64..20_000,
            unit_sectors in prop::sample::select(vec![8u64, 128, 8192, 1 << 20]),
            next in 0u64..20_000,
            most in 1u64..700,
            known in prop::collection::btree_set(0u64..20_000, 0..10),
            found in prop::collection::vec((1u32..200, 0u64..20_000), 0..60),
        ) {
            let mut planner = Planner::new(units, unit_sectors, next);
            let mut read = vec![false; units as usize];
            let known: BTreeSet<_> = known.into_iter().filter(|&unit| unit < units).collect();
            let mut found = found.into_iter().peekable();
            let (mut steps, mut total) = (0u32, 0u64);
            while let Some(some) = planner.next(most, first_from(&known)) {
                prop_assert!(some.start < some.end && some.end <= units && some.end - some.start <= most);
                total += some.end - some.start;
                read[some.start as usize..some.end as usize].fill(true);
                steps += 1;
                if found.peek().is_some_and(|(at, _)| *at <= steps) {
                    planner.found(Unit(found.next().unwrap().1 % units));
                }
                prop_assert!(total <= units * 80, "it does not end");
            }
            let first = if next < units { next } else { 0 };
            prop_assert!(read[first as usize..].iter().all(|&read| read));
        }
    }
}
