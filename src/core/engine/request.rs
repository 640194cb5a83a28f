// SPDX-License-Identifier: GPL-2.0

//! A bio that the fast path could not serve: it failed, or it met a unit which is not just there.
//!
//! A request goes through its bio from the first sector to the last, piece by piece, and remembers
//! how far it got. A piece is tried again where it fails, and what to do is decided when it failed
//! for good.
//!
//! | state | on | to |
//! |---|---|---|
//! | `Choosing` | sectors are left, and their unit is open | `Trying` the next piece |
//! | `Choosing` | the unit is being moved | `Choosing`, when its claim ended |
//! | `Choosing` | no sector is left | `Committing` |
//! | `Trying` | the piece is done | `Choosing` |
//! | `Trying` | the piece fails | `Choosing` a shorter one, or the same after a pause; then as follows |
//! | `Trying` | a write to main fails for good | `AskingReads`, `AskingWrites`, `Rewriting`, `Moving` |
//! | `Trying` | a write to a spare unit fails for good | `Moving` |
//! | `Trying` | a read fails for good | `Judging` whether its device works; end |
//! | `Judging` | the unit moved meanwhile | `Choosing` |
//! | `Verifying` | a suspect that was written reads | `Choosing`: it is none any more |
//! | `Verifying` | it had to wait for a buffer | `Trying`: the piece is written again |
//! | `Growing` | lost blocks of a relocated unit were written | `Choosing`: their commit is awaited at the end |
//! | `Moving` | the unit is staged to move | `Choosing` |
//! | `Moving` | no spare unit is left | `Queued`, if writes may wait for one |
//! | `Queued` | a spare unit is free | `Choosing`: the piece is tried again |
//! | `Committing` | all commits that it needs are durable | end |

mod failed;
mod moving;

use super::commit::CommitUnknown;
use super::memory::Memory;
use super::probe::Ticket;
use super::relocation::Relocation;
use super::task::{
    Action,
    Data,
    Event,
    Io,
    Key,
    Verb, //
};
use super::Engine;
use crate::classify::{
    is_bad_sector,
    Status, //
};
use crate::confirm::wait_before;
use crate::geometry::{
    SpareUnit,
    Unit, //
};
use crate::index::{
    Gate,
    State, //
};
use crate::table::Policy;
use core::ops::Range;

/// The longest piece, in sectors.
const WIDEST: u64 = 2048;

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Reads.
    Read,
    /// Writes the data of its bio.
    Write,
    /// Writes zeroes.
    WriteZeroes,
    /// Discards.
    Discard,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Choosing,
    /// The piece goes to main, or to this spare unit.
    Trying(Option<SpareUnit>),
    /// The same write once more, after probes.
    Rewriting,
    AskingReads(Ticket, Status),
    AskingWrites(Ticket, Status),
    /// The piece was written to a suspect; the whole unit is read, or the piece alone.
    Verifying(bool),
    /// The piece was written to lost blocks of a unit that is in this spare unit.
    Growing(SpareUnit),
    /// The same, and the group had no room for the change.
    Staging(SpareUnit),
    Moving(Status),
    /// No spare unit was left for the piece.
    Queued,
    /// A read failed for good, on main or in this spare unit.
    Judging(Ticket, Status, Option<SpareUnit>),
    Committing,
}

/// A bio on its way.
#[derive(Clone, Debug)]
pub struct Request {
    op: Op,
    sectors: Range<u64>,
    /// The piece; all before it is done.
    piece: Range<u64>,
    /// Up to this sector pieces are of one unit.
    narrow: u64,
    /// Up to this sector pieces are of one block: the read of a unit failed.
    single: u64,
    /// How often the piece failed.
    tries: usize,
    /// A device failed something of it.
    has_failed: bool,
    has_moved: bool,
    /// The last group that must be durable before the end.
    group: u64,
    relocation: Option<Relocation>,
    cpu: usize,
    step: Step,
}

impl Request {
    /// A bio for these sectors of the target, which a device failed already or not, from a caller
    /// on `cpu`.
    pub fn new(op: Op, sectors: Range<u64>, has_failed: bool, cpu: usize) -> Self {
        let start = sectors.start;
        let is_narrow = has_failed && op != Op::WriteZeroes;
        Self {
            op,
            narrow: if is_narrow { sectors.end } else { start },
            single: start,
            sectors,
            piece: start..start,
            tries: 0,
            has_failed,
            has_moved: false,
            group: 0,
            relocation: None,
            cpu,
            step: Step::Choosing,
        }
    }

    /// What it does.
    pub fn op(&self) -> Op {
        self.op
    }

    /// Its sectors.
    pub fn sectors(&self) -> Range<u64> {
        self.sectors.clone()
    }

    /// The name of its state.
    pub const fn state(&self) -> &'static str {
        match self.step {
            Step::Choosing => "Choosing",
            Step::Trying(_) => "Trying",
            Step::Rewriting => "Rewriting",
            Step::AskingReads(..) => "AskingReads",
            Step::AskingWrites(..) => "AskingWrites",
            Step::Verifying(_) => "Verifying",
            Step::Growing(_) => "Growing",
            Step::Staging(_) => "Staging",
            Step::Moving(_) => "Moving",
            Step::Queued => "Queued",
            Step::Judging(..) => "Judging",
            Step::Committing => "Committing",
        }
    }

    /// The first sector that is not done.
    pub const fn position(&self) -> u64 {
        self.piece.start
    }

    /// The relocation of the unit that it writes to, if that is under way.
    pub const fn relocation(&self) -> Option<&Relocation> {
        self.relocation.as_ref()
    }

    fn unit<M: Memory>(&self, engine: &Engine<M>) -> Unit {
        engine.geometry().unit_of(self.piece.start)
    }

    fn data(&self) -> Data {
        match self.op {
            Op::WriteZeroes => Data::Zeroes,
            _ => Data::Bio,
        }
    }

    /// Goes on after `event`.
    pub fn step<M: Memory>(&mut self, engine: &mut Engine<M>, event: Event, now: u64) -> Action {
        match (self.step, event) {
            (Step::Choosing, _) => self.choose(engine),
            (Step::Trying(spare), Event::Io(done)) => self.tried(engine, spare, done, now),
            (Step::Trying(_), _) => self.choose(engine),
            (Step::Rewriting, Event::Io(done)) => self.rewritten(engine, done, now),
            (Step::Rewriting, _) => self.choose(engine),
            (Step::AskingReads(ticket, status), _) => self.asked_reads(engine, ticket, status),
            (Step::AskingWrites(ticket, status), _) => {
                self.asked_writes(engine, ticket, status, now)
            }
            (Step::Verifying(is_whole), Event::Io(done)) => self.verified(engine, is_whole, done),
            (Step::Verifying(_), _) => self.choose(engine),
            (Step::Growing(spare), Event::Io(done)) => self.grown(engine, spare, done, now),
            (Step::Growing(spare) | Step::Staging(spare), _) => self.stage(engine, spare),
            (Step::Moving(status), event) => self.moving(engine, status, event, now),
            (Step::Queued, _) => self.queued(engine, now),
            (Step::Judging(ticket, status, spare), _) => self.judged(engine, ticket, status, spare),
            (Step::Committing, _) => self.commit(engine),
        }
    }

    /// Whether the unit of the piece is on main, or in this spare unit.
    fn is_at<M: Memory>(&self, engine: &Engine<M>, place: Option<SpareUnit>) -> bool {
        engine.state(self.unit(engine)).spare() == place
    }

    /// The piece is done.
    fn done<M: Memory>(&mut self, engine: &mut Engine<M>) -> Action {
        self.piece.start = self.piece.end;
        self.tries = 0;
        self.choose(engine)
    }

    /// Chooses the next piece and where it goes.
    fn choose<M: Memory>(&mut self, engine: &mut Engine<M>) -> Action {
        self.step = Step::Choosing;
        if self.piece.start >= self.sectors.end {
            return self.commit(engine);
        }
        let unit = self.unit(engine);
        let gate = engine.gate(unit);
        let changes = !matches!(self.op, Op::Read);
        if gate == Gate::Busy {
            engine.hasten_unit(unit);
            return Action::Wait(Key::Unit(unit));
        }
        if gate == Gate::Unknown || (gate == Gate::Stuck && changes) {
            return self.end(engine, Status::IoErr);
        }
        self.piece.end = self.piece_end(engine, unit);
        match engine.state(unit) {
            State::Relocated { spare, valid } => {
                let blocks = engine.geometry().blocks_at(unit, &self.piece);
                match self.op {
                    Op::Discard => self.attempt(engine, Some(spare)),
                    _ if valid.contains(blocks) => self.attempt(engine, Some(spare)),
                    Op::Read => self.end(engine, Status::Medium),
                    Op::Write | Op::WriteZeroes => self.grow(engine, unit, spare),
                }
            }
            State::Suspect if changes && self.op != Op::Discard => {
                if engine.policy == Policy::Spare && engine.is_closed() {
                    return self.ask_reads(engine, Status::Medium);
                }
                self.attempt(engine, None)
            }
            State::Main | State::Suspect => self.attempt(engine, None),
        }
    }

    /// Where the piece ends that begins in `unit`.
    fn piece_end<M: Memory>(&self, engine: &Engine<M>, unit: Unit) -> u64 {
        let geometry = engine.geometry();
        let (start, own) = (self.piece.start, geometry.sectors_of(unit));
        let end = if start < self.single {
            start.saturating_add(geometry.block_sectors())
        } else if start < self.narrow {
            own.end
        } else {
            match engine.map().next(unit) {
                Some((other, _)) if other == unit => own.end,
                Some((other, _)) => geometry.sectors_of(other).start,
                None => self.sectors.end,
            }
        };
        end.min(start.saturating_add(WIDEST)).min(self.sectors.end)
    }

    /// Does the piece on main, or in this spare unit.
    fn attempt<M: Memory>(&mut self, engine: &Engine<M>, spare: Option<SpareUnit>) -> Action {
        self.step = Step::Trying(spare);
        let verb = match self.op {
            Op::Read => Verb::Read,
            Op::Write | Op::WriteZeroes => Verb::Write,
            Op::Discard => Verb::Discard,
        };
        let data = self.data();
        self.io(engine, verb, spare, self.piece.clone(), data, true)
    }

    fn io<M: Memory>(
        &self,
        engine: &Engine<M>,
        verb: Verb,
        spare: Option<SpareUnit>,
        sectors: Range<u64>,
        data: Data,
        is_mapped: bool,
    ) -> Action {
        Action::Io(Io {
            is_mapped,
            ..Io::of_unit(engine.geometry(), spare, verb, sectors, data)
        })
    }

    fn tried<M: Memory>(
        &mut self,
        engine: &mut Engine<M>,
        spare: Option<SpareUnit>,
        done: Result<(), Status>,
        now: u64,
    ) -> Action {
        let unit = self.unit(engine);
        match done {
            Ok(()) if self.is_wide(engine) && self.meets_entry(engine) => {
                // A unit became a suspect meanwhile: each unit is written, and verified, by itself.
                self.narrow = self.piece.end;
                self.choose(engine)
            }
            Ok(()) if spare.is_none() && self.is_write() && self.is_suspect(engine, unit) => {
                self.verify(engine, unit, true)
            }
            Ok(()) => self.done(engine),
            Err(status) => self.failed(engine, spare, status, now),
        }
    }

    /// Whether the piece is of more than one unit.
    fn is_wide<M: Memory>(&self, engine: &Engine<M>) -> bool {
        self.piece.end > engine.geometry().sectors_of(self.unit(engine)).end
    }

    /// Whether a unit of the piece, which is written to main, has an entry.
    fn meets_entry<M: Memory>(&self, engine: &Engine<M>) -> bool {
        let next = engine.map().next(self.unit(engine));
        let start = next.map(|(unit, _)| engine.geometry().sectors_of(unit).start);
        self.is_write() && start.is_some_and(|start| start < self.piece.end)
    }

    fn is_write(&self) -> bool {
        matches!(self.op, Op::Write | Op::WriteZeroes)
    }

    fn is_suspect<M: Memory>(&self, engine: &Engine<M>, unit: Unit) -> bool {
        engine.state(unit) == State::Suspect
    }

    /// The piece failed.
    fn failed<M: Memory>(
        &mut self,
        engine: &mut Engine<M>,
        spare: Option<SpareUnit>,
        status: Status,
        now: u64,
    ) -> Action {
        let is_first = !core::mem::replace(&mut self.has_failed, true);
        if self.op == Op::Discard || !is_bad_sector(status) {
            return self.end(engine, status);
        }
        if self.is_narrowed(engine) || is_first {
            return self.choose(engine);
        }
        self.tries += 1;
        match wait_before(self.tries) {
            Some(wait) if engine.is_closed() => {
                self.step = Step::Choosing;
                Action::Sleep(wait)
            }
            _ => self.confirmed(engine, spare, status, now),
        }
    }

    /// Makes the piece that failed shorter, down to a unit that is written and a block that is
    /// read; whether it was longer.
    fn is_narrowed<M: Memory>(&mut self, engine: &Engine<M>) -> bool {
        let geometry = engine.geometry();
        let unit_end = geometry.sectors_of(self.unit(engine)).end;
        let block_end = self.piece.start.saturating_add(geometry.block_sectors());
        if self.piece.end > unit_end {
            self.narrow = self.narrow.max(self.piece.end);
        } else if self.op == Op::Read && self.piece.end > block_end {
            self.single = self.single.max(self.piece.end);
        } else {
            return false;
        }
        true
    }

    /// All is done; what it needs must be durable.
    fn commit<M: Memory>(&mut self, engine: &mut Engine<M>) -> Action {
        self.step = Step::Committing;
        match engine.outcome(self.group) {
            None => {
                engine.hasten();
                Action::Wait(Key::Commit(self.group))
            }
            Some(Err(CommitUnknown)) => self.end(engine, Status::IoErr),
            Some(Ok(())) => {
                if self.has_failed && !self.has_moved {
                    engine.counts.transient += 1;
                }
                self.end(engine, Status::Ok)
            }
        }
    }

    /// The request has ended. What it changed is committed even if it failed.
    fn end<M: Memory>(&mut self, engine: &mut Engine<M>, status: Status) -> Action {
        if engine.outcome(self.group).is_none() {
            engine.hasten();
        }
        Action::End(status)
    }
}
