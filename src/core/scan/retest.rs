// SPDX-License-Identifier: GPL-2.0

//! Which suspects a pass reads, to see whether they are well again.

use crate::geometry::Unit;

/// How many that fail again a pass reads: each costs a bad disk seconds, and does it no good.
const MOST: u32 = 32;

/// The suspects of a pass, from the first that the one before did not read on.
#[derive(Clone, Copy, Debug)]
pub struct Retest {
    from: u64,
    at: u64,
    is_around: bool,
    failed: u32,
}

impl Retest {
    /// Begins at unit `from`.
    pub fn new(from: u64) -> Self {
        Self {
            from,
            at: from,
            is_around: false,
            failed: 0,
        }
    }

    /// The next suspect, given the first one at or after a unit. None when all were read, or enough
    /// of them failed.
    pub fn next(&mut self, suspect: impl Fn(Unit) -> Option<Unit>) -> Option<Unit> {
        if self.failed >= MOST {
            return None;
        }
        let mut found = suspect(Unit(self.at));
        if found.is_none() && !self.is_around {
            (self.is_around, self.at) = (true, 0);
            found = suspect(Unit(0));
        }
        let found = found.filter(|unit| !self.is_around || unit.0 < self.from)?;
        self.at = found.0.saturating_add(1);
        Some(found)
    }

    /// The last of them failed again.
    pub fn failed(&mut self) {
        self.failed = self.failed.saturating_add(1);
    }

    /// Where the next pass begins.
    pub fn position(&self) -> u64 {
        self.at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// What a pass reads of these suspects, of which those that `fails` says fail again.
    fn pass(from: u64, suspects: &BTreeSet<u64>, fails: fn(u64) -> bool) -> (Vec<u64>, u64) {
        let mut retest = Retest::new(from);
        let mut read = Vec::new();
        let first = |from: Unit| suspects.range(from.0..).next().copied().map(Unit);
        while let Some(unit) = retest.next(first) {
            read.push(unit.0);
            if fails(unit.0) {
                retest.failed();
            }
            assert!(read.len() <= suspects.len());
        }
        (read, retest.position())
    }

    #[test]
    fn all_are_read_if_they_are_well() {
        let suspects: BTreeSet<_> = (0..1000).map(|n| n * 3).collect();
        for from in [0, 1, 700, 2997, 2998, u64::MAX] {
            let (mut read, _) = pass(from, &suspects, |_| false);
            read.sort_unstable();
            assert!(read.iter().eq(&suspects));
        }
        assert_eq!(pass(5, &BTreeSet::new(), |_| true), (vec![], 0));
    }

    #[test]
    fn few_of_those_that_fail_are_read_in_a_pass_and_each_in_its_turn() {
        let suspects: BTreeSet<_> = (10..110).collect();
        let (mut from, mut seen) = (0, BTreeSet::new());
        for _ in 0..4 {
            let (read, next) = pass(from, &suspects, |_| true);
            assert_eq!(read.len(), MOST as usize);
            seen.extend(read);
            from = next;
        }
        assert_eq!(seen, suspects);
    }
}
