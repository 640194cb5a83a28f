// SPDX-License-Identifier: GPL-2.0

//! Units that are to be read once more, in memory of fixed size.
//!
//! None is ever lost: where there is no room for a further range, two that are close are made one,
//! and what lies between them is read again too.

use crate::fixed::Fixed;
use core::ops::Range;

/// How many ranges are told apart.
const RANGES: usize = 32;

/// A set of units.
///
/// # Invariants
///
/// The ranges are not empty, in order, and do not touch.
#[derive(Clone, Debug, Default)]
pub struct Doubts {
    ranges: Fixed<Range<u64>, RANGES>,
}

impl Doubts {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Adds some units.
    pub fn add(&mut self, mut new: Range<u64>) {
        if new.is_empty() {
            return;
        }
        while let Some(at) = self.touching(&new) {
            let Some(other) = self.ranges.remove(at) else {
                break;
            };
            new = new.start.min(other.start)..new.end.max(other.end);
        }
        if self.ranges.is_full() {
            new = self.joined(new);
        }
        let at = self.ranges.iter().take_while(|r| r.end < new.start).count();
        // INVARIANT: It touches none, and there is room for it.
        let _ = self.ranges.insert(at, new);
    }

    /// Whether any of some units is in it.
    pub fn has_any(&self, units: &Range<u64>) -> bool {
        let has = |range: &Range<u64>| range.start < units.end && units.start < range.end;
        self.ranges.iter().any(has)
    }

    fn touching(&self, new: &Range<u64>) -> Option<usize> {
        let touches = |other: &Range<u64>| other.start <= new.end && new.start <= other.end;
        self.ranges.iter().position(touches)
    }

    /// One range for `new` and the one that is nearest to it, which goes.
    fn joined(&mut self, new: Range<u64>) -> Range<u64> {
        let gap = |other: &Range<u64>| {
            let before = new.start.saturating_sub(other.end);
            before.max(other.start.saturating_sub(new.end))
        };
        let ranges = self.ranges.iter().enumerate();
        let nearest = ranges.min_by_key(|(_, other)| gap(other)).map(|(at, _)| at);
        match nearest.and_then(|at| self.ranges.remove(at)) {
            Some(other) => new.start.min(other.start)..new.end.max(other.end),
            None => new,
        }
    }

    /// Takes the first of them, `most` at most, in one piece.
    pub fn take(&mut self, most: u64) -> Option<Range<u64>> {
        let first = self.ranges.remove(0)?;
        let end = first.start.saturating_add(most.max(1)).min(first.end);
        if end < first.end {
            // INVARIANT: What is left of the first is still before the others.
            let _ = self.ranges.insert(0, end..first.end);
        }
        Some(first.start..end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn all(mut doubts: Doubts) -> Vec<Range<u64>> {
        std::iter::from_fn(|| doubts.take(u64::MAX)).collect()
    }

    #[test]
    fn what_touches_becomes_one() {
        let mut doubts = Doubts::default();
        for range in [10..20, 30..40, 20..25, 5..5, 39..50] {
            doubts.add(range);
        }
        assert_eq!(all(doubts.clone()), [10..25, 30..50]);
        assert!(doubts.has_any(&(0..11)) && doubts.has_any(&(49..60)));
        assert!(!doubts.has_any(&(25..30)) && !doubts.has_any(&(0..10)));
        doubts.add(0..u64::MAX);
        assert_eq!(doubts.take(7), Some(0..7));
        assert_eq!(all(doubts), std::slice::from_ref(&(7..u64::MAX)));
    }

    #[test]
    fn without_room_the_nearest_are_joined() {
        let mut doubts = Doubts::default();
        for at in 0..RANGES as u64 {
            doubts.add(at * 100..at * 100 + 10);
        }
        doubts.add(130..131);
        assert_eq!(doubts.take(1000), Some(0..10));
        assert_eq!(doubts.take(1000), Some(100..131));
    }

    proptest! {
        #[test]
        fn none_is_lost(added in prop::collection::vec((0u64..5000, 0u64..20), 0..200), most in 1u64..50) {
            let mut doubts = Doubts::default();
            let mut model = BTreeSet::new();
            for (start, len) in added {
                doubts.add(start..start + len);
                model.extend(start..start + len);
            }
            let mut last = 0;
            while let Some(range) = doubts.take(most) {
                prop_assert!(range.start >= last && range.start < range.end && range.end - range.start <= most);
                last = range.end;
                for unit in range {
                    model.remove(&unit);
                }
            }
            prop_assert!(model.is_empty());
        }
    }
}
