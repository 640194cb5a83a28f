// SPDX-License-Identifier: GPL-2.0

//! Which spare units are free.

use crate::geometry::SpareUnit;
use core::ops::DerefMut;

const WORD_BITS: u64 = u64::BITS as u64;

/// How many 64-bit words a bitmap of `units` bits takes.
pub const fn words_for(units: u64) -> u64 {
    units.div_ceil(WORD_BITS)
}

/// The spare units of one target: one bit each, in memory that the caller brings.
///
/// # Invariants
///
/// - A set bit of `taken` is a unit that is in use, retired, or does not exist.
/// - `in_use + retired` is the number of existing units whose bit is set.
pub struct Spares<B> {
    taken: B,
    units: u64,
    in_use: u64,
    retired: u64,
    /// The word where the next search begins.
    next: usize,
}

/// Why spare units could not be laid out.
#[derive(Debug, PartialEq, Eq)]
pub struct WrongSize;

impl<B: DerefMut<Target = [u64]>> Spares<B> {
    /// Makes `units` free spare units of `bitmap`, which must have [`words_for`] words.
    pub fn new(mut bitmap: B, units: u64) -> Result<Self, WrongSize> {
        if bitmap.len() as u64 != words_for(units) {
            return Err(WrongSize);
        }
        bitmap.fill(0);
        if units % WORD_BITS != 0 {
            if let Some(last) = bitmap.last_mut() {
                *last = u64::MAX << (units % WORD_BITS);
            }
        }
        // INVARIANT: Only the bits past the last unit are set.
        Ok(Self {
            taken: bitmap,
            units,
            in_use: 0,
            retired: 0,
            next: 0,
        })
    }

    /// How many units there are, whatever their state.
    pub fn units(&self) -> u64 {
        self.units
    }

    /// How many units hold data.
    pub fn in_use(&self) -> u64 {
        self.in_use
    }

    /// How many units were found bad.
    pub fn retired(&self) -> u64 {
        self.retired
    }

    /// Whether no unit is free.
    pub fn is_exhausted(&self) -> bool {
        self.in_use + self.retired == self.units
    }

    /// Takes a free unit.
    pub fn allocate(&mut self) -> Option<SpareUnit> {
        let words = self.taken.len();
        let at = (self.next..words)
            .chain(0..self.next)
            .find(|&at| self.taken.get(at).is_some_and(|&w| w != u64::MAX))?;
        let word = self.taken.get_mut(at)?;
        let bit = word.trailing_ones();
        // INVARIANT: One bit more is set, and one unit more in use.
        *word |= 1 << bit;
        self.in_use += 1;
        self.next = at;
        Some(SpareUnit(at as u64 * WORD_BITS + u64::from(bit)))
    }

    /// Gives a unit back that [`Self::allocate`] returned.
    pub fn release(&mut self, unit: SpareUnit) {
        let mask = 1 << (unit.0 % WORD_BITS);
        let at = (unit.0 / WORD_BITS) as usize;
        let existing = unit.0 < self.units;
        if let Some(word) = self.taken.get_mut(at) {
            if existing && *word & mask != 0 {
                // INVARIANT: One bit less is set, and one unit less in use.
                *word &= !mask;
                self.in_use -= 1;
            }
        }
    }

    /// Never hands out again a unit that [`Self::allocate`] returned.
    pub fn retire(&mut self, _unit: SpareUnit) {
        // INVARIANT: The bit stays set; the unit changes from one count to the other.
        self.in_use -= 1;
        self.retired += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn spares(units: u64) -> Spares<Vec<u64>> {
        Spares::new(vec![0; words_for(units) as usize], units).unwrap()
    }

    #[test]
    fn refuses_a_bitmap_of_another_size() {
        assert!(Spares::new(vec![0; 2], 64).is_err());
        assert!(Spares::new(vec![0; 1], 65).is_err());
    }

    proptest! {
        #[test]
        fn never_hands_out_a_unit_twice(units in 1u64..200, steps in prop::collection::vec((0u8..4, any::<prop::sample::Index>()), 0..400)) {
            let mut spares = spares(units);
            let mut held = BTreeSet::new();
            let mut gone = BTreeSet::new();
            let mut retired = 0;
            for (what, which) in steps {
                match what {
                    0 | 1 => match spares.allocate() {
                        Some(unit) => {
                            prop_assert!(unit.0 < units);
                            prop_assert!(!gone.contains(&unit.0));
                            prop_assert!(held.insert(unit.0));
                        }
                        None => prop_assert_eq!(held.len() as u64 + retired, units),
                    },
                    _ if held.is_empty() => {}
                    _ => {
                        let unit = *held.iter().nth(which.index(held.len())).unwrap();
                        if what == 2 {
                            held.remove(&unit);
                            spares.release(SpareUnit(unit));
                        } else if retired < units / 4 {
                            held.remove(&unit);
                            spares.retire(SpareUnit(unit));
                            gone.insert(unit);
                            retired += 1;
                        }
                    }
                }
                prop_assert_eq!(spares.in_use(), held.len() as u64);
                prop_assert_eq!(spares.retired(), retired);
                prop_assert_eq!(spares.is_exhausted(), held.len() as u64 + retired == units);
            }
        }
    }
}
