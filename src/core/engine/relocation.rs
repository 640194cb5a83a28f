// SPDX-License-Identifier: GPL-2.0

//! Moving a unit to the spare: from main, or from a spare unit that fails.
//!
//! | state | on | to |
//! |---|---|---|
//! | `Claiming` | a claim, a spare unit, and the breaker's leave | `Quiescing`, and the gate is closed |
//! | `Claiming` | another machine's claim, no memory | `Claiming`, when that ended |
//! | `Quiescing` | no I/O of older maps is left | `Reading` |
//! | `Reading` | all blocks that are kept were read | `Writing` |
//! | `Reading` | blocks of a run fail | `Reading`, block by block |
//! | `Reading` | blocks fail | `Asking` whether their device works at all |
//! | `Asking` | it does | `Reading` once more after a pause; in the end they are lost, if they may be |
//! | `Writing` | all was written | `Rechecking` if spare units failed, else `Staging` |
//! | `Writing` | a spare unit fails, again and again | `AskingSpare` |
//! | `AskingSpare` | the spare works | `Writing` to another spare unit |
//! | `Rechecking` | the unit that failed fails once more, or does not | the next; then `Staging` |
//! | `Judging` | the spare takes a commit, so the last spare units are bad | `Retiring` them |
//! | `Retiring` | the commit has ended that says so | end: no spare unit is left |
//! | `Staging` | the group has room | end: the claim ends with the commit |
//! | any | what forbids the move | end: the unit is open again, as it was |

mod source;
mod spare;

use super::change::{
    Change,
    OnFailure, //
};
use super::memory::Memory;
use super::obstacle::Obstacle;
use super::probe::{
    Probe,
    Ticket, //
};
use super::task::{
    Action,
    Data,
    Event,
    Key,
    Turn, //
};
use super::Engine;
use crate::blocks::Blocks;
use crate::classify::Status;
use crate::fixed::Fixed;
use crate::geometry::{
    SpareUnit,
    Unit, //
};
use crate::index::State;
use core::ops::Range;

/// How many spare units are tried for one unit.
const TRIES: usize = 8;

/// Why a unit is moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A write to it failed with this status.
    Write(Status),
    /// It can be read, but not easily.
    Weak,
    /// Somebody asked for it.
    Message {
        /// Blocks that cannot be read are given up.
        is_lossy: bool,
    },
}

impl Cause {
    /// Whether blocks may be lost that cannot be read.
    const fn accepts_losses(self) -> bool {
        match self {
            Self::Write(_) => true,
            Self::Weak => false,
            Self::Message { is_lossy } => is_lossy,
        }
    }

    /// Whether the breaker counts it.
    const fn is_counted(self) -> bool {
        !matches!(self, Self::Message { .. })
    }
}

/// How a relocation ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is staged, and durable with the commit of the group of this number.
    Staged {
        /// The number of the group.
        group: u64,
        /// How many blocks are lost.
        lost: u32,
    },
    /// The unit stays where it is.
    Stays(Obstacle),
}

const fn stays(why: Obstacle) -> Turn<Outcome> {
    Turn::Ended(Outcome::Stays(why))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Claiming,
    Quiescing,
    /// Blocks up to this one are read one by one.
    Reading(u32),
    Asking(Ticket),
    /// The number of the part that is written: a run of kept blocks, then what the bio writes.
    Writing(u32),
    AskingSpare(Ticket, Status),
    /// The same for the spare unit of this number among those that failed.
    Rechecking(usize, u32),
    /// The spare is asked whether it takes a commit, to know what became of those that failed.
    Judging(Ticket, Obstacle),
    /// The group of this number says that they are bad.
    Retiring(u64, Obstacle),
    Staging,
}

/// A unit on its way.
#[derive(Clone, Debug)]
pub struct Relocation {
    unit: Unit,
    cause: Cause,
    /// The sectors of the target that the bio gives new content.
    written: Range<u64>,
    /// Whether the content is that of the bio, or zeroes.
    data: Data,
    /// The state that is left.
    from: State,
    /// The state in which it was decided to move the unit.
    expected: Option<State>,
    spare: Option<SpareUnit>,
    /// Blocks that were read.
    got: Blocks,
    /// Blocks that failed in this round.
    failing: Blocks,
    /// How often reading, or writing to one spare unit, was tried.
    tries: usize,
    /// Spare units that failed, and whether each failed once more.
    failed: Fixed<SpareUnit, TRIES>,
    bad: Fixed<SpareUnit, TRIES>,
    /// The CPU on whose behalf it is.
    cpu: usize,
    has_closed_gate: bool,
    /// The breaker will count it, if it is moved.
    is_admitted: bool,
    /// The moment of the last event, in milliseconds.
    now: u64,
    step: Step,
}

impl Relocation {
    /// Moves `unit`, on behalf of a caller on `cpu`.
    pub fn new(unit: Unit, cause: Cause, cpu: usize) -> Self {
        Self {
            unit,
            cause,
            written: 0..0,
            data: Data::Bio,
            from: State::Main,
            expected: None,
            spare: None,
            got: Blocks::NONE,
            failing: Blocks::NONE,
            tries: 0,
            failed: Fixed::new(),
            bad: Fixed::new(),
            cpu,
            has_closed_gate: false,
            is_admitted: false,
            now: 0,
            step: Step::Claiming,
        }
    }

    /// The same, with new content for these sectors of it, which failed to be written in this
    /// state.
    pub fn of_write(mut self, written: Range<u64>, data: Data, state: State) -> Self {
        (self.written, self.data, self.expected) = (written, data, Some(state));
        self
    }

    /// The unit.
    pub fn unit(&self) -> Unit {
        self.unit
    }

    /// The name of its state.
    pub const fn state(&self) -> &'static str {
        match self.step {
            Step::Claiming => "Claiming",
            Step::Quiescing => "Quiescing",
            Step::Reading(_) => "Reading",
            Step::Asking(_) => "Asking",
            Step::Writing(_) => "Writing",
            Step::AskingSpare(..) => "AskingSpare",
            Step::Rechecking(..) => "Rechecking",
            Step::Judging(..) => "Judging",
            Step::Retiring(..) => "Retiring",
            Step::Staging => "Staging",
        }
    }

    /// Goes on after `event`.
    pub fn step<M: Memory>(
        &mut self,
        engine: &mut Engine<M>,
        event: Event,
        now: u64,
    ) -> Turn<Outcome> {
        self.now = now;
        match (self.step, event) {
            (Step::Claiming, _) => self.claim(engine),
            (Step::Quiescing, Event::Quiesced) => {
                self.step = Step::Reading(0);
                self.read(engine)
            }
            (Step::Quiescing, _) => Turn::Act(Action::Quiesce),
            (Step::Reading(single), Event::Io(done)) => self.have_read(engine, single, done),
            (Step::Reading(_), _) => self.read(engine),
            (Step::Asking(ticket), _) => self.asked(engine, ticket),
            (Step::Writing(part), Event::Io(done)) => self.have_written(engine, part, done),
            (Step::Writing(_), _) => self.write(engine, 0),
            (Step::AskingSpare(ticket, status), _) => self.asked_spare(engine, ticket, status),
            (Step::Rechecking(at, part), Event::Io(done)) => {
                self.have_rechecked(engine, at, part, done)
            }
            (Step::Rechecking(at, part), _) => self.recheck(engine, at, part),
            (Step::Judging(ticket, why), _) => self.judged(engine, ticket, why),
            (Step::Retiring(group, why), _) => self.retired(engine, group, why),
            (Step::Staging, _) => self.stage(engine),
        }
    }

    /// Takes the unit and a spare unit for it.
    fn claim<M: Memory>(&mut self, engine: &mut Engine<M>) -> Turn<Outcome> {
        if engine.is_read_only() {
            return stays(Obstacle::ReadOnly);
        }
        if engine.is_suspended && !matches!(self.cause, Cause::Write(_)) {
            return stays(Obstacle::Suspended);
        }
        if self.cause.is_counted() && engine.is_closed() && engine.is_crowded(self.now) {
            engine.hasten_all();
            return Turn::Act(Action::Wait(Key::Room));
        }
        match engine.claim(self.unit) {
            Ok(()) => {}
            Err(Key::Memory) if !matches!(self.cause, Cause::Write(_)) => {
                return stays(Obstacle::NoMemory);
            }
            Err(key) => return Turn::Act(Action::Wait(key)),
        }
        self.from = engine.state(self.unit);
        let is_elsewhere = match self.expected {
            Some(state) => state != self.from,
            None if self.cause == Cause::Weak => self.from != State::Main,
            None => matches!(self.from, State::Relocated { .. }),
        };
        if is_elsewhere {
            engine.end_claim(self.unit);
            return stays(Obstacle::Changed);
        }
        let Some(spare) = engine.take_spare(self.unit, self.cpu) else {
            engine.end_claim(self.unit);
            return stays(Obstacle::NoSpare);
        };
        self.spare = Some(spare);
        // Only where there is a spare unit is there anything to be admitted.
        let may_move = match self.cause {
            Cause::Message { .. } => true,
            Cause::Write(_) => engine.admit(self.now),
            Cause::Weak => engine.breaker.has_room(self.now, engine.free_spares()),
        };
        if !may_move {
            return self.stay(engine, Obstacle::Tripped);
        }
        if self.cause.is_counted() {
            self.is_admitted = true;
            engine.admitted += 1;
        }
        if engine.close_gate(self.unit).is_err() {
            return self.stay(engine, Obstacle::NoMemory);
        }
        self.has_closed_gate = true;
        self.step = Step::Quiescing;
        Turn::Act(Action::Quiesce)
    }

    /// Has the next commit say where the unit is.
    fn stage<M: Memory>(&mut self, engine: &mut Engine<M>) -> Turn<Outcome> {
        let Some(spare) = self.spare else {
            return self.stay(engine, Obstacle::NoSpare);
        };
        if engine.is_read_only() {
            return self.stay(engine, Obstacle::ReadOnly);
        }
        let geometry = engine.geometry();
        let all = geometry.blocks_of(self.unit);
        let valid = self.got.union(geometry.blocks_at(self.unit, &self.written));
        let change = Change {
            unit: self.unit,
            after: State::Relocated { spare, valid },
            // Without a write both places have the same data.
            on_failure: match self.written.is_empty() {
                true => OnFailure::Stuck,
                false => OnFailure::Unknown,
            },
        };
        let bad = self.bad.iter().copied().chain(self.from.spare());
        let number = match engine.stage(change, bad, None) {
            Ok(number) => number,
            Err(key) => return Turn::Act(Action::Wait(key)),
        };
        if core::mem::take(&mut self.is_admitted) {
            let free = engine.free_spares();
            engine.breaker.count(self.now, free);
            engine.admitted = engine.admitted.saturating_sub(1);
            engine.counts.relocated += 1;
        }
        Turn::Ended(Outcome::Staged {
            group: number,
            lost: all.minus(valid).count(),
        })
    }

    /// Ends the move: the unit is where it was, and open.
    fn stay<M: Memory>(&mut self, engine: &mut Engine<M>, why: Obstacle) -> Turn<Outcome> {
        // Where the last ones failed they are bad if the spare takes a commit; a spare that takes
        // no write has no bad units.
        if why == Obstacle::NoSpare && !self.failed.is_empty() {
            let ticket = engine.ask(Probe::SpareWrites, self.unit);
            self.step = Step::Judging(ticket, why);
            return Turn::Act(Action::Wait(Key::Probe));
        }
        self.leave(engine, why)
    }

    fn judged<M: Memory>(
        &mut self,
        engine: &mut Engine<M>,
        ticket: Ticket,
        why: Obstacle,
    ) -> Turn<Outcome> {
        match engine.answer(ticket) {
            None => Turn::Act(Action::Wait(Key::Probe)),
            Some(false) => self.leave(engine, why),
            Some(true) => {
                for &spare in self.failed.iter() {
                    engine.retire(spare);
                }
                self.failed = Fixed::new();
                self.retired(engine, engine.writer.gathering(), why)
            }
        }
    }

    /// Waits for the commit that says which spare units are bad: whoever is told that none is left
    /// sees why.
    fn retired<M: Memory>(
        &mut self,
        engine: &mut Engine<M>,
        group: u64,
        why: Obstacle,
    ) -> Turn<Outcome> {
        if engine.outcome(group).is_some() {
            return self.leave(engine, why);
        }
        self.step = Step::Retiring(group, why);
        engine.hasten();
        Turn::Act(Action::Wait(Key::Commit(group)))
    }

    fn leave<M: Memory>(&mut self, engine: &mut Engine<M>, why: Obstacle) -> Turn<Outcome> {
        for &spare in self.failed.iter() {
            engine.release(spare);
        }
        if let Some(spare) = self.spare.take() {
            engine.release(spare);
        }
        if core::mem::take(&mut self.is_admitted) {
            engine.admitted = engine.admitted.saturating_sub(1);
        }
        match core::mem::take(&mut self.has_closed_gate) {
            true => engine.open_gate(self.unit),
            false => engine.end_claim(self.unit),
        }
        stays(why)
    }
}

impl<M: Memory> Engine<M> {
    /// Has the next commit say that a spare unit is bad; without room for it, or where no commit
    /// can be made, it is tried again after the next load.
    fn retire(&mut self, spare: SpareUnit) {
        if self.is_read_only() || self.gathered.retired.push(spare).is_err() {
            return;
        }
        self.notices.note_change();
    }
}
