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
mod tests;
