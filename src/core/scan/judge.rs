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
//! A drive has what it read in a cache, so that a second read in a row says nothing of the medium.
//! What is doubtful rests before each look: so much else is read first that no cache has it any
//! more. At the end of a pass the scan reads for nothing but that.
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
/// How often a piece must be quick to be well, if what it is a half of was slow. What was slow in
/// the pass only is well when it is quick once.
const QUICK: u32 = 2;
/// How often a unit must be quick to be well, if it was slow: some that are weak are not always
/// slow.
const QUICK_UNIT: u32 = 4;
/// How many pieces are told apart.
const PIECES: usize = 24;
/// How many places are tried for a control, or for what is read while all that is doubtful rests.
const PLACES: u32 = 16;
/// How many sectors are read between two looks at the same: 256 MiB, more than the caches of most
/// drives.
const REST_SECTORS: u64 = 256 << 11;
/// Which part of main that is at most.
const REST_PART: u64 = 16;
/// For how many rests a pass reads at its end at most.
const RESTS: u64 = 32;

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

/// What is looked at.
#[derive(Clone, Debug)]
struct Piece {
    units: Range<u64>,
    /// What it is a half of was slow.
    is_half: bool,
    /// How often it was slow, and quick.
    slow: u32,
    quick: u32,
    /// It rests until so much was read.
    until: u64,
}

impl Piece {
    fn len(&self) -> u64 {
        self.units.end - self.units.start
    }

    fn touches(&self, units: &Range<u64>) -> bool {
        self.units.start < units.end && units.start < self.units.end
    }
}

/// What was slow in the pass, by how long it rests.
#[derive(Clone, Debug, Default)]
struct Queue {
    /// What became doubtful since those that rest began to.
    new: Doubts,
    resting: Doubts,
    /// What has rested.
    due: Doubts,
    /// Those that rest do so until so much was read.
    until: u64,
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.new.is_empty() && self.resting.is_empty() && self.due.is_empty()
    }

    fn has_any(&self, units: &Range<u64>) -> bool {
        let all = [&self.new, &self.resting, &self.due];
        all.iter().any(|doubts| doubts.has_any(units))
    }

    /// Takes note of how much was read; a rest is so long.
    fn settle(&mut self, read: u64, rest: u64) {
        if self.due.is_empty() && read >= self.until {
            self.due = core::mem::take(&mut self.resting);
        }
        if self.resting.is_empty() && !self.new.is_empty() {
            self.resting = core::mem::take(&mut self.new);
            self.until = read.saturating_add(rest);
        }
    }
}

/// What is known of how long reads take.
#[derive(Clone, Debug)]
pub struct Judge {
    units: u64,
    /// How many units are read at once, and how many between two looks at the same.
    batch: u64,
    rest: u64,
    /// How many units were read.
    read: u64,
    /// How long single units take, and what is longer.
    singles: Usual,
    longer: Usual,
    queue: Queue,
    /// What was slow when nobody else used the disk, and the halves of that.
    pieces: Fixed<Piece, PIECES>,
    /// What is being looked at now.
    piece: Option<Piece>,
    /// It was slow for so long, and a control must say whether that counts.
    slow_for: Option<u64>,
    /// How many controls there were.
    controls: u64,
    /// Others used the disk during the last read: the pass goes on first.
    yields: bool,
    /// Where what is read for a rest goes on, and how much of that this pass may read yet.
    filler: u64,
    may_fill: u64,
}

impl Judge {
    /// For `units` units of `unit_sectors` sectors, of which `batch` are read at once.
    pub fn new(units: u64, unit_sectors: u64, batch: u64) -> Self {
        let rest = (REST_SECTORS / unit_sectors.max(1)).min(units / REST_PART);
        // Nothing else is left to be read on a disk of a few batches.
        let rest = if rest < batch { 0 } else { rest };
        Self {
            units,
            batch: batch.max(1),
            rest,
            read: 0,
            singles: Usual::default(),
            longer: Usual::default(),
            queue: Queue::default(),
            pieces: Fixed::new(),
            piece: None,
            slow_for: None,
            controls: 0,
            yields: false,
            filler: 0,
            may_fill: rest.saturating_mul(RESTS),
        }
    }

    /// A pass begins.
    pub fn begin(&mut self) {
        self.may_fill = self.rest.saturating_mul(RESTS);
    }

    /// Whether nothing is doubtful.
    pub fn is_done(&self) -> bool {
        self.piece.is_none() && self.pieces.is_empty() && self.queue.is_empty()
    }

    fn usual(&mut self, units: &Range<u64>) -> &mut Usual {
        match units.end - units.start {
            1 => &mut self.singles,
            _ => &mut self.longer,
        }
    }

    /// Has some units read again.
    pub fn doubt(&mut self, units: Range<u64>) {
        self.queue.new.add(units);
    }

    /// Another control is asked for next.
    pub fn next_control(&mut self) {
        self.controls = self.controls.wrapping_add(1);
    }

    /// The pass read some units, at idle priority.
    pub fn passed(&mut self, units: Range<u64>, sample: Sample) {
        self.count(&units);
        let usual = self.usual(&units);
        let is_slow = usual.is_slow(sample.milliseconds);
        if !is_slow && sample.others == 0 {
            usual.learn(sample.milliseconds);
        }
        // What is doubtful is in the cache again, and its rest begins anew.
        if is_slow || self.queue.has_any(&units) {
            self.queue.new.add(units.clone());
        }
        self.rest_again(&units);
        self.queue.settle(self.read, self.rest);
    }

    fn count(&mut self, units: &Range<u64>) {
        let len = units.end.saturating_sub(units.start);
        self.read = self.read.saturating_add(len);
    }

    fn rest_again(&mut self, units: &Range<u64>) {
        let until = self.read.saturating_add(self.rest);
        for at in 0..self.pieces.len() {
            let piece = self.pieces.get(at).filter(|piece| piece.touches(units));
            if let Some(piece) = piece.cloned() {
                let _ = self.pieces.replace(at, Piece { until, ..piece });
            }
        }
    }

    /// What is to be read at normal priority, if nobody else uses the disk; [`Self::measured`]
    /// wants to know how it went. `left_out` gives the first of some units that is not to be read.
    /// None while all that is doubtful rests, and once after a read in vain, since others may never
    /// leave the disk alone for as long as a read takes.
    pub fn next(&mut self, left_out: impl Fn(Range<u64>) -> Option<Unit>) -> Option<Ask> {
        if core::mem::take(&mut self.yields) {
            return None;
        }
        loop {
            let piece = self.piece.take().or_else(|| self.next_piece())?;
            if let Some(unit) = left_out(piece.units.clone()) {
                self.slow_for = None;
                let (start, end) = (piece.units.start, piece.units.end);
                for units in [start..unit.0, unit.0.saturating_add(1)..end] {
                    let piece = Piece {
                        units,
                        ..piece.clone()
                    };
                    self.keep(piece);
                }
                continue;
            }
            let units = piece.units.clone();
            self.piece = Some(piece);
            if self.slow_for.is_none() {
                return Some(Ask::Doubtful(units));
            }
            match self.control(&units, &left_out) {
                Some(control) => return Some(Ask::Control(control)),
                // There is nothing to compare it with.
                None => self.drop_piece(),
            }
        }
    }

    /// What has rested.
    fn next_piece(&mut self) -> Option<Piece> {
        let read = self.read;
        let rested = self.pieces.iter().position(|piece| piece.until <= read);
        if let Some(piece) = rested.and_then(|at| self.pieces.remove(at)) {
            return Some(piece);
        }
        // What is new is due at once if a rest is nothing.
        self.queue.settle(read, self.rest);
        self.queue.settle(read, self.rest);
        let units = self.queue.due.take(self.batch)?;
        Some(Piece {
            units,
            is_half: false,
            slow: 0,
            quick: 0,
            until: read,
        })
    }

    /// Looks at a piece when it has rested; without room for it, as at what is new.
    fn keep(&mut self, piece: Piece) {
        if !piece.units.is_empty() {
            if let Err(piece) = self.pieces.push(piece) {
                self.doubt(piece.units);
            }
        }
    }

    /// The same, after it was read.
    fn keep_resting(&mut self, piece: Piece) {
        let until = self.read.saturating_add(self.rest);
        self.keep(Piece { until, ..piece });
    }

    /// What is being looked at is not doubtful any more.
    pub fn drop_piece(&mut self) {
        (self.piece, self.slow_for) = (None, None);
    }

    /// A unit far from a piece, each time another: a disk may have what it read before in its
    /// cache.
    fn control(
        &mut self,
        piece: &Range<u64>,
        left_out: impl Fn(Range<u64>) -> Option<Unit>,
    ) -> Option<Range<u64>> {
        for _ in 0..PLACES {
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

    /// Whether all that is doubtful rests.
    fn rests(&self) -> bool {
        let has_rested = |piece: &Piece| piece.until <= self.read;
        let is_due = self.piece.is_some()
            || !self.queue.due.is_empty()
            || self.pieces.iter().any(has_rested);
        !is_due && !self.is_done()
    }

    /// Whether the pass, which has nothing left to read, may end though something is doubtful: it
    /// rests, and the pass read enough for that.
    pub fn gives_up(&self) -> bool {
        self.rests() && self.may_fill < self.batch
    }

    /// Something else for the pass to read, which has nothing left to read, while all that is
    /// doubtful rests. None if something has rested, or the pass read enough for that.
    pub fn fill(&mut self) -> Option<Range<u64>> {
        if !self.rests() || self.gives_up() {
            return None;
        }
        let mut fill = self.next_fill();
        for _ in 0..PLACES {
            // A drive may also read what follows, and have that in its cache.
            let near = fill.start..fill.end.saturating_add(self.batch);
            let touches = |piece: &Piece| piece.touches(&near);
            if !self.queue.has_any(&near) && !self.pieces.iter().any(touches) {
                break;
            }
            fill = self.next_fill();
        }
        self.may_fill = self.may_fill.saturating_sub(self.batch);
        (!fill.is_empty()).then_some(fill)
    }

    fn next_fill(&mut self) -> Range<u64> {
        let start = match self.filler {
            filler if filler < self.units => filler,
            _ => 0,
        };
        self.filler = start.saturating_add(self.batch).min(self.units);
        start..self.filler
    }

    /// What [`Self::next`] asked for was read; the unit that is weak, if that makes one so.
    pub fn measured(&mut self, sample: Sample) -> Option<Unit> {
        let piece = self.piece.take()?;
        self.yields = sample.others > 0;
        let weak = match self.slow_for.take() {
            Some(slow_for) => self.controlled(piece, slow_for, sample),
            None => {
                self.count(&piece.units);
                self.looked_at(piece, sample);
                None
            }
        };
        self.queue.settle(self.read, self.rest);
        weak
    }

    fn looked_at(&mut self, mut piece: Piece, sample: Sample) {
        let is_quiet = sample.others == 0;
        let usual = self.usual(&piece.units);
        if usual.is_slow(sample.milliseconds) {
            match is_quiet {
                true => (self.piece, self.slow_for) = (Some(piece), Some(sample.milliseconds)),
                false if piece.is_half => self.keep_resting(piece),
                false => self.doubt(piece.units),
            }
            return;
        }
        if is_quiet {
            usual.learn(sample.milliseconds);
        }
        piece.quick += 1;
        let enough = match (piece.slow, piece.is_half) {
            (0, false) => 1,
            (0, true) => QUICK,
            _ => QUICK_UNIT,
        };
        if piece.quick < enough {
            self.keep_resting(piece);
        }
    }

    /// A piece was slow, and then a unit far away was read.
    fn controlled(&mut self, mut piece: Piece, slow_for: u64, sample: Sample) -> Option<Unit> {
        self.next_control();
        let is_quiet = sample.others == 0;
        if self.singles.is_slow(sample.milliseconds) {
            if is_quiet {
                // The disk is slow as a whole, which it may stay.
                self.singles.learn(sample.milliseconds);
                self.usual(&piece.units).learn(slow_for);
            }
            match piece.is_half {
                true => self.keep_resting(piece),
                false => self.doubt(piece.units),
            }
            return None;
        }
        if is_quiet {
            self.singles.learn(sample.milliseconds);
        }
        let len = piece.len();
        if len > 1 {
            let (start, end) = (piece.units.start, piece.units.end);
            let middle = start + len / 2;
            for units in [start..middle, middle..end] {
                self.keep_resting(Piece {
                    units,
                    is_half: true,
                    slow: 0,
                    quick: 0,
                    until: 0,
                });
            }
            return None;
        }
        piece.slow += 1;
        if piece.slow < SLOW {
            self.keep_resting(piece);
            return None;
        }
        Some(Unit(piece.units.start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const UNITS: u64 = 100_000;
    const UNIT_SECTORS: u64 = 8;
    const REST: u64 = UNITS / REST_PART;
    const QUIET: u64 = 0;

    fn sample(milliseconds: u64, others: u64) -> Sample {
        Sample {
            milliseconds,
            others,
        }
    }

    /// One that knows what is usual, and doubts some units.
    fn doubting(units: Range<u64>) -> Judge {
        let mut judge = Judge::new(UNITS, UNIT_SECTORS, 64);
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

    /// What is asked for after a rest.
    fn next(judge: &mut Judge) -> Option<Ask> {
        judge.begin();
        while let Some(units) = judge.fill() {
            judge.passed(units, sample(10, QUIET));
        }
        judge.next(all)
    }

    /// Reads all that is asked for until nothing is doubtful, or `most` times, and something else
    /// while that rests; the weak units. `read` says how long it took and what others did.
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
            let Some(ask) = next(judge) else {
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
        assert_eq!(asked, [Ask::Doubtful(640..704)]);
    }

    #[test]
    fn what_is_doubtful_rests_before_each_look() {
        let mut judge = doubting(640..704);
        let mut last = vec![None; UNITS as usize];
        last[640..704].fill(Some(judge.read));
        let (mut weak, mut looks) = (Vec::new(), 0);
        while !judge.is_done() {
            let Some(ask) = judge.next(all) else {
                judge.begin();
                let fill = judge.fill().expect("nothing is due");
                assert!(fill.end <= 640 || fill.start >= 704);
                judge.passed(fill, sample(10, QUIET));
                continue;
            };
            let units = ask.units();
            if matches!(ask, Ask::Doubtful(_)) {
                looks += 1;
                for unit in units.clone() {
                    assert!(last[unit as usize].is_none_or(|last| judge.read - last >= REST));
                }
            }
            let is_slow = units.contains(&650) || units.contains(&690);
            let found = judge.measured(sample(if is_slow { 900 } else { 10 }, QUIET));
            weak.extend(found.map(|unit| unit.0));
            if matches!(ask, Ask::Doubtful(_)) {
                last[units.start as usize..units.end as usize].fill(Some(judge.read));
            }
        }
        weak.sort_unstable();
        assert_eq!(weak, [650, 690]);
        assert!(looks < 60, "{looks}");
        // One rest may serve many looks.
        assert!(judge.read < 20 * REST, "{}", judge.read);
    }

    #[test]
    fn what_the_pass_reads_again_rests_anew() {
        let mut judge = doubting(640..704);
        let begun = judge.read;
        while judge.read < begun + REST - 64 {
            judge.passed(9000..9064, sample(10, QUIET));
        }
        judge.passed(700..764, sample(10, QUIET));
        let again = judge.read;
        while judge.read < again + REST {
            // All but the units that were read again may be looked at.
            if let Some(ask) = judge.next(all) {
                assert_eq!(ask, Ask::Doubtful(640..704));
                judge.measured(sample(10, QUIET));
            }
            judge.passed(9000..9064, sample(10, QUIET));
        }
        assert_eq!(judge.next(all), Some(Ask::Doubtful(700..764)));
        judge.measured(sample(10, QUIET));
        assert!(judge.is_done());
    }

    #[test]
    fn a_pass_does_not_read_for_a_rest_without_end() {
        let mut judge = doubting(640..704);
        let mut fills = 0;
        while !judge.gives_up() {
            match judge.fill() {
                Some(units) => {
                    fills += 1;
                    judge.passed(units, sample(10, QUIET));
                }
                None => {
                    // It is always read in vain.
                    judge.next(all);
                    judge.measured(sample(9000, 1));
                }
            }
        }
        assert!(!judge.is_done() && fills * 64 <= RESTS * REST, "{fills}");
        // It is not forgotten.
        assert_eq!(next(&mut judge), None);
        assert_eq!(next(&mut judge), Some(Ask::Doubtful(640..704)));
    }

    #[test]
    fn a_disk_of_a_few_batches_has_no_rest() {
        let mut judge = Judge::new(1000, UNIT_SECTORS, 64);
        judge.passed(0..64, sample(9000, 0));
        assert_eq!(judge.next(all), Some(Ask::Doubtful(0..64)));
        assert!(!judge.gives_up() && judge.fill().is_none());
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
        let asked = [next(&mut judge), next(&mut judge)];
        assert!(asked.contains(&Some(Ask::Doubtful(640..704))));
        judge.measured(sample(5000, 1));
        assert_eq!(next(&mut judge), None);
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

    /// What holds the disk up for moments holds up all of it.
    #[test]
    fn a_unit_is_not_weak_when_those_far_away_are_as_slow() {
        let mut judge = doubting(640..641);
        let mut controls = 0;
        for _ in 0..40 {
            // What is usual stays so.
            (0..50).for_each(|_| judge.singles.learn(10));
            if let Some(ask) = next(&mut judge) {
                controls += u32::from(matches!(ask, Ask::Control(_)));
                assert_eq!(judge.measured(sample(3000, QUIET)), None);
            }
        }
        assert!(controls > 5, "{controls}");
    }

    #[test]
    fn what_is_left_out_is_not_asked_for() {
        let mut judge = doubting(640..704);
        let out = |units: Range<u64>| {
            let first = units.clone().find(|unit| unit % 3 == 0);
            first.map(Unit)
        };
        let mut asked = Vec::new();
        for _ in 0..10 * REST / 64 {
            judge.passed(0..64, sample(10, QUIET));
            let Some(ask) = judge.next(out) else {
                continue;
            };
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
        let mut judge = Judge::new(1, UNIT_SECTORS, 64);
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
            let mut judge = Judge::new(units, UNIT_SECTORS, batch);
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
                judge.begin();
                while let Some(fill) = judge.fill() {
                    prop_assert!(fill.start < fill.end && fill.end <= units && fill.end - fill.start <= batch);
                    judge.passed(fill, sample(10, QUIET));
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
