// SPDX-License-Identifier: GPL-2.0

//! Spare units put aside for each CPU.
//!
//! What one CPU moves, often one file after a bad stretch of main, then lies together on the spare,
//! whatever others move at the same time. Nothing of this is on disk: after a crash all of it is
//! free.

use crate::geometry::SpareUnit;
use crate::spares::Spares;
use core::ops::DerefMut;

/// How many units a magazine is filled with.
pub const FILL: usize = 32;

/// The units put aside for one CPU.
///
/// # Invariants
///
/// The first `len` of `units` are put aside in the [`Spares`] that they are of; the last is the
/// next to be taken.
#[derive(Clone)]
pub struct Magazine {
    units: [SpareUnit; FILL],
    len: usize,
}

impl Magazine {
    /// One without units.
    pub const EMPTY: Self = Self {
        units: [SpareUnit(0); FILL],
        len: 0,
    };

    fn pop(&mut self) -> Option<SpareUnit> {
        let last = self.len.checked_sub(1)?;
        // INVARIANT: One less is one of the first ones still.
        self.len = last;
        self.units.get(last).copied()
    }

    /// Fills one that is empty.
    fn fill<B: DerefMut<Target = [u64]>>(&mut self, spares: &mut Spares<B>) {
        let mut len = 0;
        while let Some(place) = self.units.get_mut(len) {
            let Some(unit) = spares.put_aside() else {
                break;
            };
            *place = unit;
            len += 1;
        }
        // INVARIANT: The first that came is to be the last.
        self.len = len;
        if let Some(own) = self.units.get_mut(..len) {
            own.reverse();
        }
    }
}

/// What became of the requests so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheUse {
    /// Served with the unit behind that of the neighbour on main.
    pub near: u64,
    /// Served by the CPU's magazine as it was.
    pub hits: u64,
    /// Those that found the CPU's magazine empty.
    pub misses: u64,
    /// How often a magazine was filled.
    pub refills: u64,
    /// Served with a unit that no magazine had, or, since none was free, with what was put aside
    /// for another CPU.
    pub fallbacks: u64,
}

/// A magazine for each CPU, in memory that the caller brings.
pub struct Magazines<M> {
    of_cpu: M,
    used: CacheUse,
}

impl<M: DerefMut<Target = [Magazine]>> Magazines<M> {
    /// With these magazines, one for each CPU.
    pub fn new(of_cpu: M) -> Self {
        Self {
            of_cpu,
            used: CacheUse::default(),
        }
    }

    /// What became of the requests so far.
    pub fn used(&self) -> CacheUse {
        self.used
    }

    /// Takes a unit for a caller on `cpu` who has `neighbour` for the unit before on main.
    pub fn take<B: DerefMut<Target = [u64]>>(
        &mut self,
        cpu: usize,
        neighbour: Option<SpareUnit>,
        spares: &mut Spares<B>,
    ) -> Option<SpareUnit> {
        let behind = neighbour
            .and_then(|unit| unit.0.checked_add(1))
            .map(SpareUnit);
        if let Some(unit) = behind.filter(|&unit| spares.claim(unit)) {
            self.used.near += 1;
            return Some(unit);
        }
        let unit = match self.own(cpu, spares) {
            Some(unit) => unit,
            None => self.any(spares)?,
        };
        spares.use_aside(unit);
        Some(unit)
    }

    /// A unit of the magazine of `cpu`, which is filled if it is empty.
    fn own<B: DerefMut<Target = [u64]>>(
        &mut self,
        cpu: usize,
        spares: &mut Spares<B>,
    ) -> Option<SpareUnit> {
        let magazine = self.of_cpu.get_mut(cpu)?;
        if let Some(unit) = magazine.pop() {
            self.used.hits += 1;
            return Some(unit);
        }
        self.used.misses += 1;
        magazine.fill(spares);
        let unit = magazine.pop()?;
        self.used.refills += 1;
        Some(unit)
    }

    /// A unit that is free, or one of the fullest magazine.
    fn any<B: DerefMut<Target = [u64]>>(&mut self, spares: &mut Spares<B>) -> Option<SpareUnit> {
        let fullest = self.of_cpu.iter_mut().max_by_key(|other| other.len);
        let unit = spares
            .put_aside()
            .or_else(|| fullest.and_then(Magazine::pop))?;
        self.used.fallbacks += 1;
        Some(unit)
    }

    /// Makes all units free again that were put aside.
    pub fn put_back<B: DerefMut<Target = [u64]>>(&mut self, spares: &mut Spares<B>) {
        for magazine in self.of_cpu.iter_mut() {
            while let Some(unit) = magazine.pop() {
                spares.free_aside(unit);
            }
        }
    }

    /// Knows of no unit any more, as the caller has made all of them free.
    pub fn forget(&mut self) {
        self.of_cpu.fill(Magazine::EMPTY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spares::words_for;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn spares(units: u64) -> Spares<Vec<u64>> {
        let words = vec![0; words_for(units) as usize];
        Spares::new(words.clone(), words, units).unwrap()
    }

    fn magazines(cpus: usize) -> Magazines<Vec<Magazine>> {
        Magazines::new(vec![Magazine::EMPTY; cpus])
    }

    #[test]
    fn what_one_cpu_takes_lies_together() {
        let (mut spares, mut magazines) = (spares(256), magazines(2));
        let take = |cpu, spares: &mut _, magazines: &mut Magazines<_>| {
            magazines.take(cpu, None, spares).unwrap().0
        };
        for round in 0..FILL as u64 {
            assert_eq!(take(0, &mut spares, &mut magazines), round);
            assert_eq!(take(1, &mut spares, &mut magazines), FILL as u64 + round);
        }
        assert_eq!(spares.in_use(), 2 * FILL as u64);
        assert_eq!(spares.aside(), 0);
    }

    #[test]
    fn a_unit_follows_that_of_its_neighbour() {
        let (mut spares, mut magazines) = (spares(256), magazines(1));
        assert!(spares.claim(SpareUnit(100)));
        let taken = magazines.take(0, Some(SpareUnit(100)), &mut spares);
        assert_eq!(taken, Some(SpareUnit(101)));
        let taken = magazines.take(0, Some(SpareUnit(100)), &mut spares);
        assert_eq!(taken, Some(SpareUnit(0)));
        let last = Some(SpareUnit(u64::MAX));
        assert_eq!(magazines.take(0, last, &mut spares), Some(SpareUnit(1)));
        assert_eq!(magazines.used().near, 1);
    }

    #[test]
    fn most_requests_find_a_unit() {
        let (mut spares, mut magazines) = (spares(100_000), magazines(4));
        for request in 0..50_000 {
            assert!(magazines.take(request % 4, None, &mut spares).is_some());
        }
        let used = magazines.used();
        assert!(used.hits * 100 >= 95 * (used.hits + used.misses));
        assert_eq!(used.hits + used.misses, 50_000);
    }

    #[test]
    fn the_last_units_are_those_put_aside_for_others() {
        let (mut spares, mut magazines) = (spares(40), magazines(2));
        let mut taken = BTreeSet::new();
        taken.extend(magazines.take(1, None, &mut spares));
        while let Some(unit) = magazines.take(0, None, &mut spares) {
            assert!(taken.insert(unit));
        }
        assert_eq!(taken.len(), 40);
        assert_eq!(magazines.used().fallbacks, FILL as u64 - 1);
        assert!(spares.is_exhausted());
    }

    proptest! {
        /// Whatever CPUs do, and whichever stop: no unit is lost or handed out twice.
        #[test]
        fn no_unit_is_lost(
            units in 1u64..300,
            steps in prop::collection::vec((0u8..8, 0usize..5, any::<prop::sample::Index>()), 0..600),
        ) {
            let (mut spares, mut magazines) = (spares(units), magazines(4));
            let mut held = BTreeSet::new();
            for (what, cpu, which) in steps {
                match what {
                    0..=3 => {
                        let near = (!held.is_empty() && what == 0)
                            .then(|| *held.iter().nth(which.index(held.len())).unwrap());
                        match magazines.take(cpu, near, &mut spares) {
                            Some(unit) => prop_assert!(unit.0 < units && held.insert(unit)),
                            None => prop_assert_eq!(held.len() as u64, units),
                        }
                    }
                    4 | 5 if !held.is_empty() => {
                        let unit = *held.iter().nth(which.index(held.len())).unwrap();
                        held.remove(&unit);
                        spares.release(unit);
                    }
                    6 => magazines.put_back(&mut spares),
                    7 => {
                        // What is put aside can be neither claimed, freed nor retired.
                        let unit = SpareUnit(which.index(units as usize) as u64);
                        if !held.contains(&unit) && spares.claim(unit) {
                            held.insert(unit);
                        } else if !held.contains(&unit) {
                            spares.release(unit);
                            spares.retire(unit);
                        }
                    }
                    _ => {}
                }
                let aside: usize = magazines.of_cpu.iter().map(|magazine| magazine.len).sum();
                prop_assert_eq!(spares.aside(), aside as u64);
                prop_assert_eq!(spares.in_use(), held.len() as u64);
                prop_assert_eq!(spares.retired(), 0);
            }
            magazines.put_back(&mut spares);
            for _ in held.len() as u64..units {
                prop_assert!(held.insert(spares.allocate().unwrap()));
            }
            prop_assert_eq!(spares.allocate(), None);
        }
    }
}
