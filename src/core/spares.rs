// SPDX-License-Identifier: GPL-2.0

//! Which spare units are free.

use crate::geometry::SpareUnit;
use core::ops::DerefMut;

const WORD_BITS: u64 = u64::BITS as u64;

/// How many 64-bit words a bitmap of `units` bits takes.
pub const fn words_for(units: u64) -> u64 {
    units.div_ceil(WORD_BITS)
}

/// The spare units of one target: two bits each, in memory that the caller brings.
///
/// # Invariants
///
/// A unit is
///
/// - free, if its bit is set neither in `taken` nor in `bad`;
/// - in use, if it is set in `taken` only; so it is for units that do not exist;
/// - put aside, if it is set in `bad` only;
/// - retired, if it is set in both.
///
/// `in_use`, `aside` and `retired` are how many there are of each.
pub struct Spares<B> {
    taken: B,
    bad: B,
    units: u64,
    in_use: u64,
    aside: u64,
    retired: u64,
    /// The word where the next search begins.
    next: usize,
}

/// Why spare units could not be laid out.
#[derive(Debug, PartialEq, Eq)]
pub struct WrongSize;

impl<B: DerefMut<Target = [u64]>> Spares<B> {
    /// Makes `units` free spare units of two bitmaps, each of which must have [`words_for`] words.
    pub fn new(taken: B, bad: B, units: u64) -> Result<Self, WrongSize> {
        let words = words_for(units);
        if taken.len() as u64 != words || bad.len() as u64 != words {
            return Err(WrongSize);
        }
        let mut this = Self {
            taken,
            bad,
            units,
            in_use: 0,
            aside: 0,
            retired: 0,
            next: 0,
        };
        this.clear();
        Ok(this)
    }

    /// Makes all units free again.
    pub fn clear(&mut self) {
        self.taken.fill(0);
        self.bad.fill(0);
        if self.units % WORD_BITS != 0 {
            if let Some(last) = self.taken.last_mut() {
                *last = u64::MAX << (self.units % WORD_BITS);
            }
        }
        // INVARIANT: Only the bits past the last unit are set.
        (self.in_use, self.aside, self.retired, self.next) = (0, 0, 0, 0);
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

    /// How many units are put aside.
    pub fn aside(&self) -> u64 {
        self.aside
    }

    /// Whether no unit is free or put aside.
    pub fn is_exhausted(&self) -> bool {
        self.in_use + self.retired == self.units
    }

    /// The highest of 80, 95 and 100 % that are used up, or 0.
    pub fn level(&self) -> u8 {
        let used = u128::from(self.in_use + self.retired) * 100;
        let reached = |level: &u8| used >= u128::from(*level) * u128::from(self.units);
        [100, 95, 80].into_iter().find(reached).unwrap_or(0)
    }

    /// Takes a free unit.
    pub fn allocate(&mut self) -> Option<SpareUnit> {
        let unit = self.next_free()?;
        self.claim(unit).then_some(unit)
    }

    /// Takes a free unit that lies in a part of the spare: the `part`th of `parts`, or behind that.
    pub fn allocate_in(&mut self, part: u64, parts: u64) -> Option<SpareUnit> {
        let words = self.taken.len() as u64;
        let first = words.checked_div(parts)?.saturating_mul(part);
        let next = core::mem::replace(&mut self.next, usize::try_from(first).ok()?);
        let unit = self.allocate();
        self.next = next;
        unit
    }

    /// Puts a free unit aside, for [`Self::use_aside`] or [`Self::free_aside`].
    pub fn put_aside(&mut self) -> Option<SpareUnit> {
        let unit = self.next_free()?;
        let (at, mask) = place(unit);
        // INVARIANT: A unit that was free is put aside, and counted.
        *self.bad.get_mut(at)? |= mask;
        self.aside += 1;
        Some(unit)
    }

    /// A unit that is free.
    fn next_free(&mut self) -> Option<SpareUnit> {
        let words = self.taken.len();
        let gone = |at: usize| Some(self.taken.get(at)? | self.bad.get(at)?);
        let free = |at: usize| Some((at, !gone(at)?)).filter(|&(_, free)| free != 0);
        let (at, free) = (self.next..words).chain(0..self.next).find_map(free)?;
        self.next = at;
        let bit = u64::from(free.trailing_zeros());
        Some(SpareUnit(at as u64 * WORD_BITS + bit))
    }

    /// Whether the unit is put aside.
    fn is_aside(&self, unit: SpareUnit) -> bool {
        is_set(&self.bad, unit) && !is_set(&self.taken, unit)
    }

    /// Takes a unit that is put aside; one that is not stays what it is.
    pub fn use_aside(&mut self, unit: SpareUnit) {
        if self.is_aside(unit) {
            self.free_aside(unit);
            self.claim(unit);
        }
    }

    /// Makes a unit free again that is put aside; one that is not stays what it is.
    pub fn free_aside(&mut self, unit: SpareUnit) {
        let (at, mask) = place(unit);
        if let (true, Some(word)) = (self.is_aside(unit), self.bad.get_mut(at)) {
            // INVARIANT: The unit is free, and one less is put aside.
            *word &= !mask;
            self.aside -= 1;
        }
    }

    /// Takes `unit`, if it exists and is free; whether it was.
    pub fn claim(&mut self, unit: SpareUnit) -> bool {
        let (at, mask) = place(unit);
        let gone = is_set(&self.taken, unit) || is_set(&self.bad, unit);
        let free = unit.0 < self.units && !gone;
        if let (true, Some(word)) = (free, self.taken.get_mut(at)) {
            // INVARIANT: One bit more is set, and one unit more in use.
            *word |= mask;
            self.in_use += 1;
        }
        free
    }

    /// Whether the unit holds data.
    fn holds_data(&self, unit: SpareUnit) -> bool {
        unit.0 < self.units && is_set(&self.taken, unit) && !is_set(&self.bad, unit)
    }

    /// Frees a unit that is in use; one that is not stays what it is.
    pub fn release(&mut self, unit: SpareUnit) {
        let (at, mask) = place(unit);
        if let (true, Some(word)) = (self.holds_data(unit), self.taken.get_mut(at)) {
            // INVARIANT: One bit less is set, and one unit less in use.
            *word &= !mask;
            self.in_use -= 1;
        }
    }

    /// Never hands out again a unit that is in use; one that is not stays what it is.
    pub fn retire(&mut self, unit: SpareUnit) {
        let (at, mask) = place(unit);
        if let (true, Some(word)) = (self.holds_data(unit), self.bad.get_mut(at)) {
            // INVARIANT: The unit changes from one count to the other.
            *word |= mask;
            self.in_use -= 1;
            self.retired += 1;
        }
    }

    /// The units that are retired, in order.
    pub fn retired_units(&self) -> impl Iterator<Item = SpareUnit> + '_ {
        self.retired_from(SpareUnit(0))
    }

    /// Those of them from `first` on.
    pub fn retired_from(&self, first: SpareUnit) -> impl Iterator<Item = SpareUnit> + '_ {
        let (begin, mask) = place(first);
        let both = self.taken.iter().zip(self.bad.iter());
        // Most often there is none to look for.
        let most = if self.retired == 0 { 0 } else { usize::MAX };
        let words = (0..).zip(both).skip(begin).take(most);
        words.flat_map(move |(at, (taken, bad))| {
            let mut left = taken & bad;
            if at == begin as u64 {
                left &= !(mask - 1);
            }
            core::iter::from_fn(move || {
                let bit = left.trailing_zeros();
                left &= left.checked_sub(1)?;
                Some(SpareUnit(at * WORD_BITS + u64::from(bit)))
            })
        })
    }
}

/// The word of a unit's bit, and the bit in it.
fn place(unit: SpareUnit) -> (usize, u64) {
    let at = usize::try_from(unit.0 / WORD_BITS).unwrap_or(usize::MAX);
    (at, 1 << (unit.0 % WORD_BITS))
}

/// Whether the bit of `unit` is set.
fn is_set(bitmap: &[u64], unit: SpareUnit) -> bool {
    let (at, mask) = place(unit);
    bitmap.get(at).is_some_and(|word| word & mask != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn spares(units: u64) -> Spares<Vec<u64>> {
        let words = vec![0; words_for(units) as usize];
        Spares::new(words.clone(), words, units).unwrap()
    }

    #[test]
    fn refuses_a_bitmap_of_another_size() {
        assert!(Spares::new(vec![0; 2], vec![0; 1], 64).is_err());
        assert!(Spares::new(vec![0; 1], vec![0; 2], 64).is_err());
        assert!(Spares::new(vec![0; 1], vec![0; 1], 65).is_err());
    }

    #[test]
    fn levels() {
        for (units, used, level) in [
            (10, 7, 0),
            (10, 8, 80),
            (10, 9, 80),
            (10, 10, 100),
            (100, 94, 80),
            (100, 95, 95),
            (100, 99, 95),
            (1, 0, 0),
            (1, 1, 100),
        ] {
            let mut spares = spares(units);
            for at in 0..used {
                let taken = spares.allocate().unwrap();
                if at % 2 == 0 {
                    spares.retire(taken);
                }
            }
            assert_eq!(spares.level(), level, "{used} of {units}");
        }
    }

    proptest! {
        #[test]
        fn never_hands_out_a_unit_twice(units in 1u64..200, steps in prop::collection::vec((0u8..7, any::<prop::sample::Index>()), 0..400)) {
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
                    4 => {
                        let unit = which.index(units as usize + 3) as u64;
                        let free = unit < units && !held.contains(&unit) && !gone.contains(&unit);
                        prop_assert_eq!(spares.claim(SpareUnit(unit)), free);
                        if free {
                            held.insert(unit);
                        }
                    }
                    // What is not in use can be neither freed nor retired.
                    5 | 6 => {
                        let unit = which.index(units as usize + 3) as u64;
                        if !held.contains(&unit) {
                            spares.release(SpareUnit(unit));
                            spares.retire(SpareUnit(unit));
                        }
                    }
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
                prop_assert!(spares.retired_units().map(|u| u.0).eq(gone.iter().copied()));
                for first in [0, 1, 63, 64, 65, u64::MAX] {
                    let from = spares.retired_from(SpareUnit(first)).map(|u| u.0);
                    prop_assert!(from.eq(gone.iter().copied().filter(|&unit| unit >= first)));
                }
                prop_assert_eq!(spares.is_exhausted(), held.len() as u64 + retired == units);
            }
        }
    }
}
