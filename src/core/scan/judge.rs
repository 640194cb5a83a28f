// SPDX-License-Identifier: GPL-2.0

//! Which units are weak, by the time that reads of them take.
//!
//! A read takes long for many reasons that are not the medium's. A scheduler holds back what has
//! idle priority, for ten seconds if others ask for as long (`prio_aging_expire` of mq-deadline);
//! what has normal priority waits for those before it; and a disk may be slow as a whole, while it
//! cleans up behind itself or is too hot. So:
//!
//! - a slow read of the pass, which has idle priority, makes its units doubtful and no more;
//! - doubtful units are read again at normal priority, when nobody else uses the disk, and a slow
//!   read counts only if nobody did until it ended;
//! - and only if a unit far away is read quickly right after it;
//! - pieces that are slow are halved until one unit is left, which is weak when it was slow often
//!   enough.
//!
//! A quick read is a quick read, whatever others did. What could not be judged stays doubtful.

use super::{
    doubts::Doubts,
    weak::Usual, //
};
use crate::fixed::Fixed;
use crate::geometry::Unit;
use core::ops::Range;

/// How often a unit must be slow to be weak.
const SLOW: u32 = 3;
/// How often a piece must be quick to be well.
const QUICK: u32 = 2;
/// How often a unit must be quick to be well, if it was slow: some that are weak are not always
/// slow.
const QUICK_UNIT: u32 = 4;
/// How many pieces wait: halves of halves of a batch of at most 2^15 units.
const PIECES: usize = 16;
/// How many places are tried for a control.
const CONTROLS: u32 = 16;

/// A read that worked.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// How long it took.
    pub milliseconds: u64,
    /// How many requests others had in flight, or made, from its begin to its end.
    pub others: u64,
}

/// What is to be read, and what for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Units that are doubtful, to see whether they are slow.
    Doubtful(Range<u64>),
    /// A unit that is far away, to see whether the disk is.
    Control(Range<u64>),
}

impl Ask {
    /// The units to be read.
    pub fn units(&self) -> Range<u64> {
        match self {
            Self::Doubtful(units) | Self::Control(units) => units.clone(),
        }
    }
}

/// How often the last of the pieces was slow, and quick.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    slow: u32,
    quick: u32,
}

/// What is known of how long reads take.
#[derive(Clone, Debug)]
pub struct Judge {
    units: u64,
    /// How many units are read at once.
    batch: u64,
    /// How long single units take, and what is longer.
    singles: Usual,
    longer: Usual,
    doubts: Doubts,
    /// What is being looked at, the last of them now.
    pieces: Fixed<Range<u64>, PIECES>,
    tally: Tally,
    /// The last of the pieces was slow for so long, and a control must say whether that counts.
    slow_for: Option<u64>,
    /// How many controls there were.
    controls: u64,
    /// Others used the disk during the last read: the pass goes on first.
    yields: bool,
}

impl Judge {
    /// For `units` units, of which `batch` are read at once.
    pub fn new(units: u64, batch: u64) -> Self {
        Self {
            units,
            batch: batch.max(1),
            singles: Usual::default(),
            longer: Usual::default(),
            doubts: Doubts::default(),
            pieces: Fixed::new(),
            tally: Tally::default(),
            slow_for: None,
            controls: 0,
            yields: false,
        }
    }

    /// Whether nothing is doubtful.
    pub fn is_done(&self) -> bool {
        self.pieces.is_empty() && self.doubts.is_empty()
    }

    fn usual(&mut self, units: &Range<u64>) -> &mut Usual {
        match units.end - units.start {
            1 => &mut self.singles,
            _ => &mut self.longer,
        }
    }

    /// Has some units read again.
    pub fn doubt(&mut self, units: Range<u64>) {
        self.doubts.add(units);
    }

    /// Another control is asked for next.
    pub fn next_control(&mut self) {
        self.controls = self.controls.wrapping_add(1);
    }

    /// The pass read some units, at idle priority.
    pub fn passed(&mut self, units: Range<u64>, sample: Sample) {
        let usual = self.usual(&units);
        if usual.is_slow(sample.milliseconds) {
            self.doubts.add(units);
        } else if sample.others == 0 {
            usual.learn(sample.milliseconds);
        }
    }

    /// What is to be read at normal priority, if nobody else uses the disk; [`Self::measured`]
    /// wants to know how it went. `left_out` gives the first of some units that is not to be read.
    /// None once after a read in vain, since others may never leave the disk alone for as long as a
    /// read takes.
    pub fn next(&mut self, left_out: impl Fn(Range<u64>) -> Option<Unit>) -> Option<Ask> {
        if core::mem::take(&mut self.yields) {
            return None;
        }
        loop {
            let Some(piece) = self.piece() else {
                let batch = self.doubts.take(self.batch)?;
                // There is room, as there is no piece.
                self.push(batch);
                continue;
            };
            if let Some(unit) = left_out(piece.clone()) {
                self.drop_piece();
                self.doubts.add(unit.0.saturating_add(1)..piece.end);
                self.push(piece.start..unit.0);
                continue;
            }
            if self.slow_for.is_none() {
                return Some(Ask::Doubtful(piece));
            }
            match self.control(&piece, &left_out) {
                Some(control) => return Some(Ask::Control(control)),
                // There is nothing to compare it with.
                None => self.drop_piece(),
            }
        }
    }

    fn piece(&self) -> Option<Range<u64>> {
        let last = self.pieces.len().checked_sub(1)?;
        self.pieces.get(last).cloned()
    }

    fn push(&mut self, piece: Range<u64>) {
        (self.tally, self.slow_for) = (Tally::default(), None);
        if !piece.is_empty() {
            if let Err(piece) = self.pieces.push(piece) {
                self.doubts.add(piece);
            }
        }
    }

    /// What is being looked at is not doubtful any more.
    pub fn drop_piece(&mut self) {
        (self.tally, self.slow_for) = (Tally::default(), None);
        if let Some(last) = self.pieces.len().checked_sub(1) {
            self.pieces.remove(last);
        }
    }

    /// A unit far from `piece`, each time another: a disk may have what it read before in its
    /// cache.
    fn control(
        &mut self,
        piece: &Range<u64>,
        left_out: impl Fn(Range<u64>) -> Option<Unit>,
    ) -> Option<Range<u64>> {
        for _ in 0..CONTROLS {
            // An odd number that is 2^64 divided by the golden ratio spreads what it multiplies.
            let spread = self.controls.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let within = (u128::from(spread) * u128::from(self.units / 2)) >> 64;
            let far = (piece.start + self.units / 4).saturating_add(within as u64);
            let unit = far.checked_rem(self.units)?;
            let control = unit..unit + 1;
            if left_out(control.clone()).is_none() {
                return Some(control);
            }
            self.next_control();
        }
        None
    }

    /// What [`Self::next`] asked for was read; the unit that is weak, if that makes one so.
    pub fn measured(&mut self, sample: Sample) -> Option<Unit> {
        let piece = self.piece()?;
        self.yields = sample.others > 0;
        match self.slow_for.take() {
            Some(slow_for) => self.controlled(piece, slow_for, sample),
            None => {
                self.looked_at(&piece, sample);
                None
            }
        }
    }

    fn looked_at(&mut self, piece: &Range<u64>, sample: Sample) {
        let is_quiet = sample.others == 0;
        let usual = self.usual(piece);
        if usual.is_slow(sample.milliseconds) {
            self.slow_for = is_quiet.then_some(sample.milliseconds);
            return;
        }
        if is_quiet {
            usual.learn(sample.milliseconds);
        }
        self.tally.quick += 1;
        let enough = match self.tally.slow {
            0 => QUICK,
            _ => QUICK_UNIT,
        };
        if self.tally.quick >= enough {
            self.drop_piece();
        }
    }

    /// A piece was slow, and then a unit far away was read.
    fn controlled(&mut self, piece: Range<u64>, slow_for: u64, sample: Sample) -> Option<Unit> {
        self.next_control();
        let is_quiet = sample.others == 0;
        if self.singles.is_slow(sample.milliseconds) {
            if is_quiet {
                // The disk is slow as a whole, which it may stay.
                self.singles.learn(sample.milliseconds);
                self.usual(&piece).learn(slow_for);
            }
            return None;
        }
        if is_quiet {
            self.singles.learn(sample.milliseconds);
        }
        let len = piece.end - piece.start;
        if len > 1 {
            let middle = piece.start + len / 2;
            self.drop_piece();
            self.push(middle..piece.end);
            self.push(piece.start..middle);
            return None;
        }
        self.tally.slow += 1;
        if self.tally.slow < SLOW {
            return None;
        }
        self.drop_piece();
        Some(Unit(piece.start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const UNITS: u64 = 100_000;
    const QUIET: u64 = 0;

    fn sample(milliseconds: u64, others: u64) -> Sample {
        Sample {
            milliseconds,
            others,
        }
    }

    /// One that knows what is usual, and doubts some units.
    fn doubting(units: Range<u64>) -> Judge {
        let mut judge = Judge::new(UNITS, 64);
        for at in 0..50 {
            judge.passed(at * 64..at * 64 + 64, sample(10, QUIET));
        }
        judge.singles.learn(10);
        judge.passed(units, sample(9000, 1));
        judge
    }

    fn all(_: Range<u64>) -> Option<Unit> {
        None
    }

    /// Reads all that is asked for until nothing is doubtful, or `most` times; the weak units.
    /// `read` says how long it took and what others did.
    fn judged(
        judge: &mut Judge,
        most: usize,
        mut read: impl FnMut(&Ask) -> (u64, u64),
    ) -> Vec<u64> {
        let mut weak = Vec::new();
        for _ in 0..most {
            if judge.is_done() {
                break;
            }
            let Some(ask) = judge.next(all) else {
                continue;
            };
            let (milliseconds, others) = read(&ask);
            weak.extend(judge.measured(sample(milliseconds, others)).map(|u| u.0));
        }
        weak
    }

    #[test]
    fn a_slow_read_at_idle_priority_is_no_more_than_a_doubt() {
        let mut judge = doubting(640..704);
        let mut asked = Vec::new();
        let weak = judged(&mut judge, 1000, |ask| {
            asked.push(ask.clone());
            (10, QUIET)
        });
        assert!(weak.is_empty() && judge.is_done());
        assert_eq!(asked, [Ask::Doubtful(640..704), Ask::Doubtful(640..704)]);
    }

    #[test]
    fn a_unit_that_is_slow_while_all_is_quiet_is_weak() {
        let mut judge = doubting(640..704);
        let weak = judged(&mut judge, 1000, |ask| match ask {
            Ask::Doubtful(units) if units.contains(&700) => (700, QUIET),
            _ => (10, QUIET),
        });
        assert_eq!(weak, [700]);
        assert!(judge.is_done());
    }

    #[test]
    fn all_weak_units_of_a_batch_are_found() {
        let mut judge = doubting(640..704);
        let bad = [640, 641, 660, 703];
        let mut weak = judged(&mut judge, 10_000, |ask| {
            let is_slow = bad.iter().any(|unit| ask.units().contains(unit));
            (if is_slow { 2000 } else { 10 }, QUIET)
        });
        weak.sort_unstable();
        assert_eq!(weak, bad);
    }

    #[test]
    fn what_is_slow_while_others_use_the_disk_says_nothing() {
        let mut judge = doubting(640..704);
        assert!(judged(&mut judge, 1000, |_| (5000, 1)).is_empty());
        // It is not forgotten, and the pass goes on meanwhile.
        assert!(!judge.is_done());
        let asked = [judge.next(all), judge.next(all)];
        assert!(asked.contains(&Some(Ask::Doubtful(640..704))));
        judge.measured(sample(5000, 1));
        assert_eq!(judge.next(all), None);
        // Nor did it become usual.
        let weak = judged(&mut judge, 1000, |ask| {
            (if ask.units().contains(&650) { 600 } else { 10 }, QUIET)
        });
        assert_eq!(weak, [650]);
    }

    #[test]
    fn a_disk_that_is_slow_as_a_whole_has_no_weak_units() {
        let mut judge = doubting(640..704);
        let weak = judged(&mut judge, 1000, |_| (3000, QUIET));
        assert!(weak.is_empty() && judge.is_done());
    }

    #[test]
    fn what_is_left_out_is_not_asked_for() {
        let mut judge = doubting(640..704);
        let out = |units: Range<u64>| {
            let first = units.clone().find(|unit| unit % 3 == 0);
            first.map(Unit)
        };
        let mut asked = Vec::new();
        while let Some(ask) = judge.next(out) {
            assert!(ask.units().all(|unit| unit % 3 != 0));
            asked.extend(ask.units());
            judge.measured(sample(10, QUIET));
        }
        asked.dedup();
        let wanted = (640..704).filter(|unit| unit % 3 != 0);
        assert_eq!(asked.iter().collect::<BTreeSet<_>>().len(), wanted.count());
    }

    #[test]
    fn controls_are_far_away_and_differ() {
        let mut judge = doubting(0..64);
        let mut seen = BTreeSet::new();
        judged(&mut judge, 100, |ask| match ask {
            Ask::Control(units) => {
                assert!(units.start >= UNITS / 4 && units.end <= UNITS * 3 / 4 + 1);
                seen.insert(units.start);
                (10, QUIET)
            }
            Ask::Doubtful(_) => (700, QUIET),
        });
        assert!(seen.len() > 40);
        // A disk of one unit has none, and nothing is weak compared with itself.
        let mut judge = Judge::new(1, 64);
        judge.passed(0..1, sample(9000, 0));
        assert!(judged(&mut judge, 100, |_| (9000, QUIET)).is_empty());
    }

    proptest! {
        #[test]
        fn it_asks_for_units_that_there_are_and_ends_when_they_are_quick(
            units in 1u64..300,
            batch in 1u64..65,
            passed in prop::collection::vec((0u64..300, 1u64..65, prop::bool::ANY), 0..40),
            out in prop::collection::btree_set(0u64..300, 0..40),
            reads in prop::collection::vec((prop::sample::select(vec![0, 10, 499, 500, 3000, u64::MAX]), 0u64..2), 0..300),
        ) {
            let mut judge = Judge::new(units, batch);
            let left_out = |range: Range<u64>| out.range(range).next().copied().map(Unit);
            for (start, len, is_quiet) in passed {
                let start = start % units;
                let end = (start + len.min(batch)).min(units);
                judge.passed(start..end, sample(3000, u64::from(!is_quiet)));
            }
            let mut weak = BTreeSet::new();
            let mut reads = reads.into_iter();
            for _ in 0..10_000 {
                if judge.is_done() {
                    break;
                }
                let Some(ask) = judge.next(left_out) else {
                    continue;
                };
                let asked = ask.units();
                prop_assert!(asked.start < asked.end && asked.end <= units && asked.end - asked.start <= batch);
                prop_assert!(left_out(asked.clone()).is_none());
                let (milliseconds, others) = reads.next().unwrap_or((10, QUIET));
                if let Some(unit) = judge.measured(sample(milliseconds, others)) {
                    weak.insert(unit.0);
                }
            }
            prop_assert!(judge.is_done());
            prop_assert!(weak.iter().all(|&unit| unit < units && !out.contains(&unit)));
        }
    }
}
