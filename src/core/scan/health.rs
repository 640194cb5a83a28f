// SPDX-License-Identifier: GPL-2.0

//! Which regions of main a scan had trouble with.
//!
//! Only those are remembered, in a few bits each, and no more of them than there is memory for: a
//! disk of any size takes the same. Trouble is forgotten over the passes that have none.

use crate::geometry::Unit;
use core::cmp::Reverse;
use core::ops::{
    DerefMut,
    Range, //
};

/// The length of a region in sectors: 16 MiB.
pub const REGION_SECTORS: u64 = 16 << 11;

const SCORE_BITS: u32 = 4;
const MOST: u64 = (1 << SCORE_BITS) - 1;
const NEW: u64 = 1 << SCORE_BITS;
const REGION_SHIFT: u32 = SCORE_BITS + 1;

/// What a scan met in a region, and how much that says of what is near it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// A unit that cannot be read for a reason that is not the medium's.
    Other,
    /// A unit that can be read, but not easily.
    Weak,
    /// A unit that cannot be read.
    Unreadable,
}

impl Trouble {
    const fn weight(self) -> u64 {
        match self {
            Self::Other => 1,
            Self::Weak => 2,
            Self::Unreadable => 4,
        }
    }
}

/// A region that gave trouble: its number, then a bit that says that it did so in this pass, then
/// its score.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot(u64);

impl Spot {
    /// How bad it is, from 1 to 15.
    pub fn score(self) -> u64 {
        self.0 & MOST
    }

    /// Of a region and its score, not new.
    fn of(region: u64, score: u64) -> Self {
        Self((region << REGION_SHIFT) | score)
    }

    fn region(self) -> u64 {
        self.0 >> REGION_SHIFT
    }

    fn is_new(self) -> bool {
        self.0 & NEW != 0
    }

    /// What sorts the worst first.
    fn risk(self) -> (Reverse<u64>, u64) {
        (Reverse(self.score()), self.region())
    }

    fn worsened(self, trouble: Trouble) -> Self {
        let score = (self.score() + trouble.weight()).min(MOST);
        Self(Self::of(self.region(), score).0 | NEW)
    }

    /// What is left of it after a pass.
    fn aged(self) -> Self {
        match self.is_new() {
            true => Self(self.0 & !NEW),
            false => Self::of(self.region(), self.score() / 2),
        }
    }
}

/// The regions that gave trouble, in memory that the caller brings.
///
/// # Invariants
///
/// The first `len` spots are of different regions, in order, and have a score.
pub struct Health<S> {
    spots: S,
    len: usize,
    region_units: u64,
}

/// How many units of so many sectors make a region.
pub fn region_units(unit_sectors: u64) -> u64 {
    (REGION_SECTORS / unit_sectors.max(1)).max(1)
}

impl<S: DerefMut<Target = [Spot]>> Health<S> {
    /// Knows nothing yet, and can know as many regions as there are `spots`.
    pub fn new(spots: S, unit_sectors: u64) -> Self {
        Self {
            spots,
            len: 0,
            region_units: region_units(unit_sectors),
        }
    }

    fn known(&self) -> &[Spot] {
        self.spots.get(..self.len).unwrap_or(&[])
    }

    /// How many regions gave trouble.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none did.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The units of a region.
    pub fn units_of(&self, spot: Spot) -> Range<u64> {
        let first = spot.region().saturating_mul(self.region_units);
        first..first.saturating_add(self.region_units)
    }

    /// The worst region, or the worst of those that are better than `last`.
    pub fn next_worst(&self, last: Option<Spot>) -> Option<Spot> {
        let known = self.known().iter().copied();
        known
            .filter(|spot| last.is_none_or(|last| spot.risk() > last.risk()))
            .min_by_key(|spot| spot.risk())
    }

    /// There was trouble with `unit`.
    pub fn note(&mut self, unit: Unit, trouble: Trouble) {
        let region = unit.0 / self.region_units;
        match self
            .known()
            .binary_search_by_key(&region, |spot| spot.region())
        {
            Ok(at) => {
                if let Some(spot) = self.spots.get_mut(at) {
                    *spot = spot.worsened(trouble);
                }
            }
            Err(_) => self.add(Spot::of(region, 0).worsened(trouble)),
        }
    }

    /// Adds a region that is not known, in the place of a better one if there is no room.
    fn add(&mut self, new: Spot) {
        if self.len == self.spots.len() {
            let best = (0..self.len).max_by_key(|&at| self.spots.get(at).map(|spot| spot.risk()));
            match best.and_then(|at| Some((at, self.spots.get(at)?.score()))) {
                Some((at, score)) if score <= new.score() => self.remove(at),
                _ => return,
            }
        }
        let at = self
            .known()
            .partition_point(|spot| spot.region() < new.region());
        // INVARIANT: Those behind it move by one place, into one that was free.
        self.len += 1;
        if let Some(tail) = self.spots.get_mut(at..self.len) {
            tail.rotate_right(1);
        }
        if let Some(spot) = self.spots.get_mut(at) {
            *spot = new;
        }
    }

    fn remove(&mut self, at: usize) {
        if let Some(tail) = self.spots.get_mut(at..self.len) {
            tail.rotate_left(1);
            // INVARIANT: The one that goes is behind the others now.
            self.len -= 1;
        }
    }

    /// A pass is done: what gave no trouble in it counts for half.
    pub fn end_pass(&mut self) {
        let mut kept = 0;
        for at in 0..self.len {
            let Some(spot) = self.spots.get(at).map(|spot| spot.aged()) else {
                break;
            };
            if spot.score() > 0 {
                if let Some(place) = self.spots.get_mut(kept) {
                    *place = spot;
                }
                kept += 1;
            }
        }
        // INVARIANT: Those that are left are in the same order, and have a score.
        self.len = kept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const UNIT_SECTORS: u64 = 8;
    const UNITS: u64 = REGION_SECTORS / UNIT_SECTORS;

    fn health(room: usize) -> Health<Vec<Spot>> {
        Health::new(vec![Spot::default(); room], UNIT_SECTORS)
    }

    /// All regions and their scores, the worst first.
    fn all(health: &Health<Vec<Spot>>) -> Vec<(u64, u64)> {
        let (mut found, mut last) = (Vec::new(), None);
        while let Some(spot) = health.next_worst(last) {
            found.push((health.units_of(spot).start / UNITS, spot.score()));
            last = Some(spot);
        }
        found
    }

    #[test]
    fn the_worst_come_first_and_trouble_is_forgotten() {
        let mut health = health(8);
        assert!(health.is_empty());
        health.note(Unit(5 * UNITS + 7), Trouble::Weak);
        health.note(Unit(9 * UNITS), Trouble::Unreadable);
        health.note(Unit(2 * UNITS - 1), Trouble::Weak);
        assert!(!health.is_empty());
        assert_eq!(all(&health), [(9, 4), (1, 2), (5, 2)]);
        // What happened in a pass counts whole in the next.
        health.end_pass();
        assert_eq!(all(&health), [(9, 4), (1, 2), (5, 2)]);
        health.note(Unit(UNITS), Trouble::Weak);
        health.end_pass();
        assert_eq!(all(&health), [(1, 4), (9, 2), (5, 1)]);
        health.end_pass();
        health.end_pass();
        assert_eq!(all(&health), [(1, 1)]);
        health.end_pass();
        assert!(health.is_empty());
    }

    #[test]
    fn without_room_the_best_give_way() {
        let mut health = health(2);
        health.note(Unit(0), Trouble::Unreadable);
        health.note(Unit(3 * UNITS), Trouble::Weak);
        health.note(Unit(2 * UNITS), Trouble::Weak);
        assert_eq!(all(&health), [(0, 4), (2, 2)]);
        health.note(Unit(2 * UNITS), Trouble::Unreadable);
        health.note(Unit(7 * UNITS), Trouble::Weak);
        assert_eq!(all(&health), [(2, 6), (0, 4)]);
        let mut none = self::health(0);
        none.note(Unit(0), Trouble::Weak);
        assert!(none.is_empty());
    }

    proptest! {
        #[test]
        fn it_is_a_map_of_scores(steps in prop::collection::vec((0u64..40, 0u8..5), 0..200)) {
            let mut health = health(64);
            let mut model = BTreeMap::<u64, (u64, bool)>::new();
            for (region, what) in steps {
                let trouble = match what {
                    0 => {
                        health.end_pass();
                        for (score, new) in model.values_mut() {
                            *score = if *new { *score } else { *score / 2 };
                            *new = false;
                        }
                        model.retain(|_, (score, _)| *score > 0);
                        continue;
                    }
                    1 => Trouble::Unreadable,
                    2 => Trouble::Other,
                    _ => Trouble::Weak,
                };
                health.note(Unit(region * UNITS + region), trouble);
                let (score, new) = model.entry(region).or_default();
                *score = (*score + trouble.weight()).min(MOST);
                *new = true;
            }
            let mut wanted: Vec<_> = model.iter().map(|(&region, &(score, _))| (region, score)).collect();
            wanted.sort_by_key(|&(region, score)| (Reverse(score), region));
            prop_assert_eq!(all(&health), wanted);
            prop_assert_eq!(health.len(), model.len());
        }
    }
}
